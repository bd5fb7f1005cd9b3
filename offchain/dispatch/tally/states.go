package tally

import (
	"context"
	"fmt"
	"sync"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// keptStates is how far a watcher may fall behind before it misses states.
const keptStates = 64

// States are how a service was and is. Its methods may be called from many goroutines.
type States struct {
	mu      sync.Mutex
	states  []dispatch.ServiceState // the newest
	dropped int                     // states before those
	changed chan struct{}           // closed and replaced at each state
}

// NewStates begins with a first state.
func NewStates(first dispatch.ServiceState) *States {
	return &States{states: []dispatch.ServiceState{first}, changed: make(chan struct{})}
}

// Add tells a state.
func (s *States) Add(state dispatch.ServiceState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == keptStates {
		s.states = append(s.states[:0], s.states[1:]...)
		s.dropped++
	}
	s.states = append(s.states, state)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Last is how the service is.
func (s *States) Last() dispatch.ServiceState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[len(s.states)-1]
}

// news returns the states after the first seen ones of all, how many there were, and a channel that is closed when there are more.
func (s *States) news(seen int) (fresh []dispatch.ServiceState, all int, more <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all = s.dropped + len(s.states)
	from := max(seen-s.dropped, 0)
	return append(fresh, s.states[from:]...), all, s.changed
}

// Watch is dispatch.Services' States for the attempt with an id, whose end its tasks tell.
func (s *States) Watch(ctx context.Context, id dispatch.AttemptID, tasks *Tasks, onState func(dispatch.ServiceState)) (dispatch.ServiceState, error) {
	var last dispatch.ServiceState
	for seen, ended := 0, false; ; {
		fresh, all, more := s.news(seen)
		seen = all
		for _, state := range fresh {
			last = state
			onState(state)
		}
		if ended {
			break
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-more:
		case <-tasks.done:
			ended = true
		}
	}
	if err := tasks.failed(); err != nil {
		return last, fmt.Errorf("attempt %s: %w", id, err)
	}
	return last, nil
}
