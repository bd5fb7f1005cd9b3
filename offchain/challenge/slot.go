package challenge

import (
	"context"
	"sync"
)

// Slot lets one challenge at a time run on a machine, in the order of asking, so that oracles do not disturb each other's measurements.
type Slot struct {
	token chan struct{}
}

// NewSlot makes a free slot.
func NewSlot() *Slot {
	return &Slot{token: make(chan struct{}, 1)}
}

// Acquire waits for the slot or for the end of the context. Release may be called more than once.
func (s *Slot) Acquire(ctx context.Context) (release func(), err error) {
	select {
	case s.token <- struct{}{}:
		return sync.OnceFunc(func() { <-s.token }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Busy says if a challenge runs now.
func (s *Slot) Busy() bool {
	return len(s.token) > 0
}
