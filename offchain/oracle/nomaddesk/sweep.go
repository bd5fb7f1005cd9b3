package nomaddesk

import (
	"context"
	"errors"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// stopPatience bounds how long one try to end an attempt takes; the next sweep tries again.
const stopPatience = 30 * time.Second

// Run ends what the chain does not want any more, when Kick says so and from time to time, until the context ends.
func (d *Desk) Run(ctx context.Context) error {
	ticker := time.NewTicker(d.opts.SweepEvery)
	defer ticker.Stop()
	defer d.endings.Wait()
	for full := true; ; {
		if err := d.clear(ctx); err != nil && ctx.Err() == nil {
			d.opts.Log.Warn("attempts that are over cannot be ended yet; trying again", "error", err)
		}
		if full {
			if _, err := d.nomad.Sweep(ctx, d.wanted); err != nil && ctx.Err() == nil {
				d.opts.Log.Warn("jobs that nobody wants cannot all be ended; trying again", "error", err)
			}
			if err := d.wipeVolumes(ctx); err != nil && ctx.Err() == nil {
				d.opts.Log.Warn("volumes that nobody wants cannot all be wiped yet; trying again", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			full = true
		case <-d.kicked:
			full = false
		}
	}
}

// Kick says that an attempt may be over.
func (d *Desk) Kick() {
	select {
	case d.kicked <- struct{}{}:
	default:
	}
}

// wanted reports whether the chain may still want an attempt. It does not say so only if the chain has gone on from it: an attempt that the chain does
// not know may be in blocks that this oracle's node does not have yet, or of another chain.
func (d *Desk) wanted(ctx context.Context, id dispatch.AttemptID) (bool, error) {
	slice, err := d.opts.Chain.Slice(ctx, id.Job, id.Slice)
	if errors.Is(err, chain.ErrNotFound) {
		return true, nil
	}
	// What a quorum attested may still be reported by an oracle that was slower, so that its vote counts.
	late := err == nil && slice.Attempt == id.Attempt && slice.Outcome != nil && d.isReporting(id)
	return err != nil || late || !over(slice, id.Attempt), err
}

// over reports whether the chain has gone on from an attempt at a slice. Once it has, it has for good.
func over(slice jobstypes.Slice, attempt uint32) bool {
	switch {
	case slice.Attempt != attempt:
		return slice.Attempt > attempt
	default:
		return slice.Status != jobstypes.SLICE_STATUS_PENDING && slice.Status != jobstypes.SLICE_STATUS_MATCHED
	}
}

// clear stops and forgets the attempts held here that are over.
func (d *Desk) clear(ctx context.Context) error {
	kept, err := d.nomad.Kept()
	if err != nil {
		return err
	}
	for _, id := range kept {
		keep, wantErr := d.wanted(ctx, id)
		if err = errors.Join(err, wantErr); keep || !d.begin(id) {
			continue
		}
		d.endings.Go(func() { // Nomad may take its time
			defer d.ended(id)
			if err := d.finish(ctx, id); err != nil && ctx.Err() == nil {
				d.opts.Log.Warn("an attempt that is over cannot be ended yet", "attempt", id.String(), "error", err)
			}
		})
	}
	return err
}

func (d *Desk) finish(ctx context.Context, id dispatch.AttemptID) error {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	if err := d.nomad.Stop(ctx, id); err != nil && !errors.Is(err, dispatch.ErrUnknownAttempt) {
		return err
	}
	return d.nomad.Forget(ctx, id)
}

// begin reports whether nobody ends the attempt yet.
func (d *Desk) begin(id dispatch.AttemptID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ending[id] {
		return false
	}
	d.ending[id] = true
	return true
}

func (d *Desk) ended(id dispatch.AttemptID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ending, id)
}

func (d *Desk) isReporting(id dispatch.AttemptID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reporting[id] > 0
}

// report notes that an attempt is being reported until the returned function is called.
func (d *Desk) report(id dispatch.AttemptID) (done func()) {
	add := func(n int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.reporting[id] += n; d.reporting[id] == 0 {
			delete(d.reporting, id)
		}
	}
	add(1)
	return func() { add(-1) }
}
