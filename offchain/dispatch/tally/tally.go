// Package tally keeps for dispatchers who has finished and how services are, and tells those who watch.
package tally

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Tasks are the outcomes of an attempt, in the order in which its tasks finish. Its methods may be called from many goroutines.
type Tasks struct {
	done chan struct{} // closed when there will be no more

	mu       sync.Mutex
	finished []dispatch.TaskOutcome
	changed  chan struct{} // closed and replaced when finished grows
	err      error         // why there are no more, if the attempt has no outcome
}

// NewTasks has no outcome yet.
func NewTasks() *Tasks {
	return &Tasks{done: make(chan struct{}), changed: make(chan struct{})}
}

// Add tells an outcome. None may be added after End.
func (t *Tasks) Add(out dispatch.TaskOutcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = append(t.finished, out)
	close(t.changed)
	t.changed = make(chan struct{})
}

// End says that there will be no more outcomes; with an error the attempt has none. It is called once.
func (t *Tasks) End(err error) {
	t.mu.Lock()
	t.err = err
	t.mu.Unlock()
	close(t.done)
}

// Done is closed by End.
func (t *Tasks) Done() <-chan struct{} { return t.done }

// Ended reports whether there will be no more outcomes.
func (t *Tasks) Ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// Count is how many tasks have finished.
func (t *Tasks) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.finished)
}

// Of is the outcome of a task, if it has finished.
func (t *Tasks) Of(task uint32) (dispatch.TaskOutcome, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.finished, func(o dispatch.TaskOutcome) bool { return o.Task == task })
	if i < 0 {
		return dispatch.TaskOutcome{}, false
	}
	return t.finished[i], true
}

// news returns the outcomes after the first seen ones, and a channel that is closed when there are more.
func (t *Tasks) news(seen int) ([]dispatch.TaskOutcome, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.finished[seen:]), t.changed
}

func (t *Tasks) failed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Watch is dispatch.Dispatcher's for the attempt with an id.
func (t *Tasks) Watch(ctx context.Context, id dispatch.AttemptID, onTask func(dispatch.TaskOutcome)) (dispatch.Outcome, error) {
	out := dispatch.Outcome{ID: id}
	for ended := false; ; {
		fresh, changed := t.news(len(out.Tasks))
		for _, task := range fresh {
			out.Tasks = append(out.Tasks, task)
			if onTask != nil {
				onTask(task)
			}
		}
		if ended {
			break
		}
		select {
		case <-ctx.Done():
			return dispatch.Outcome{}, ctx.Err()
		case <-changed:
		case <-t.done: // nothing can be added, but something may have been before
			ended = true
		}
	}
	if err := t.failed(); err != nil {
		return dispatch.Outcome{}, fmt.Errorf("attempt %s: %w", id, err)
	}
	slices.SortFunc(out.Tasks, func(a, b dispatch.TaskOutcome) int { return cmp.Compare(a.Task, b.Task) })
	return out, nil
}
