package challenge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The workers of an agent's links fill what the oracles of a round ask for once; another round's they fill anew.
func TestMemoryIsFilledOnce(t *testing.T) {
	held := &Held{}
	limits := Limits{Cores: 1, MemoryMiB: 1, Held: held}
	fill := MemoryFillTask{Seed: seedOf(1), Blocks: 4}
	walk := MemoryWalkTask{Start: seedOf(2), Segments: 2, Steps: 4}
	filled := func(task MemoryFillTask) *byte {
		w := NewWorker(limits)
		_, err := w.Do(t.Context(), walk)
		require.ErrorIs(t, err, ErrBadTask, "what another one filled is not walked unasked")
		_, err = w.Do(t.Context(), task)
		require.NoError(t, err)
		values, err := w.Do(t.Context(), walk)
		require.NoError(t, err)
		require.NoError(t, verifyWalk(t.Context(), task, walk, values, all(2)))
		require.NoError(t, w.Close())
		return &held.memory[0]
	}
	first := filled(fill)
	require.Same(t, first, filled(fill))
	require.NotSame(t, first, filled(MemoryFillTask{Seed: seedOf(3), Blocks: 4}))
	require.NotNil(t, filled(MemoryFillTask{Seed: seedOf(3), Blocks: 5}))

	held.leave(time.Millisecond)
	require.Eventually(t, func() bool {
		held.mu.Lock()
		defer held.mu.Unlock()
		return held.memory == nil
	}, 20*time.Second, time.Millisecond, "it is given back")
	require.NotNil(t, filled(fill))

	own := NewWorker(Limits{Cores: 1, MemoryMiB: 1})
	_, err := own.Do(t.Context(), fill)
	require.NoError(t, err)
	require.NoError(t, own.Close())
	require.Nil(t, own.held.memory, "a worker without others keeps nothing")
}
