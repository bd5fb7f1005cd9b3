package cmd

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/link"
)

func TestWriteStats(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds int, change func(*link.Stats)) link.Stats {
		s := link.Stats{At: start.Add(time.Duration(seconds) * time.Second), Started: start, Running: true, Measured: true}
		change(&s)
		return s
	}
	first := at(10, func(s *link.Stats) {
		s.CPUNanos, s.Memory, s.MemoryLimit, s.Processes, s.Received, s.Sent = 1e9, 1<<20, 2<<20, 3, 1000, 2000
	})
	for _, c := range []struct {
		before *link.Stats
		stats  link.Stats
		want   string
	}{
		{nil, first, "03:04:15  up 10s  cpu 10 % of one  memory 1.0 MiB of 2.0 MiB  processes 3  received 1000 B  sent 2.0 KiB\n"},
		{&first, at(12, func(s *link.Stats) { s.CPUNanos = 2e9 }), "03:04:17  up 12s  cpu 50 % of one  memory 0 B of 0 B  processes 0  received 0 B  sent 0 B\n"},
		{&first, at(12, func(s *link.Stats) { s.Started = start.Add(11 * time.Second) }), "03:04:17  up 1s  cpu 0 % of one  memory 0 B of 0 B  processes 0  received 0 B  sent 0 B\n"},
		{nil, at(3, func(s *link.Stats) { s.Measured = false }), "03:04:08  up 3s\n"},
		{nil, at(3, func(s *link.Stats) { s.Running = false }), "03:04:08  not running\n"},
	} {
		var b bytes.Buffer
		require.NoError(t, writeStats(&b, c.before, c.stats))
		require.Equal(t, c.want, b.String())
	}
}
