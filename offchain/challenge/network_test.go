package challenge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// line is a connection of so many kbit/s a direction; it counts what it carried.
type line struct {
	up, down uint64
	rtt      time.Duration
	carried  uint64
	took     time.Duration
}

func (l *line) clock(task Task, _ int) time.Duration {
	bytes, speed := uint64(0), l.up
	switch t := task.(type) {
	case NetworkSendTask:
		bytes = t.Bytes
	case NetworkReceiveTask:
		bytes, speed = t.Bytes, l.down
	}
	elapsed := l.rtt + time.Duration((8*bytes*uint64(time.Millisecond)+speed-1)/speed)
	l.carried += bytes
	l.took += elapsed
	return elapsed
}

func TestNetworkScore(t *testing.T) {
	for name, c := range map[string]struct {
		line       line
		least      uint64 // of the slower direction, in percent
		mostBytes  uint64
		mostPerWay time.Duration
	}{
		"home line":     {line{up: 10_000, down: 100_000, rtt: 20 * time.Millisecond}, 90, 21 << 20, 2 * time.Second},
		"slow line":     {line{up: 500, down: 500, rtt: 50 * time.Millisecond}, 90, 128 << 10, 2 * time.Second},
		"far away":      {line{up: 50_000, down: 50_000, rtt: 250 * time.Millisecond}, 80, 32 << 20, 5 * time.Second},
		"data centre":   {line{up: 1_000_000, down: 1_000_000, rtt: time.Millisecond}, 90, 43 << 20, time.Second},
		"slow download": {line{up: 100_000, down: 5_000, rtt: time.Millisecond}, 90, 21 << 20, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			l := c.line
			m, err := testExaminer().Run(t.Context(), newPeer(t, l.clock), Spec{Kind: Network, RTT: l.rtt})
			require.NoError(t, err)
			slower := min(l.up, l.down)
			require.GreaterOrEqual(t, m.BandwidthKbit*100, slower*c.least)
			require.LessOrEqual(t, m.BandwidthKbit, slower)
			require.LessOrEqual(t, l.carried, c.mostBytes, "a slow line carries little")
			require.LessOrEqual(t, l.took, 2*c.mostPerWay)
		})
	}
}

// Whatever the line, the score is never above it, and what is asked of it is bounded in bytes and in time.
func TestThroughputIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		speed := rapid.Uint64Range(20, 10_000_000).Draw(t, "kbit/s")
		rtt := time.Duration(rapid.Int64Range(0, int64(300*time.Millisecond)).Draw(t, "rtt"))
		l := line{up: speed, rtt: rtt}
		tries := 0
		best, err := throughput(rtt, func(size uint64) (time.Duration, error) {
			tries++
			require.LessOrEqual(t, size, uint64(MaxNetworkBytes))
			return l.clock(NetworkSendTask{Bytes: size}, tries), nil
		})
		require.NoError(t, err)
		require.LessOrEqual(t, best, speed)
		require.LessOrEqual(t, tries, networkTries)
		// At least one try of the first size; beyond it no more than twice the longest time of bytes.
		require.LessOrEqual(t, l.carried, max(networkFirst, speed*uint64(3*networkLongest/time.Millisecond)/8))
	})
}

func TestNetworkProofs(t *testing.T) {
	send := NetworkSendTask{Seed: seedOf(1), Bytes: NetworkPiece + 5}
	values, err := send.run(t.Context())
	require.NoError(t, err)
	require.Len(t, values, 2)
	require.NoError(t, verifySent(send, values))
	require.ErrorIs(t, verifySent(send, values[:1]), ErrWrongAnswer)
	require.ErrorIs(t, verifySent(NetworkSendTask{Seed: seedOf(2), Bytes: send.Bytes}, values), ErrWrongAnswer)

	receive := NetworkReceiveTask{Bytes: 3, Payload: []byte{1, 2, 3}}
	require.NoError(t, verifyReceived(receive, receive.run()))
	require.ErrorIs(t, verifyReceived(receive, nil), ErrWrongAnswer)
	require.ErrorIs(t, verifyReceived(receive, NetworkReceiveTask{Payload: []byte{1, 2, 4}}.run()), ErrWrongAnswer)
}
