// Command play measures a game server: it plays for a while and says how old positions are when they come back.
//
//	go run ./examples/gameserver/play -for 10s HOST:PORT
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"slices"
	"time"

	"github.com/foggrid/fogd/examples/gameserver/wire"
)

func main() {
	length := flag.Duration("for", 5*time.Second, "how long to play")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("play against whom? give HOST:PORT")
	}
	r, err := play(flag.Arg(0), 1, *length)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r)
}

// result is what a player saw.
type result struct {
	Sent, Snapshots int
	// Ages of the own positions when a snapshot first had them, in order: network and the server's tick.
	Ages []time.Duration
}

// String tells median and tail.
func (r result) String() string {
	if len(r.Ages) == 0 {
		return fmt.Sprintf("%d positions sent, none came back", r.Sent)
	}
	at := func(percent int) time.Duration { return r.Ages[len(r.Ages)*percent/101].Round(100 * time.Microsecond) }
	return fmt.Sprintf("%d positions sent, %d came back in %d snapshots; age: median %s, 95 %% %s, 99 %% %s", r.Sent, len(r.Ages), r.Snapshots,
		at(50), at(95), at(99))
}

// play sends positions 30 times a second.
func play(server string, player uint32, length time.Duration) (r result, err error) {
	conn, err := net.Dial("udp", server)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	sent := map[uint32]time.Time{}
	buf := make([]byte, wire.MaxPacket)
	ended := time.Now().Add(length)
	for next := time.Now(); time.Now().Before(ended); {
		if now := time.Now(); !now.Before(next) {
			r.Sent++
			p := wire.Position{Player: player, Seq: uint32(r.Sent), X: float32(r.Sent), Y: -float32(r.Sent)}
			sent[p.Seq] = now
			if _, err := conn.Write(wire.AppendPosition(nil, p)); err != nil && !errors.Is(err, net.ErrClosed) {
				sent[p.Seq] = time.Time{} // nobody listens yet
			}
			next = now.Add(time.Second / 30)
		}
		if err := conn.SetReadDeadline(next); err != nil {
			return r, err
		}
		n, err := conn.Read(buf)
		if err != nil {
			continue // nothing came in time
		}
		all, ok := wire.ParseSnapshot(buf[:n])
		if !ok {
			return r, fmt.Errorf("a packet of %d bytes is no snapshot", n)
		}
		r.Snapshots++
		for _, p := range all {
			if at, ok := sent[p.Seq]; ok && p.Player == player && !at.IsZero() {
				r.Ages = append(r.Ages, time.Since(at))
				delete(sent, p.Seq)
			}
		}
	}
	slices.Sort(r.Ages)
	return r, nil
}
