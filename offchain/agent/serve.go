package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
)

// serve keeps a slice of a service up until the chain does not want it any more, and tells the oracles how it is. The chain decides what
// follows from that: this agent never gives up by itself.
func (r *run) serve(ctx context.Context) error {
	r.state.Store(uint32(link.ProgressDown))
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		r.pulse(ctx)
	}()
	defer func() { <-beating }()
	pause := r.agent.pause()
	var verdict handover.Verdict
	for {
		err := r.host(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		state := link.ProgressDown
		if verdict.IsJobs(err) {
			state = link.ProgressUnhealthy
		}
		r.become(state)
		r.complain(err)
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// host starts the service, or joins it if it runs, and returns why it has ended.
func (r *run) host(ctx context.Context) error {
	d, ok := r.agent.cfg.Dispatcher.(dispatch.Services)
	if !ok {
		return fmt.Errorf("%w: this agent's dispatcher runs no services", dispatch.ErrInvalidAssignment)
	}
	a, held, err := r.agent.prepare(ctx, r.slice, func() {})
	if err != nil {
		return err
	}
	defer held.all()
	r.note(dispatch.Event{Event: "pulled"})
	if err := r.begin(ctx, d, a); err != nil {
		return err
	}
	last, err := d.States(ctx, r.id, func(s dispatch.ServiceState) {
		r.log.Info("service", "phase", s.Phase, "reason", s.Reason, "restarts", s.Restarts, "message", s.Message)
		r.become(handover.Progress(s))
		r.noteState(s)
	})
	if err != nil {
		return fmt.Errorf("states: %w", err)
	}
	// The chain is the authority: what has stopped while it is wanted is made anew.
	return errors.Join(fmt.Errorf("the service stopped: %s %s", last.Reason, last.Message), d.Remove(ctx, r.id))
}

func (r *run) become(state link.ProgressState) {
	if r.state.Swap(uint32(state)) != uint32(state) {
		r.kick()
	}
}

// pulse tells the oracles the state of the service, at each change and from time to time, since hints may be lost.
func (r *run) pulse(ctx context.Context) {
	ticker := time.NewTicker(r.agent.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		r.hint(link.ProgressState(r.state.Load()))
		if sleep(ctx, min(progressGap, r.agent.cfg.Heartbeat)) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.kicked:
		}
	}
}
