package agent

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a pause that doubles from least to most, spread by half.
type backoff struct {
	least, most, next time.Duration
}

func (a *Agent) pause() *backoff { return &backoff{least: a.cfg.RetryMin, most: a.cfg.RetryMax} }

// wait pauses; its error is why the context ended.
func (b *backoff) wait(ctx context.Context) error {
	b.next = min(max(2*b.next, b.least), b.most)
	return sleep(ctx, b.next/2+rand.N(b.next/2+1)) //nolint:gosec // jitter; nobody gains by guessing it
}

func (b *backoff) reset() { b.next = 0 }

// sleep waits; its error is why the context ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
