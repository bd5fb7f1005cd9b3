package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// retryAfter seconds, a slice that could not be settled is tried again.
const retryAfter = 600

// settleDue ends the slices whose time is over, oldest first, at most limit of them, and returns how many it took. Those whose time was
// put off since their entry was made are noted anew.
func (k Keeper) settleDue(ctx context.Context, p types.Params, limit int) (int, error) {
	due, err := k.dueSlices(ctx, blockSeconds(ctx), limit)
	if err != nil {
		return 0, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	for _, key := range due {
		cached, write := sdkCtx.CacheContext()
		if err := k.endDue(cached, p, key); err != nil {
			if err := k.postpone(ctx, key, err); err != nil {
				return 0, err
			}
			continue
		}
		write()
	}
	return len(due), nil
}

func (k Keeper) dueSlices(ctx context.Context, now int64, limit int) ([]types.SliceKey, error) {
	var due []types.SliceKey
	err := k.deadlines.Walk(ctx, new(collections.Range[collections.Pair[int64, types.SliceKey]]),
		func(key collections.Pair[int64, types.SliceKey]) (bool, error) {
			if key.K1() > now || len(due) == limit {
				return true, nil
			}
			due = append(due, key.K2())
			return false, nil
		})
	return due, err
}

// endDue ends a slice, unless its entry came before its time.
func (k Keeper) endDue(ctx context.Context, p types.Params, key types.SliceKey) error {
	s, err := k.Slice(ctx, key.K1(), key.K2())
	if err != nil {
		return err
	}
	if s.Status.Final() { // ended by one that was due before it
		return nil
	}
	if s.Due <= blockSeconds(ctx) {
		return k.endSlice(ctx, p, key, k.onDue)
	}
	if err := k.wakeAt(ctx, &s, key, s.Due); err != nil {
		return err
	}
	return k.slices.Set(ctx, key, s)
}

// endSlice applies a rule to a slice and its job.
func (k Keeper) endSlice(
	ctx context.Context, p types.Params, key types.SliceKey, rule func(context.Context, *openJob, *types.Slice) error,
) error {
	s, err := k.Slice(ctx, key.K1(), key.K2())
	if err != nil {
		return err
	}
	j, err := k.openJob(ctx, p, key.K1())
	if err != nil {
		return err
	}
	if err := rule(ctx, j, &s); err != nil {
		return err
	}
	return k.save(ctx, j)
}

// onDue ends a slice whose time is over, or pays the epoch of a service.
func (k Keeper) onDue(ctx context.Context, j *openJob, s *types.Slice) error {
	if j.IsService() {
		return k.serviceDue(ctx, j, s)
	}
	switch s.Status {
	case types.SLICE_STATUS_PENDING:
		return k.expire(ctx, j, s)
	case types.SLICE_STATUS_MATCHED:
		return k.endUnattested(ctx, j, s)
	case types.SLICE_STATUS_REPORTED:
		return k.settle(ctx, j, s)
	default:
		return types.ErrSliceState.Wrapf("slice %d of %s is %s", s.Number, s.JobId, s.Status)
	}
}

// expire ends a slice that found no node: all back.
func (k Keeper) expire(ctx context.Context, j *openJob, s *types.Slice) error {
	j.Counts.Pending -= s.TaskCount
	rerun, err := k.endWithoutResult(ctx, j, s)
	if err != nil {
		return err
	}
	if !rerun {
		j.Counts.Expired += s.TaskCount
	}
	return k.conclude(ctx, j, s, ending{status: types.SLICE_STATUS_EXPIRED})
}

// endUnattested ends a slice whose outcome no quorum attested: half of what it could have earned is paid, the rest and the collateral
// go back, and nobody gets a fee.
func (k Keeper) endUnattested(ctx context.Context, j *openJob, s *types.Slice) error {
	half, err := escrowtypes.MulDiv(uint64(s.TaskCount)*s.MaxDuration, s.AgreedPrice, 2*types.SecondsPerHour)
	if err != nil {
		return err
	}
	if err := k.stopRun(ctx, j, s); err != nil {
		return err
	}
	rerun, err := k.endWithoutResult(ctx, j, s)
	if err != nil {
		return err
	}
	if !rerun {
		j.Counts.Lost += s.TaskCount
	}
	return k.conclude(ctx, j, s, ending{status: types.SLICE_STATUS_SETTLED, paid: half})
}

// stopRun takes a running slice off its node: the capacity is free again and nobody is asked for the outcome any more.
func (k Keeper) stopRun(ctx context.Context, j *openJob, s *types.Slice) error {
	j.Counts.Matched -= s.TaskCount
	if err := k.release(ctx, j, s); err != nil {
		return err
	}
	return k.rounds.CancelRounds(ctx, types.RoundKindOutcome, outcomeSubject(j, s))
}

// postpone keeps a slice that cannot be settled now from holding up the queue.
func (k Keeper) postpone(ctx context.Context, key types.SliceKey, reason error) error {
	s, err := k.Slice(ctx, key.K1(), key.K2())
	if err != nil {
		return err
	}
	s.Due = blockSeconds(ctx) + retryAfter
	if err := k.wakeAt(ctx, &s, key, s.Due); err != nil {
		return err
	}
	if err := k.slices.Set(ctx, key, s); err != nil {
		return err
	}
	return emit(ctx, &types.EventSlicePostponed{JobId: s.JobId, Slice: s.Number, Due: s.Due, Reason: reason.Error()})
}
