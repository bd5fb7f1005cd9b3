// Command gameserver is a UDP game server: it takes the positions of players and tells all players all positions, 30 times a second.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/foggrid/fogd/examples/gameserver/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	conn, err := net.ListenUDP("udp", listenAddress())
	if err != nil {
		log.Fatal(err)
	}
	log.Print("playing on ", conn.LocalAddr())
	if err := newArena(conn).run(ctx); err != nil {
		log.Fatal(err)
	}
}

func listenAddress() *net.UDPAddr {
	addr, err := net.ResolveUDPAddr("udp", ":"+os.Getenv("FOG_PORT_GAME"))
	if err != nil {
		log.Fatal(err)
	}
	return addr
}

const (
	tick       = time.Second / 30
	maxPlayers = wire.MaxPlayers
	silence    = 5 * time.Second // after which a player has left
)

// arena is one game.
type arena struct {
	conn *net.UDPConn

	mu      sync.Mutex
	players map[netip.AddrPort]*player
}

type player struct {
	position wire.Position
	seen     time.Time
}

func newArena(conn *net.UDPConn) *arena {
	return &arena{conn: conn, players: map[netip.AddrPort]*player{}}
}

// run takes and tells positions until the context ends.
func (a *arena) run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	read := make(chan error, 1)
	go func() { read <- a.read() }()
	for {
		select {
		case <-ctx.Done():
			return errors.Join(a.conn.Close(), <-read)
		case err := <-read:
			return err
		case now := <-ticker.C:
			a.tell(now)
		}
	}
}

func (a *arena) read() error {
	buf := make([]byte, wire.MaxPacket)
	for {
		n, from, err := a.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if p, ok := wire.ParsePosition(buf[:n]); ok {
			a.take(from, p, time.Now())
		}
	}
}

// take notes a position unless a newer one came before, as datagrams may overtake each other.
func (a *arena) take(from netip.AddrPort, p wire.Position, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.players[from]
	if known == nil {
		if len(a.players) >= maxPlayers {
			return
		}
		known = &player{}
		a.players[from] = known
	}
	if known.seen = now; p.Seq >= known.position.Seq {
		known.position = p
	}
}

// snapshot is what all players are told, and who they are.
func (a *arena) snapshot(now time.Time) (positions []wire.Position, to []netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for addr, p := range a.players {
		if now.Sub(p.seen) > silence {
			delete(a.players, addr)
			continue
		}
		positions, to = append(positions, p.position), append(to, addr)
	}
	return positions, to
}

func (a *arena) tell(now time.Time) {
	positions, to := a.snapshot(now)
	packet := wire.AppendSnapshot(nil, positions)
	for _, addr := range to {
		if _, err := a.conn.WriteToUDPAddrPort(packet, addr); err != nil {
			log.Print("tell ", addr, ": ", err)
		}
	}
}
