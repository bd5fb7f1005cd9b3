package chain

import (
	"context"
	"time"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 2 * time.Second
)

// backoff doubles the pause between tries, up to a limit that lets a restarted node be seen soon.
type backoff struct{ next time.Duration }

// wait sleeps for the next pause, or returns the context's error.
func (b *backoff) wait(ctx context.Context) error {
	d := max(b.next, backoffFirst)
	b.next = min(2*d, backoffMost)
	return sleep(ctx, d)
}

func (b *backoff) reset() { b.next = 0 }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
