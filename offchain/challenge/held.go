package challenge

import (
	"bytes"
	"context"
	"runtime/debug"
	"sync"
	"time"
)

// holdTime is how long memory is kept after the last challenge that walked it, for the oracles of the same round.
const holdTime = 30 * time.Second

// Held is the memory that challenges fill. All oracles of a round ask for the same blocks, so an agent fills them once and keeps them until the last
// has walked. The links of an agent share one, under the slot that lets one challenge at a time run.
type Held struct {
	mu     sync.Mutex
	fill   MemoryFillTask
	memory []byte
	expiry *time.Timer
}

// take returns the filled memory of a task, filled anew if it is not there. Hold is the most blocks that are kept; zero is all.
func (h *Held) take(ctx context.Context, t MemoryFillTask, hold uint64, workers int) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.expiry != nil {
		h.expiry.Stop()
	}
	if h.memory != nil && h.fill.Blocks == t.Blocks && bytes.Equal(h.fill.Seed, t.Seed) {
		return h.memory, nil
	}
	h.free()
	part := t
	if hold > 0 {
		part.Blocks = min(part.Blocks, hold)
	}
	memory, err := part.run(ctx, workers)
	if err != nil {
		return nil, err
	}
	h.fill, h.memory = MemoryFillTask{Seed: bytes.Clone(t.Seed), Blocks: t.Blocks}, memory
	return memory, nil
}

// leave lets the memory go in a while, unless it is taken again before.
func (h *Held) leave(after time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.expiry != nil {
		h.expiry.Stop()
	}
	if after == 0 {
		h.free()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(after, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.expiry == timer { // or it was taken while this function waited
			h.free()
		}
	})
	h.expiry = timer
}

// free gives the memory back. The caller holds mu.
func (h *Held) free() {
	h.expiry = nil
	if h.memory != nil {
		h.memory = nil
		// The heap would otherwise keep what jobs are waiting for.
		debug.FreeOSMemory()
	}
}
