package challenge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"time"
)

const (
	// NetworkPiece is the most bytes in one value of a NetworkSendTask, and so in one message.
	NetworkPiece = 64 << 10
	// MaxNetworkBytes is the most that one task carries.
	MaxNetworkBytes = 16 << 20

	networkFirst = 64 << 10
	networkTries = 6
	// networkTime is about how long the longest try takes; if round trips are long, ten of them, up to networkLongest.
	networkTime    = time.Second
	networkLongest = 2 * time.Second
)

// networkStream makes the bytes of one seed, which do not compress.
func networkStream(seed []byte, size uint64) ([]byte, error) {
	content, err := newDiskContent(seed)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	content.fill(data, 0)
	return data, nil
}

func (t NetworkSendTask) run(ctx context.Context) ([][]byte, error) {
	data, err := networkStream(t.Seed, t.Bytes)
	if err != nil {
		return nil, err
	}
	var pieces [][]byte
	for len(data) > 0 {
		n := min(len(data), NetworkPiece)
		pieces, data = append(pieces, data[:n:n]), data[n:]
	}
	return pieces, ctx.Err()
}

// verifySent checks that every byte has come.
func verifySent(t NetworkSendTask, values [][]byte) error {
	want, err := networkStream(t.Seed, t.Bytes)
	if err != nil {
		return err
	}
	if !bytes.Equal(bytes.Join(values, nil), want) {
		return wrong("what the agent sent over the network is not what it was asked to send")
	}
	return nil
}

func (t NetworkReceiveTask) run() [][]byte {
	sum := sha256.Sum256(t.Payload)
	return [][]byte{sum[:]}
}

func verifyReceived(t NetworkReceiveTask, values [][]byte) error {
	if want := t.run(); len(values) != 1 || !bytes.Equal(values[0], want[0]) {
		return wrong("the agent does not know what it was sent over the network")
	}
	return nil
}

// network is the throughput of the slower direction in kbit/s.
func (e *Examiner) network(ctx context.Context, peer Peer, spec Spec) (uint64, error) {
	up, err := throughput(spec.RTT, func(size uint64) (time.Duration, error) {
		task := NetworkSendTask{Bytes: size}
		var err error
		if task.Seed, err = e.seed(); err != nil {
			return 0, err
		}
		values, elapsed, err := do(ctx, peer, answerLimit, task)
		if err != nil {
			return 0, err
		}
		return elapsed, verifySent(task, values)
	})
	if err != nil {
		return 0, err
	}
	down, err := throughput(spec.RTT, func(size uint64) (time.Duration, error) {
		task := NetworkReceiveTask{Bytes: size, Payload: make([]byte, size)}
		if _, err := io.ReadFull(e.random, task.Payload); err != nil {
			return 0, fmt.Errorf("draw what an agent is to receive: %w", err)
		}
		values, elapsed, err := do(ctx, peer, answerLimit, task)
		if err != nil {
			return 0, err
		}
		return elapsed, verifyReceived(task, values)
	})
	return min(up, down), err
}

// throughput carries more and more bytes until a try takes about networkTime, and returns the best of the tries. The round trip and the
// slow start of the connection are in it: it is never more than there is.
func throughput(rtt time.Duration, carry func(size uint64) (time.Duration, error)) (best uint64, err error) {
	long := min(max(networkTime, 10*rtt), networkLongest)
	size := uint64(networkFirst)
	for range networkTries {
		elapsed, err := carry(size)
		if err != nil {
			return 0, err
		}
		rate := perSecond(8*size, elapsed) / 1000
		best = max(best, min(rate, math.MaxInt32))
		// As much as fits into the time at this speed, and at most four times as much.
		next := min(4*size, perSecond(size, elapsed)/1000*uint64(long/time.Millisecond), MaxNetworkBytes)
		if next < 2*size {
			break
		}
		size = next
	}
	return best, nil
}
