package challenge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A machine that is as fast as it declares takes nominal time, and nominal time shows what is declared; half as fast shows half.
func TestReplayOfNominalTimes(t *testing.T) {
	d := Declared{Cores: 4, CPUSingle: 10_000, CPUAll: 36_000, MemoryMiB: 4096, MemoryBandwidthMiB: 8000, DiskReadMiB: 200, StorageMiB: 8}
	half := Declared{CPUSingle: 5_000, CPUAll: 18_000, MemoryBandwidthMiB: 4000, DiskReadMiB: 100}
	plan := Plan(d, 0)[:4]
	plan = append(plan, Spec{Kind: CPUAll, Declared: d, Together: &Together{Tries: make([]time.Time, 3), Window: time.Second}})
	for _, spec := range plan {
		for _, c := range []struct {
			true    Declared
			percent uint64
		}{{d, 100}, {half, 50}} {
			nominal, err := spec.Nominal(c.true)
			require.NoError(t, err)
			m, err := Replay(spec, func() time.Duration { return nominal })
			require.NoError(t, err)
			got := m.CPUSingle*100/d.CPUSingle + m.CPUAll*100/d.CPUAll + m.MemoryBandwidthMiB*100/d.MemoryBandwidthMiB + m.DiskReadMiB*100/d.DiskReadMiB
			require.InDelta(t, c.percent, got, 1, "%s", spec.Kind)
		}
		_, err := spec.Nominal(Declared{})
		require.Error(t, err)
	}
	_, err := Replay(Spec{}, nil)
	require.Error(t, err)
}

// A cheat that holds a part answers rightly, since it makes the rest anew.
func TestHeldPartAnswersRightly(t *testing.T) {
	w := NewWorker(Limits{Cores: 1, MemoryMiB: 2, HoldMiB: 1})
	fill := MemoryFillTask{Seed: seedOf(1), Blocks: 2 * memoryBlocksPerMiB}
	walk := MemoryWalkTask{Start: seedOf(2), Segments: 4, Steps: 8}
	_, err := w.Do(t.Context(), fill)
	require.NoError(t, err)
	require.Len(t, w.memory, 1<<20)
	values, err := w.Do(t.Context(), walk)
	require.NoError(t, err)
	require.NoError(t, verifyWalk(t.Context(), fill, walk, values, all(4)))
	require.NoError(t, w.Close())
}
