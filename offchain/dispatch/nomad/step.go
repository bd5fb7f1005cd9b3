package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// confirmPause is how often an attempt that is being ended looks whether it has.
const confirmPause = 250 * time.Millisecond

// ending is why an attempt has to end before its tasks have.
type ending struct {
	reason  dispatch.Reason
	message string
}

// step does all that can be done now and says how long there will be nothing to do, news apart.
func (t *attempt) step(ctx context.Context) (time.Duration, error) {
	if t.states != nil {
		return t.stepService(ctx)
	}
	of := t.byTask()
	live, unplaced := 0, 0
	patience := t.opts.ReconcileEvery
	var end *ending
	for _, task := range slices.Sorted(maps.Keys(of)) {
		allocs := of[task]
		if len(allocs) == 0 {
			unplaced++
			continue
		}
		switch first := allocs[0]; first.ClientStatus {
		case api.AllocClientStatusComplete, api.AllocClientStatusFailed:
			lost, err := t.take(ctx, task, allocs)
			if err != nil {
				return 0, err
			}
			end = cmp.Or(end, lost)
		default:
			lost, left := t.lost(first)
			if patience = min(patience, left); lost {
				end = cmp.Or(end, &ending{dispatch.ReasonNode, "the node's Nomad client was lost: " + describe(first)})
				continue
			}
			live++
		}
	}
	if t.complete() {
		return 0, nil
	}
	switch {
	case t.ending != nil: // what is seen now may be a consequence of ending it
		end = t.ending
	case t.stopped():
		end = &ending{dispatch.ReasonStopped, "the attempt was stopped"}
	}
	wait := t.opts.ReconcileEvery
	if end == nil {
		var err error
		if end, wait, err = t.overdue(ctx, live, unplaced); err != nil {
			return 0, err
		}
	}
	if end != nil {
		t.ending = end
		return t.end(ctx, *end)
	}
	return min(wait, patience), nil
}

// lost reports whether the client of an allocation was lost, or when to look again. Servers before 1.9 call what they do not replace unknown, and go on so
// until the client is back: once it has had the time to stop what it runs, that is the same.
func (t *attempt) lost(a *api.AllocationListStub) (lost bool, left time.Duration) {
	switch a.ClientStatus {
	case api.AllocClientStatusLost:
		return true, t.opts.ReconcileEvery
	case api.AllocClientStatusUnknown:
		since, known := t.unknown[a.ID]
		if !known {
			since = time.Now()
			t.unknown[a.ID] = since
		}
		left = t.opts.LostAfter - time.Since(since)
		return left <= 0, max(left, 0)
	}
	delete(t.unknown, a.ID)
	return false, t.opts.ReconcileEvery
}

// take settles a task whose allocation has ended. If the allocation ended by something else than its task, the attempt has to end.
func (t *attempt) take(ctx context.Context, task uint32, allocs []*api.AllocationListStub) (*ending, error) {
	alloc := allocs[0]
	out, err := t.collect(ctx, task, alloc)
	switch {
	case err == nil:
		delete(t.failing, alloc.ID)
		return nil, t.finish(out)
	case !errors.Is(err, errNotFound) && began(alloc):
		since, ok := t.failing[alloc.ID]
		if !ok {
			since = time.Now()
			t.failing[alloc.ID] = since
		}
		if time.Since(since) < t.opts.CollectTimeout {
			return nil, err
		}
		return nil, t.settle(ctx, task, alloc, ending{dispatch.ReasonNode, fmt.Sprintf("its result cannot be fetched: %.300v", err)})
	case t.stopped():
		return nil, nil // settled when the whole attempt is
	case alloc.DesiredStatus != api.AllocDesiredStatusRun:
		return &ending{dispatch.ReasonNode, "Nomad ended the task: " + describe(alloc)}, nil
	case len(allocs) > 1:
		return &ending{dispatch.ReasonNode, "Nomad replaced the task's allocation: " + describe(alloc)}, nil
	default:
		return nil, t.settle(ctx, task, alloc, verdict(alloc))
	}
}

// began reports whether the runner ever ran, so that it can have left something.
func began(a *api.AllocationListStub) bool {
	state := a.TaskStates[taskName]
	return state != nil && !state.StartedAt.IsZero()
}

// settle finishes a task that left nothing.
func (t *attempt) settle(ctx context.Context, task uint32, alloc *api.AllocationListStub, e ending) error {
	out := dispatch.TaskOutcome{Task: task, Reason: e.reason, Message: oneLine(e.message)}
	if alloc != nil && began(alloc) {
		state := alloc.TaskStates[taskName]
		out.Started, out.Finished = state.StartedAt.UTC(), state.FinishedAt.UTC()
		if out.Finished.Before(out.Started) {
			out.Finished = out.Started
		}
	}
	if t.states != nil {
		if t.keepLog(ctx, task); out.Finished.IsZero() {
			out.Finished = time.Now().UTC()
		}
	}
	out, err := keepEmpty(taskDir(t.dir, task), out)
	if err != nil {
		return err
	}
	return t.finish(out)
}

// overdue says why an attempt that is not ending by itself has to, if it does, and when to look again.
func (t *attempt) overdue(ctx context.Context, live, unplaced int) (*ending, time.Duration, error) {
	wait := t.opts.ReconcileEvery
	if d := t.rec.Place.Deadline; !d.IsZero() {
		left := time.Until(d)
		if left <= 0 {
			return &ending{dispatch.ReasonNode, "it did not end before the attempt's deadline"}, 0, nil
		}
		wait = min(wait, left)
	}
	if t.gone {
		return &ending{dispatch.ReasonNode, "the job is not in Nomad any more"}, 0, nil
	}
	if unplaced == 0 || live > 0 {
		t.stalled = time.Time{}
		return nil, wait, nil
	}
	if t.stalled.IsZero() {
		t.stalled = time.Now()
	}
	if left := t.opts.PlacementTimeout - time.Since(t.stalled); left > 0 {
		return nil, min(wait, left), nil
	}
	// The list may be old; what it does not show is looked for once more before the attempt is given up.
	list, index, err := t.region.client.allocations(ctx, t.rec.Place.Namespace, t.job)
	if err != nil && !errors.Is(err, errNotFound) {
		return nil, 0, err
	}
	if len(list) > t.known() {
		t.replace(list, index)
		return nil, wait, nil
	}
	evals, err := t.region.client.evaluations(ctx, t.rec.Place.Namespace, t.job)
	if err != nil && !errors.Is(err, errNotFound) {
		return nil, 0, err
	}
	return &ending{dispatch.ReasonNode, "Nomad found no room in time: " + placementFailure(evals)}, 0, nil
}

func (t *attempt) known() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.allocs)
}

// end deregisters the job, waits until nothing of it runs, and settles what has no outcome. It takes several steps.
func (t *attempt) end(ctx context.Context, e ending) (time.Duration, error) {
	c, p := t.region.client, t.rec.Place
	job, err := c.job(ctx, p.Namespace, t.job)
	switch {
	case errors.Is(err, errNotFound): // nothing of it can be placed any more
	case err != nil:
		return 0, err
	case job.Stop == nil || !*job.Stop:
		return confirmPause, c.deregister(ctx, p.Namespace, t.job, false)
	}
	list, _, err := c.allocations(ctx, p.Namespace, t.job)
	if err != nil && !errors.Is(err, errNotFound) {
		return 0, err
	}
	for _, a := range list {
		t.observe(a)
		if lost, _ := t.lost(a); !lost && !terminal(a) {
			return confirmPause, nil
		}
	}
	of := t.byTask()
	for _, task := range slices.Sorted(maps.Keys(of)) {
		var alloc *api.AllocationListStub
		if n := len(of[task]); n > 0 && t.states != nil {
			alloc = of[task][n-1]
		} else if n > 0 {
			alloc = of[task][0]
			if lost, _ := t.lost(alloc); !lost {
				out, err := t.collect(ctx, task, alloc) // it may have finished before it could be stopped
				if err == nil {
					if err := t.finish(out); err != nil {
						return 0, err
					}
					continue
				}
			}
		}
		if err := t.settle(ctx, task, alloc, e); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// describe says in Nomad's words how an allocation stands.
func describe(a *api.AllocationListStub) string {
	return strings.Join(slices.DeleteFunc([]string{a.ClientDescription, a.DesiredDescription}, func(s string) bool { return s == "" }), "; ")
}

// oneLine makes a message fit for a log.
func oneLine(s string) string {
	return fmt.Sprintf("%.500s", strings.Join(strings.Fields(s), " "))
}
