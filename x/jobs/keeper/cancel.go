package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// gasPerCancelled is paid for each open slice that EndBlock will end.
const gasPerCancelled = 1_000

// CancelJob marks a job as cancelled; EndBlock ends its slices, a bounded number a block, so that a job of any size can be
// cancelled in one message. It returns how many slices are open. A periodic job just ends.
func (k Keeper) CancelJob(ctx context.Context, owner string, id escrowtypes.ID) (uint32, error) {
	job, err := k.Job(ctx, id)
	if errors.Is(err, types.ErrJobNotFound) {
		return 0, k.cancelPeriodic(ctx, owner, id)
	}
	if err != nil {
		return 0, err
	}
	if job.Owner != owner {
		return 0, types.ErrNotOwner.Wrapf("%s belongs to %s", job.Id, job.Owner)
	}
	if job.Status != types.JOB_STATUS_OPEN || job.CancelledTime != 0 {
		return 0, types.ErrJobClosed.Wrapf("%s has ended or is being cancelled", job.Id)
	}
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasPerCancelled*uint64(job.OpenSlices), "jobs: slices to cancel")
	return job.OpenSlices, k.markCancelled(ctx, id, job)
}

// markCancelled leaves the slices of an open job to EndBlock.
func (k Keeper) markCancelled(ctx context.Context, id escrowtypes.ID, job types.Job) error {
	job.CancelledTime = blockSeconds(ctx)
	if job.IsService() {
		job.Service.End = types.CLOSE_REASON_CANCELLED
	}
	if err := k.cancelling.Set(ctx, id); err != nil {
		return err
	}
	if err := k.jobs.Set(ctx, id, job); err != nil {
		return err
	}
	return emit(ctx, &types.EventJobCancelled{JobId: job.Id, OpenSlices: job.OpenSlices})
}

// cancelSome goes on with cancellations, at most limit slices, and returns how many it looked at.
func (k Keeper) cancelSome(ctx context.Context, p types.Params, limit int) (int, error) {
	looked := 0
	for looked < limit {
		id, found, err := firstOf(ctx, k.cancelling)
		if err != nil || !found {
			return looked, err
		}
		n, err := k.cancelSlices(ctx, p, id, limit-looked)
		if err != nil {
			return looked, err
		}
		looked += max(n, 1)
	}
	return looked, nil
}

// firstOf is the first job of a set.
func firstOf(ctx context.Context, set collections.KeySet[escrowtypes.ID]) (escrowtypes.ID, bool, error) {
	var id escrowtypes.ID
	found := false
	err := set.Walk(ctx, nil, func(key escrowtypes.ID) (bool, error) {
		id, found = key, true
		return true, nil
	})
	return id, found, err
}

// cancelSlices goes on with the cancellation of a job from where it stopped.
func (k Keeper) cancelSlices(ctx context.Context, p types.Params, id escrowtypes.ID, limit int) (int, error) {
	job, err := k.Job(ctx, id)
	if err != nil {
		return 0, err
	}
	numbers, cursor := toCancel(job, limit)
	looked := len(numbers)
	for _, number := range numbers {
		if err := k.cancelOne(ctx, p, collections.Join(id, number)); err != nil {
			return looked, err
		}
	}
	if job, err = k.Job(ctx, id); err != nil {
		return looked, err
	}
	job.CancelCursor = cursor
	if job.CancelCursor == job.NextSlice {
		if err := k.cancelling.Remove(ctx, id); err != nil {
			return looked, err
		}
	}
	return looked, k.jobs.Set(ctx, id, job)
}

// toCancel are the slices that a cancellation looks at next, and where it stands then. The open slices of a service are few among many that have
// ended in the course of time, and are looked at all at once.
func toCancel(job types.Job, limit int) (numbers []uint32, cursor uint32) {
	if job.IsService() {
		for _, replica := range job.Service.Replicas {
			numbers = append(numbers, replica.Slices()...)
		}
		return numbers, job.NextSlice
	}
	cursor = job.CancelCursor
	for ; cursor < job.NextSlice && len(numbers) < limit; cursor++ {
		numbers = append(numbers, cursor)
	}
	return numbers, cursor
}

func (k Keeper) cancelOne(ctx context.Context, p types.Params, key types.SliceKey) error {
	s, err := k.Slice(ctx, key.K1(), key.K2())
	if err != nil || s.Status.Final() {
		return err
	}
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	if err := k.endSlice(cached, p, key, k.cancelSlice); err != nil {
		return emit(ctx, &types.EventSlicePostponed{JobId: s.JobId, Slice: s.Number, Due: s.Due, Reason: err.Error()})
	}
	write()
	return nil
}

// cancelSlice ends a slice of a cancelled job: one that waits gets all back, one that runs is paid for the time it ran, one that has its
// outcome settles as if accepted.
func (k Keeper) cancelSlice(ctx context.Context, j *openJob, s *types.Slice) error {
	if j.IsService() {
		return k.cancelServing(ctx, j, s)
	}
	e := ending{status: types.SLICE_STATUS_CANCELLED}
	switch s.Status {
	case types.SLICE_STATUS_REPORTED:
		return k.settle(ctx, j, s)
	case types.SLICE_STATUS_MATCHED:
		ran := atLeast(j.p, s, uint64(max(j.CancelledTime-s.MatchedTime, 0))*1000)
		paid, err := types.Pay(s.TaskCount, ran, s.AgreedPrice)
		if err != nil {
			return err
		}
		fee, err := feeOn(j.p, paid, s.FeeBudget)
		if err != nil {
			return err
		}
		e.paid, e.fee, e.voters, e.workMs = paid, fee, s.MatchedBy, uint64(s.TaskCount)*ran
		if err := k.stopRun(ctx, j, s); err != nil {
			return err
		}
	case types.SLICE_STATUS_PENDING:
		j.Counts.Pending -= s.TaskCount
	default:
		return types.ErrSliceState.Wrapf("slice %d of %s is %s", s.Number, s.JobId, s.Status)
	}
	rerun, err := k.endWithoutResult(ctx, j, s)
	if err != nil {
		return err
	}
	if !rerun {
		j.Counts.Cancelled += s.TaskCount
	}
	return k.conclude(ctx, j, s, e)
}
