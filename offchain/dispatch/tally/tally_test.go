package tally

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// TestWatchTellsEachOnce: whenever a watcher comes, it is told each outcome once and in order, and returns them sorted.
func TestWatchTellsEachOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.Permutation([]uint32{3, 4, 5, 6, 7}).Draw(rt, "order")
		watchers := rapid.SliceOfN(rapid.IntRange(0, len(order)), 1, 4).Draw(rt, "watchers") // after how many outcomes they come
		tasks, id := NewTasks(), dispatch.AttemptID{Job: "job1x"}
		var all sync.WaitGroup
		for i := 0; ; i++ {
			for range slices.DeleteFunc(slices.Clone(watchers), func(at int) bool { return at != i }) {
				all.Go(func() {
					var seen []uint32
					out, err := tasks.Watch(context.Background(), id, func(o dispatch.TaskOutcome) { seen = append(seen, o.Task) })
					require.NoError(t, err)
					require.Equal(t, order, seen)
					require.True(t, slices.IsSortedFunc(out.Tasks, func(a, b dispatch.TaskOutcome) int { return int(a.Task) - int(b.Task) }))
				})
			}
			if i == len(order) {
				break
			}
			_, there := tasks.Of(order[i])
			require.False(t, there)
			tasks.Add(dispatch.TaskOutcome{Task: order[i]})
			require.Equal(t, i+1, tasks.Count())
		}
		require.False(t, tasks.Ended())
		tasks.End(nil)
		require.True(t, tasks.Ended())
		all.Wait()
	})
}

func TestNoOutcome(t *testing.T) {
	tasks, id := NewTasks(), dispatch.AttemptID{Job: "job1x"}
	tasks.Add(dispatch.TaskOutcome{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := tasks.Watch(ctx, id, func(dispatch.TaskOutcome) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	tasks.End(dispatch.ErrClosed)
	_, err = tasks.Watch(t.Context(), id, nil)
	require.ErrorIs(t, err, dispatch.ErrClosed)
	_, err = NewStates(dispatch.ServiceState{}).Watch(t.Context(), id, tasks, func(dispatch.ServiceState) {})
	require.ErrorIs(t, err, dispatch.ErrClosed)
}

// TestStates: who comes late misses old states, and never the last.
func TestStates(t *testing.T) {
	tasks, states := NewTasks(), NewStates(dispatch.ServiceState{})
	for i := range uint32(2 * keptStates) {
		states.Add(dispatch.ServiceState{Restarts: i + 1})
	}
	tasks.End(nil)
	var seen []uint32
	last, err := states.Watch(t.Context(), dispatch.AttemptID{}, tasks, func(s dispatch.ServiceState) { seen = append(seen, s.Restarts) })
	require.NoError(t, err)
	require.Len(t, seen, keptStates)
	require.EqualValues(t, 2*keptStates, last.Restarts)
	require.Equal(t, last, states.Last())
	require.True(t, slices.IsSorted(seen))
}
