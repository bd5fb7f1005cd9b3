package bench

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func small(t *testing.T) Options {
	return Options{Budget: 500 * time.Millisecond, Dir: t.TempDir(), Cores: 2, MemoryMiB: 2, DiskMiB: 2}
}

func TestRun(t *testing.T) {
	opts := small(t)
	var seen []Progress
	opts.Progress = func(p Progress) { seen = append(seen, p) }
	r, err := Run(t.Context(), opts)
	require.NoError(t, err)
	require.Positive(t, r.CPUSingle)
	require.Positive(t, r.CPUAll)
	require.Equal(t, 2, r.Cores)
	require.Positive(t, r.MemoryBandwidthMiB)
	require.Positive(t, r.DiskReadIOPS)
	require.Equal(t, r.DiskReadIOPS/16, r.DiskReadMiB, "64 KiB each")
	require.Positive(t, r.Took)

	phases := []Phase{PhaseCPUSingle, PhaseCPUAll, PhaseMemory, PhaseDisk}
	before, phase := 0, 0
	for _, p := range seen {
		require.GreaterOrEqual(t, p.Done, before)
		before = p.Done
		if p.Phase != phases[phase] {
			phase++
		}
		require.Equal(t, phases[phase], p.Phase)
	}
	require.Equal(t, Progress{PhaseDisk, 100}, seen[len(seen)-1])
}

func TestCancelInEachPhase(t *testing.T) {
	for _, phase := range []Phase{PhaseCPUSingle, PhaseCPUAll, PhaseMemory, PhaseDisk} {
		t.Run(string(phase), func(t *testing.T) {
			opts := small(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			opts.Progress = func(p Progress) {
				if p.Phase == phase {
					cancel()
				}
			}
			r, err := Run(ctx, opts)
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, r)
			files, err := os.ReadDir(opts.Dir)
			require.NoError(t, err)
			require.Empty(t, files)
		})
	}
}

func TestNoPlaceForTheFile(t *testing.T) {
	opts := small(t)
	opts.Dir += "/missing"
	_, err := Run(t.Context(), opts)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestPromise(t *testing.T) {
	r := Result{CPUSingle: 100, CPUAll: 200, Cores: 2, MemoryBandwidthMiB: 1000, DiskReadMiB: 50, DiskReadIOPS: 800}
	require.Equal(t, Result{CPUSingle: 80, CPUAll: 160, Cores: 2, MemoryBandwidthMiB: 500, DiskReadMiB: 25, DiskReadIOPS: 400}, r.Promise())
	require.Zero(t, Result{}.Promise())
}

func TestMedianAndRate(t *testing.T) {
	require.Equal(t, uint64(3), median([]uint64{9, 1, 3}))
	require.Equal(t, uint64(5), median([]uint64{5}))
	require.Equal(t, uint64(200), rate(100, 500*time.Millisecond))
	require.Equal(t, modulus().BitLen(), 2048)
	require.Equal(t, uint(1), modulus().Bit(0))
}
