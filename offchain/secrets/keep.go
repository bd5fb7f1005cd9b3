package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	keepPause    = time.Second
	keepMaxPause = 30 * time.Second
	// closeTimeout is how long the end of a program waits for a lease to be given back.
	closeTimeout = 5 * time.Second
	// overlap is how long a credential that was replaced is left valid, for requests and streams that still use it.
	overlap = time.Minute
)

// Keep has use told of a credential and of each later one that takes its place, until ctx ends; then it gives the last one back. It
// renews at two thirds of a lease's life. A store that cannot be reached is asked again and again; meanwhile the credential is used to its end.
// An error of use ends it, and so does a store that lends none by that name at the first time (ErrNotFound).
func Keep(ctx context.Context, from Leases, name string, log *slog.Logger, use func(Credential) error) error {
	k := keeper{from: from, name: name, log: log.With("lease", name)}
	var old Lease
	var retiring sync.WaitGroup
	defer retiring.Wait()
	for {
		lease, err := k.acquire(ctx, old == nil)
		if err != nil {
			return errors.Join(err, giveBack(ctx, old))
		}
		if err := use(lease.Credential()); err != nil {
			return errors.Join(fmt.Errorf("use the new credential %q: %w", name, err), giveBack(ctx, old), giveBack(ctx, lease))
		}
		if replaced := old; replaced != nil {
			retiring.Go(func() { k.retire(ctx, replaced) })
		}
		if err := k.hold(ctx, lease); err != nil {
			return errors.Join(err, giveBack(ctx, lease))
		}
		old = lease
	}
}

type keeper struct {
	from Leases
	name string
	log  *slog.Logger
}

// acquire asks until the store answers. What the store does not lend at the first time is a wrong name; later it may be there again.
func (k keeper) acquire(ctx context.Context, first bool) (Lease, error) {
	for pause := keepPause; ; pause = min(2*pause, keepMaxPause) {
		lease, err := k.from.Lease(ctx, k.name)
		if err == nil {
			return lease, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if first && errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("lease %q: %w", k.name, err)
		}
		k.log.Warn("no credential yet; asking again", "error", err, "pause", pause)
		if err := sleep(ctx, pause, nil); err != nil {
			return nil, err
		}
	}
}

// hold renews a lease until another one should take its place (nil) or ctx ends.
func (k keeper) hold(ctx context.Context, lease Lease) error {
	if lease.Credential().Expires.IsZero() {
		return sleep(ctx, 0, lease.Ended())
	}
	full := time.Until(lease.Credential().Expires)
	wait := full * 2 / 3
	for pause := keepPause; ; {
		if err := sleep(ctx, wait, lease.Ended()); err != nil {
			return err
		}
		select {
		case <-lease.Ended():
			k.log.Warn("the credential ended before its time; asking for another one")
			return nil
		default:
		}
		err := lease.Renew(ctx)
		left := time.Until(lease.Credential().Expires)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrLeaseEnded) || left <= 0:
			return nil
		case err != nil:
			k.log.Warn("cannot renew the credential; it is used to its end meanwhile", "error", err, "left", left)
			wait, pause = min(pause, left), min(2*pause, keepMaxPause)
		case left < full/2: // the store's longest life is near
			return nil
		default:
			wait, pause = left*2/3, keepPause
		}
	}
}

// retire gives a replaced lease back once nothing can be using it.
func (k keeper) retire(ctx context.Context, lease Lease) {
	// The end of the program is no reason to wait, but one to give it back.
	if err := sleep(ctx, overlap, lease.Ended()); err != nil {
		k.log.Debug("the program ends; giving a replaced credential back early")
	}
	if err := giveBack(ctx, lease); err != nil {
		k.log.Debug("a replaced credential could not be given back; it runs out by itself", "error", err)
	}
}

func giveBack(ctx context.Context, lease Lease) error {
	if lease == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return lease.Close(ctx)
}

// sleep waits for a time, unless that is 0, or until early is closed; the end of ctx is an error.
func sleep(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-early:
	case <-over:
	}
	return nil
}
