package nomaddesk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// lookedWithin is how old a look at a service may be to be told: less than what the oracle believes an agent's word for.
const lookedWithin = 30 * time.Second

// Serve keeps the service up that a slice is, until the context ends, and tells how it is every few seconds. rank is this oracle's among those who
// may register it. What ends by itself, or was ended in Nomad, is not registered again: the chain takes it elsewhere.
func (d *Desk) Serve(ctx context.Context, slice jobstypes.Slice, rank int, tell func(link.ProgressState)) error {
	defer d.report(handover.ID(slice))()
	w := &work{
		desk: d, slice: slice, rank: rank, times: d.times(slice),
		log: d.opts.Log.With("job", slice.JobId, "slice", slice.Number, "attempt", slice.Attempt),
	}
	var verdict handover.Verdict
	for pause := d.opts.retryMin; ; pause = min(2*pause, d.opts.retryMax) {
		err := w.host(ctx, tell)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errOver), errors.Is(err, dispatch.ErrClosed):
			return err
		case verdict.IsJobs(err):
			tell(link.ProgressUnhealthy)
		default:
			tell(link.ProgressDown)
		}
		w.log.Warn("the service is not up; trying again", "error", err)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// host takes the service up once, and tells how it is until it cannot be said any more.
func (w *work) host(ctx context.Context, tell func(link.ProgressState)) error {
	a, err := w.prepare(ctx)
	if err != nil {
		return err
	}
	if err := w.endEarlier(ctx); err != nil {
		return err
	}
	if err := w.takeService(ctx, a); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan struct{}, 1)
	go w.desk.nomad.States(watching, a.ID, func(s dispatch.ServiceState) { //nolint:errcheck // State is asked below
		w.log.Info("service", "phase", s.Phase, "reason", s.Reason, "restarts", s.Restarts, "message", s.Message)
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	ticker := time.NewTicker(w.desk.opts.tellEvery)
	defer ticker.Stop()
	for {
		state, looked, err := w.desk.nomad.State(ctx, a.ID)
		if err != nil {
			return err
		}
		if time.Since(looked) < lookedWithin || state.Phase == dispatch.ServiceStopped {
			tell(handover.Progress(state)) // else it is better to be thought not to know
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-ticker.C:
		}
	}
}

// takeService is take without a last moment: nobody says of a service that it was not started, and an oracle that comes late finds it there.
func (w *work) takeService(ctx context.Context, a dispatch.Assignment) error {
	turn := w.times.matched.Add(time.Duration(w.rank) * w.desk.opts.RankPause)
	for time.Now().Before(turn) {
		held, err := w.desk.nomad.Adopt(ctx, a)
		if err != nil || held {
			return err
		}
		if err := sleep(ctx, min(w.desk.opts.adoptEvery, max(time.Until(turn), 0))); err != nil {
			return err
		}
	}
	err := w.desk.nomad.Start(ctx, a)
	if errors.Is(err, nomad.ErrVolumesFull) {
		return handover.JobFault("%w; give back their sizes, or submit another service", err)
	}
	return err
}

var (
	_ link.Source      = (*Desk)(nil)
	_ link.EventSource = (*Desk)(nil)
)

// Follow implements link.Source for the attempts that this desk watches.
func (d *Desk) Follow(ctx context.Context, t link.TaskRef, from uint64, emit func(offset uint64, piece []byte) error) error {
	return d.nomad.Follow(ctx, attemptOf(t), t.Task, from, emit)
}

// Events implements link.EventSource.
func (d *Desk) Events(ctx context.Context, t link.TaskRef, from uint64, once bool, emit func(offset uint64, piece []byte) error) error {
	return d.nomad.Events(ctx, attemptOf(t), t.Task, from, once, emit)
}

// Stats implements link.Source.
func (d *Desk) Stats(ctx context.Context, t link.TaskRef) (link.Stats, bool, error) {
	s, err := d.nomad.Stats(ctx, attemptOf(t), t.Task)
	if err != nil {
		return link.Stats{}, false, fmt.Errorf("figures of task %d: %w", t.Task, err)
	}
	return handover.Stats(s), s.Over, nil
}

func attemptOf(t link.TaskRef) dispatch.AttemptID {
	return dispatch.AttemptID{Job: t.JobID, Slice: t.Slice, Attempt: t.Attempt}
}
