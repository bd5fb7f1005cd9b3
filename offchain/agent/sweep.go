package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// sweepAgain is how much less often than the others an attempt is looked at whose result waits to be settled.
const sweepAgain = 5

// wipeFresh is how old the newest block may be for volumes to be wiped by it.
const wipeFresh = 5 * time.Minute

// runSweeper removes the files of attempts that nobody wants any more.
func (a *Agent) runSweeper(ctx context.Context) {
	next := map[dispatch.AttemptID]time.Time{}
	ticker := time.NewTicker(a.cfg.Sweep)
	defer ticker.Stop()
	for {
		if err := a.sweepOnce(ctx, next); err != nil && ctx.Err() == nil {
			a.log.Warn("old attempts cannot be cleared away; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-a.sweep:
		case <-ticker.C:
		}
	}
}

// sweepOnce looks at the attempts on disk that are due.
func (a *Agent) sweepOnce(ctx context.Context, next map[dispatch.AttemptID]time.Time) error {
	kept, err := a.cfg.Dispatcher.Kept()
	if err != nil {
		return err
	}
	here := map[dispatch.AttemptID]bool{}
	for _, id := range kept {
		here[id] = true
	}
	for id := range next {
		if !here[id] {
			delete(next, id)
		}
	}
	var failed error
	for _, id := range kept {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if a.isUnderWay(id) || time.Now().Before(next[id]) {
			continue
		}
		use, err := a.use(ctx, id)
		switch {
		case err != nil:
			failed = errors.Join(failed, err)
		case use == useless:
			failed = errors.Join(failed, a.remove(ctx, id))
		case use == unsettled:
			next[id] = time.Now().Add(sweepAgain * a.cfg.Sweep)
		}
	}
	return errors.Join(failed, a.wipeVolumes(ctx), a.sweepJournals(), a.sweepPlain())
}

// wipeVolumes wipes the volumes of replicas that the chain has on this node no more. An update leaves a replica on its node, so that its
// volumes stay.
func (a *Agent) wipeVolumes(ctx context.Context) error {
	d, ok := a.cfg.Dispatcher.(dispatch.Volumes)
	if !ok {
		return nil
	}
	kept, err := d.Volumes()
	if err != nil || len(kept) == 0 {
		return err
	}
	// A node of the chain that is behind may not know yet what the volumes are for.
	status, err := a.cfg.Chain.Status(ctx)
	if err != nil || status.CatchingUp || time.Since(status.Time) > wipeFresh {
		return err
	}
	assigned, err := a.assigned(ctx, a.cfg.Chain.Latest())
	if err != nil {
		return err
	}
	here := map[dispatch.Replica]bool{}
	for _, s := range assigned {
		here[dispatch.Replica{Job: s.JobId, Task: s.FirstTask}] = true
	}
	var failed error
	for _, r := range kept {
		if here[r] || a.runsReplica(r) {
			continue
		}
		if err := d.Wipe(ctx, r); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		a.log.Info("volumes wiped", "job", r.Job, "task", r.Task)
	}
	return failed
}

// runsReplica reports whether an attempt at a replica has not ended here.
func (a *Agent) runsReplica(r dispatch.Replica) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, run := range a.runs {
		if id.Job == r.Job && run.slice.FirstTask == r.Task {
			return true
		}
	}
	return false
}

func (a *Agent) isUnderWay(id dispatch.AttemptID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.runs[id] != nil
}

// usefulness is what the files of an attempt are still good for.
type usefulness int

const (
	useless   usefulness = iota
	running              // the chain waits for it
	unsettled            // its result was reported lately
)

// use asks the chain what an attempt is still good for.
func (a *Agent) use(ctx context.Context, id dispatch.AttemptID) (usefulness, error) {
	resp, err := jobstypes.NewQueryClient(a.cfg.Chain.Latest()).Slice(ctx, &jobstypes.QuerySliceRequest{JobId: id.Job, Number: id.Slice})
	if errors.Is(err, chain.ErrNotFound) || errors.Is(err, chain.ErrInvalidRequest) {
		return useless, nil
	}
	if err != nil {
		return useless, fmt.Errorf("slice of attempt %s: %w", id, err)
	}
	s := resp.Slice
	switch {
	case s.Attempt != id.Attempt || s.NodeId != a.nodeID:
		return useless, nil
	case s.Status == jobstypes.SLICE_STATUS_MATCHED:
		return running, nil
	case s.Status == jobstypes.SLICE_STATUS_REPORTED && time.Since(time.Unix(s.ReportedTime, 0)) < a.cfg.Keep:
		return unsettled, nil
	}
	return useless, nil
}

func (a *Agent) remove(ctx context.Context, id dispatch.AttemptID) error {
	if err := a.cfg.Dispatcher.Stop(ctx, id); err != nil && !errors.Is(err, dispatch.ErrUnknownAttempt) {
		return err
	}
	if err := a.cfg.Dispatcher.Remove(ctx, id); err != nil {
		return err
	}
	a.log.Info("attempt removed", "job", id.Job, "slice", id.Slice, "attempt", id.Attempt)
	return nil
}
