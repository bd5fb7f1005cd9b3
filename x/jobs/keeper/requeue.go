package keeper

import (
	"context"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// requeueOrGiveUp takes tasks off a slice whose node brought no result for them: they are queued again, or, when no attempt is
// left or the job is cancelled, they end. part is the money of one task of the slice. Their budget leaves the slice only if they are
// queued again; else it goes back with the rest when the slice ends.
func (k Keeper) requeueOrGiveUp(
	ctx context.Context, j *openJob, s *types.Slice, part types.Terms, first, count uint32, reason string,
) error {
	if j.CancelledTime == 0 && s.Attempt < j.p.MaxAttempts {
		return k.requeue(ctx, j, s, part, first, count, reason)
	}
	switch {
	case s.Rerun != nil:
		if err := k.payFirstRun(ctx, j, s, withheldOf(s, first, count)); err != nil {
			return err
		}
		j.Counts.Failed += count
	case j.CancelledTime != 0:
		j.Counts.Cancelled += count
	default:
		j.Counts.Lost += count
	}
	return nil
}

// requeue makes a new pending slice of tasks, without the node that had them. Its budget is filled up again to what the cap allows, as
// far as what was refunded is still there.
func (k Keeper) requeue(ctx context.Context, j *openJob, s *types.Slice, part types.Terms, first, count uint32, reason string) error {
	terms, err := part.Times(count)
	if err != nil {
		return err
	}
	held, err := terms.Sum()
	if err != nil {
		return err
	}
	there, err := k.reclaimable(ctx, j)
	if err != nil {
		return err
	}
	there, err = escrowtypes.AddChecked(there, held)
	if err != nil {
		return err
	}
	want, err := types.TermsOf(j.PriceCap, s.MaxDuration, j.p.Fee)
	if err != nil {
		return err
	}
	got, err := want.Within(there/uint64(count), j.p.Fee)
	if err != nil {
		return err
	}
	next := k.successor(ctx, j, s, first, count)
	next.Attempt, next.ExcludedOwners, next.MaxDuration = s.Attempt, s.ExcludedOwners, s.MaxDuration
	if s.Rerun != nil {
		rerun := *s.Rerun
		rerun.Withheld = withheldOf(s, first, count)
		rerun.Paid, rerun.Fee, rerun.Refunded = 0, 0, 0
		next.Rerun = &rerun
	}
	s.Budget -= terms.Budget
	s.FeeBudget -= terms.Fee
	return k.queue(ctx, j, s, next, got, held, reason)
}

// successor begins a slice that takes over tasks of another.
func (k Keeper) successor(ctx context.Context, j *openJob, s *types.Slice, first, count uint32) *types.Slice {
	next := &types.Slice{
		JobId: j.Id, Number: j.NextSlice, FirstTask: first, TaskCount: count,
		Excluded:     append(slices.Clone(s.Excluded), s.NodeId),
		QueuedHeight: sdk.UnwrapSDKContext(ctx).BlockHeight(),
	}
	j.NextSlice++
	return next
}

// queue puts a successor into the queue with its money; held is what its tasks held before, what is withheld included.
func (k Keeper) queue(ctx context.Context, j *openJob, s, next *types.Slice, part types.Terms, held uint64, reason string) error {
	terms, err := part.Times(next.TaskCount)
	if err != nil {
		return err
	}
	to, err := terms.Sum()
	if err != nil {
		return err
	}
	if next.Rerun != nil && s.Rerun == nil { // withheld from what the tasks held; a rerun that is queued again keeps what it withholds
		withheld, err := next.WithheldSum()
		if err != nil {
			return err
		}
		to += withheld.Budget + withheld.Fee // both are parts of what was held
	}
	if err := k.rehold(ctx, j, held, to); err != nil {
		return err
	}
	next.Budget, next.FeeBudget = terms.Budget, terms.Fee
	j.Counts.Pending += next.TaskCount
	if err := k.move(ctx, j, next, types.SLICE_STATUS_PENDING, j.Deadline); err != nil {
		return err
	}
	return emit(ctx, &types.EventSliceRequeued{JobId: j.Id, Slice: s.Number, NewSlice: next.Number, Reason: reason})
}

// withheldOf is what a rerun withholds for some of its tasks.
func withheldOf(s *types.Slice, first, count uint32) []types.Withheld {
	from := first - s.FirstTask
	return slices.Clone(s.Rerun.Withheld[from : from+count])
}
