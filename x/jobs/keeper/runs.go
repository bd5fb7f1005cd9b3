package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// startRuns lets the periodic jobs that are due come up, the longest due first, a bounded number a block. Times that passed while nobody
// looked, as when the chain rested, count as one.
func (k Keeper) startRuns(ctx context.Context, p types.Params) error {
	for range p.MaxRunsPerBlock {
		id, found, err := k.nextRun(ctx)
		if err != nil || !found {
			return err
		}
		if err := k.comeUp(ctx, p, id); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) nextRun(ctx context.Context) (escrowtypes.ID, bool, error) {
	var id escrowtypes.ID
	found, now := false, blockSeconds(ctx)
	err := k.runQueue.Walk(ctx, nil, func(key collections.Pair[int64, escrowtypes.ID]) (bool, error) {
		id, found = key.K2(), key.K1() <= now
		return true, nil
	})
	return id, found, err
}

// comeUp starts a run, or says why not, and plans the next one.
func (k Keeper) comeUp(ctx context.Context, p types.Params, id escrowtypes.ID) error {
	job, err := k.PeriodicJob(ctx, id)
	if err != nil {
		return err
	}
	if err := k.runQueue.Remove(ctx, collections.Join(job.NextTime, id)); err != nil {
		return err
	}
	if err := k.planNext(ctx, &job, id, blockSeconds(ctx)); err != nil {
		return err
	}
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	run, reason := k.startRun(cached, p, &job, id)
	if reason == nil {
		write()
		job.Runs, job.LastTime, job.Unfunded = job.Runs+1, blockSeconds(ctx), 0
		event := &types.EventRunSubmitted{Parent: job.Id, Run: job.Runs, JobId: run.Id, NextTime: job.NextTime}
		if err := emit(ctx, event); err != nil {
			return err
		}
	} else {
		job.LeftOut++
		if err := k.leaveOut(ctx, p, &job, id, reason); err != nil {
			return err
		}
	}
	if job.Status != types.PERIODIC_STATUS_ACTIVE {
		return k.savePeriodic(ctx, id, job)
	}
	return k.periodic.Set(ctx, id, job)
}

// startRun submits the next run out of the job's account.
func (k Keeper) startRun(ctx context.Context, p types.Params, job *types.PeriodicJob, id escrowtypes.ID) (types.Job, error) {
	if err := checkAgainstParams(p, &job.Submission); err != nil { // the params may be others by now
		return types.Job{}, err
	}
	owner, err := addressOf(job.Owner)
	if err != nil {
		return types.Job{}, err
	}
	account, err := k.escrow.Account(ctx, escrowtypes.JobAccountID(id))
	if err != nil {
		return types.Job{}, err
	}
	cost, err := runCost(p, &job.Submission)
	if err != nil {
		return types.Job{}, err
	}
	if account.Free() < cost {
		return types.Job{}, types.ErrUnfunded.Wrapf("%s has %d%s and a run costs %d", account.Id, account.Free(), escrowtypes.Denom, cost)
	}
	if err := k.makeRoom(ctx, job, id); err != nil {
		return types.Job{}, err
	}
	if err := k.burnRunFee(ctx, p, id); err != nil {
		return types.Job{}, err
	}
	msg := job.Submission
	msg.Type = types.JOB_TYPE_BATCH
	n := job.Runs + 1
	j, part, err := k.newJob(ctx, p, &msg, types.RunID(id, n))
	if err != nil {
		return types.Job{}, err
	}
	j.Parent, j.Run = job.Id, n
	if err := k.escrow.Open(ctx, j.account, owner, escrowtypes.ACCOUNT_KIND_JOB); err != nil {
		return types.Job{}, err
	}
	if err := k.escrow.Move(ctx, escrowtypes.JobAccountID(id), j.account, j.Funded); err != nil {
		return types.Job{}, err
	}
	return j.Job, k.begin(ctx, j, owner, part)
}

// makeRoom deals with the run before if it still has work to do, as the job's owner wants it. One that only waits for its results to be
// accepted is in nobody's way.
func (k Keeper) makeRoom(ctx context.Context, job *types.PeriodicJob, id escrowtypes.ID) error {
	if job.Runs == 0 || job.Submission.Overlap == types.OVERLAP_ALLOW {
		return nil
	}
	before, err := k.Job(ctx, types.RunID(id, job.Runs))
	if err != nil || before.Counts.Pending+before.Counts.Matched == 0 {
		return err
	}
	switch {
	case job.Submission.Overlap == types.OVERLAP_FORBID:
		return types.ErrOverlap.Wrapf("run %d, %s, has tasks to do", job.Runs, before.Id)
	case before.CancelledTime != 0:
		return nil
	}
	return k.markCancelled(ctx, types.RunID(id, job.Runs), before)
}

// leaveOut counts a time without a run. What came up costs the run fee all the same, but for a job that cannot pay: that one is suspended
// when it could not several times in a row.
func (k Keeper) leaveOut(ctx context.Context, p types.Params, job *types.PeriodicJob, id escrowtypes.ID, reason error) error {
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	if !errors.Is(reason, types.ErrUnfunded) && k.burnRunFee(cached, p, id) == nil {
		write()
		job.Unfunded = 0
	} else {
		job.Unfunded++
	}
	if job.Status == types.PERIODIC_STATUS_ACTIVE && job.Unfunded >= p.MaxUnfunded {
		if err := k.stopPeriodic(ctx, job, id, types.PERIODIC_STATUS_SUSPENDED); err != nil {
			return err
		}
	}
	return emit(ctx, &types.EventRunLeftOut{Parent: job.Id, Reason: reason.Error(), NextTime: job.NextTime})
}

func (k Keeper) burnRunFee(ctx context.Context, p types.Params, id escrowtypes.ID) error {
	account := escrowtypes.JobAccountID(id)
	if err := k.escrow.Lock(ctx, account, p.RunFee); err != nil {
		return err
	}
	return k.escrow.Slash(ctx, account, p.RunFee)
}

// returnRest brings what a run did not use back to the account of its periodic job.
func (k Keeper) returnRest(ctx context.Context, j *openJob) error {
	parent, err := escrowtypes.ParseID(types.JobHRP, j.Parent)
	if err != nil {
		return err
	}
	account, err := k.escrow.Account(ctx, j.account)
	if err != nil {
		return err
	}
	return k.escrow.Move(ctx, j.account, escrowtypes.JobAccountID(parent), account.Free())
}
