package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// errGone says that the chain does not want an attempt any more: it was decided, cancelled, lost, or matched again.
var errGone = errors.New("the chain has no such attempt running on this node")

// progressGap is the least time between two hints about an attempt.
const progressGap = time.Second

// run is an attempt that the chain waits for.
type run struct {
	agent  *Agent
	id     dispatch.AttemptID
	slice  jobstypes.Slice
	log    *slog.Logger
	cancel context.CancelCauseFunc
	done   chan struct{}

	journal *journal

	begun  atomic.Bool
	tasks  atomic.Uint32 // finished
	kicked chan struct{} // there is progress
	state  atomic.Uint32 // of a service, a link.ProgressState
	waits  string        // for what, as the owner was told last
}

// start takes an attempt up. The caller holds mu.
func (a *Agent) start(ctx context.Context, id dispatch.AttemptID, slice jobstypes.Slice) *run {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &run{
		agent: a, id: id, slice: slice, cancel: cancel, done: make(chan struct{}), kicked: make(chan struct{}, 1),
		journal: a.journalOf(id), log: a.log.With("job", id.Job, "slice", id.Slice, "attempt", id.Attempt),
	}
	r.log.Info("attempt assigned", "tasks", slice.TaskCount, "max_duration_s", slice.MaxDuration)
	go func() {
		r.note(dispatch.Event{Event: "assigned"})
		r.live(ctx)
		if errors.Is(context.Cause(ctx), errGone) { // stopped; if only the agent ends, its tasks may go on
			a.dropPlain(id)
		}
		cancel(nil)
		a.mu.Lock()
		delete(a.runs, id)
		a.mu.Unlock()
		select {
		case a.sweep <- struct{}{}:
		default:
		}
		close(r.done)
	}()
	return r
}

// live runs an attempt, reports it, and keeps reporting until the chain has enough of it.
func (r *run) live(ctx context.Context) {
	err := r.perform(ctx)
	if errors.Is(context.Cause(ctx), errGone) {
		r.log.Info("attempt is over on chain")
		r.note(dispatch.Event{Event: "over"})
		// Whatever still runs must end although the context has.
		if err := r.agent.cfg.Dispatcher.Stop(context.WithoutCancel(ctx), r.id); err != nil && !errors.Is(err, dispatch.ErrUnknownAttempt) {
			r.log.Error("attempt could not be stopped", "error", err)
		}
		return
	}
	if ctx.Err() == nil {
		r.log.Error("attempt given up", "error", err)
		<-ctx.Done() // starting it again at every block would not mend it
	}
}

// perform returns when the context ends, or with an error that no repetition mends.
func (r *run) perform(ctx context.Context) error {
	if r.slice.Serving != nil {
		return r.serve(ctx)
	}
	out, err := r.execute(ctx)
	if err != nil {
		return err
	}
	r.agent.dropPlain(r.id)
	r.hint(link.ProgressFinished)
	out, manifest, err := r.push(ctx, out)
	if err != nil {
		return err
	}
	report, err := handover.Report(r.agent.nodeID, r.slice, out, manifest)
	if err != nil {
		return err
	}
	r.log.Info("reporting", "failed", failures(out), "task_time", out.TaskTime().Round(time.Millisecond), "manifest", manifest)
	r.agent.links.deliver(ctx, report.Sign(r.agent.cfg.AgentKey))
	return context.Cause(ctx)
}

func failures(out dispatch.Outcome) (n int) {
	for _, t := range out.Tasks {
		if t.Reason != dispatch.ReasonOK {
			n++
		}
	}
	return n
}

// execute brings the attempt to its outcome, whatever stands in the way: what the job is to blame for ends its tasks as BAD_IMAGE, and
// what nobody could mend before the tasks' time was over as NODE.
func (r *run) execute(ctx context.Context) (dispatch.Outcome, error) {
	ctx, stop := context.WithCancel(ctx)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		r.beat(ctx)
	}()
	defer func() {
		stop()
		<-beating
	}()
	deadline := time.Unix(r.slice.MatchedTime, 0).Add(time.Duration(min(r.slice.MaxDuration, 1<<32)) * time.Second)
	pause := r.agent.pause()
	var verdict handover.Verdict
	for {
		out, err := r.try(ctx)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return dispatch.Outcome{}, context.Cause(ctx)
		}
		switch {
		case verdict.IsJobs(err):
			r.log.Warn("the job cannot run", "error", err)
			return handover.Failed(r.slice, dispatch.ReasonBadImage, err), nil
		case errors.Is(err, errTooBig), errors.Is(err, dispatch.ErrInvalidAssignment):
			r.log.Error("this node cannot run the job", "error", err)
			return handover.Failed(r.slice, dispatch.ReasonNode, err), nil
		case errors.Is(err, dispatch.ErrClosed):
			return dispatch.Outcome{}, err
		case time.Now().After(deadline) && !isChainError(err): // a chain that rests decides nothing meanwhile
			r.log.Error("the tasks' time is over before they could start", "error", err)
			return handover.Failed(r.slice, dispatch.ReasonNode, err), nil
		}
		r.complain(err)
		if err := pause.wait(ctx); err != nil {
			return dispatch.Outcome{}, err
		}
	}
}

func isChainError(err error) bool {
	var query *chain.QueryError
	return errors.As(err, &query)
}

// complain logs a failure that may pass, tells the owner if it is for want of a secret, and makes room if it is the disk's.
func (r *run) complain(err error) {
	if text := err.Error(); errors.Is(err, errSecrets) && text != r.waits {
		r.note(dispatch.Event{Event: "waiting", Message: text})
		r.waits = text
	}
	if !isDiskFull(err) {
		r.log.Warn("attempt cannot start yet; trying again", "error", err)
		return
	}
	r.log.Error("the disk is full; clearing the cache and trying again", "error", err)
	if err := r.agent.fetch.cache.clear(); err != nil {
		r.log.Error("the cache cannot be cleared", "error", err)
	}
}

// try runs the attempt once from preparation to outcome. Another try goes on from what the dispatcher has.
func (r *run) try(ctx context.Context) (dispatch.Outcome, error) {
	a, held, err := r.agent.prepare(ctx, r.slice, func() { r.begun.Store(true); r.kick() })
	if err != nil {
		return dispatch.Outcome{}, err
	}
	defer held.all()
	r.note(dispatch.Event{Event: "pulled"})
	d := r.agent.cfg.Dispatcher
	if err := r.begin(ctx, d, a); err != nil {
		return dispatch.Outcome{}, err
	}
	r.note(dispatch.Event{Event: "began"})
	r.tasks.Store(0)
	out, err := d.Watch(ctx, r.id, func(t dispatch.TaskOutcome) {
		r.tasks.Add(1)
		r.kick()
		r.noteTask(t)
		if t.Reason != dispatch.ReasonOK {
			r.log.Warn("task failed", "task", t.Task, "reason", t.Reason, "exit_code", t.ExitCode, "message", t.Message)
		}
	})
	if err != nil {
		return dispatch.Outcome{}, fmt.Errorf("watch: %w", err)
	}
	if _, err := handover.Report(r.agent.nodeID, r.slice, out, artifact.Digest{}); errors.Is(err, handover.ErrStopped) {
		// An earlier agent stopped it, as the chain was then seen. The chain is the authority: it runs again.
		return dispatch.Outcome{}, errors.Join(err, d.Remove(ctx, r.id))
	}
	return out, nil
}

// begin starts the attempt in the dispatcher, or joins it there.
func (r *run) begin(ctx context.Context, d dispatch.Dispatcher, a dispatch.Assignment) error {
	err := d.Start(ctx, a)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dispatch.ErrConflict):
		// Files of another chain, whose job happened to have this id.
		return errors.Join(err, d.Remove(ctx, r.id))
	}
	return fmt.Errorf("start: %w", err)
}

func (r *run) kick() {
	select {
	case r.kicked <- struct{}{}:
	default:
	}
}

// beat tells the oracles that the attempt is under way, at every change and from time to time, since hints may be lost. It begins when
// the registry has given the spec: until then there is nothing to wait for.
func (r *run) beat(ctx context.Context) {
	state := link.ProgressStarted
	ticker := time.NewTicker(r.agent.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.kicked:
		}
		if !r.begun.Load() {
			continue
		}
		r.hint(state)
		state = link.ProgressRunning
		if sleep(ctx, min(progressGap, r.agent.cfg.Heartbeat)) != nil {
			return
		}
	}
}

func (r *run) hint(state link.ProgressState) {
	r.agent.links.progress(link.Progress{
		JobID: r.id.Job, Slice: r.id.Slice, Attempt: r.id.Attempt, State: state,
		TasksDone: min(r.tasks.Load(), r.slice.TaskCount), TasksTotal: r.slice.TaskCount,
	})
}
