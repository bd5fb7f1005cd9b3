package keeper

import (
	"context"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// At any time a service's funded = paid + fees + refunded + burned + pool + what its open slices hold.

// drawPool takes money out of the pool for a slice to hold.
func (j *openJob) drawPool(amount uint64) error {
	if amount > j.Service.Pool {
		return types.ErrUnfunded.Wrapf("%s has %d%s in its pool, %d are needed; top it up", j.Id, j.Service.Pool, escrowtypes.Denom, amount)
	}
	j.Service.Pool -= amount
	return nil
}

// putBack brings what a slice holds into the pool.
func (j *openJob) putBack(s *types.Slice) error {
	held, err := s.Held()
	if err != nil {
		return err
	}
	j.Service.Pool, err = escrowtypes.AddChecked(j.Service.Pool, held)
	s.Budget, s.FeeBudget = 0, 0
	return err
}

// hold makes a slice hold what pays its node at the agreed price until the next epoch has been judged; ErrUnfunded, and nothing changed, if the
// pool cannot give it with the burned part on top.
func (k Keeper) hold(ctx context.Context, j *openJob, s *types.Slice, burned uint64) error {
	terms, err := types.TermsOf(s.AgreedPrice, j.p.HeldSeconds(), j.p.Fee)
	if err != nil {
		return err
	}
	need, err := terms.Sum()
	if err != nil {
		return err
	}
	if need, err = escrowtypes.AddChecked(need, burned); err != nil {
		return err
	}
	before, budget, fee := j.Service.Pool, s.Budget, s.FeeBudget
	if err := j.putBack(s); err != nil {
		return err
	}
	if err := j.drawPool(need); err != nil {
		j.Service.Pool, s.Budget, s.FeeBudget = before, budget, fee
		return err
	}
	s.Budget, s.FeeBudget, s.MaxDuration = terms.Budget, terms.Fee, j.p.HeldSeconds()
	if j.Service.Burned, err = escrowtypes.AddChecked(j.Service.Burned, burned); err != nil {
		return err
	}
	return k.escrow.Slash(ctx, j.account, burned)
}

// payTime pays a slice's node for milliseconds, out of what the slice holds, and the oracles their part. Over the life of the slice what was
// paid is the metered time at the agreed price, rounded down once.
func (k Keeper) payTime(ctx context.Context, j *openJob, s *types.Slice, clock types.ServiceClock, ms uint64) (paid, fee uint64, err error) {
	ms = min(ms, s.MaxDuration*1000)
	all, err := types.Pay(1, s.MeteredMs+ms, s.AgreedPrice)
	if err != nil {
		return 0, 0, err
	}
	paid = min(all-min(all, s.Paid), s.Budget)
	allFees, err := types.PartDown(s.Paid+paid, j.p.Fee)
	if err != nil {
		return 0, 0, err
	}
	fee = min(allFees-min(allFees, s.Fee), s.FeeBudget)
	provider, err := providerAccount(s.Provider)
	if err != nil {
		return 0, 0, err
	}
	if err := k.payProvider(ctx, j, provider, paid); err != nil {
		return 0, 0, err
	}
	voters := s.MatchedBy // who matched it, if nobody judged the epoch
	if clock.Voted == clock.Judged && len(clock.Voters) > 0 {
		voters = clock.Voters
	}
	if err := k.payOracles(ctx, j, voters, fee); err != nil {
		return 0, 0, err
	}
	s.MeteredMs += ms
	s.Paid, s.Budget = s.Paid+paid, s.Budget-paid
	s.Fee, s.FeeBudget = s.Fee+fee, s.FeeBudget-fee
	j.endedOn(s.NodeId).Done.Add(nodestypes.Statistics{Paid: paid, WorkMs: ms})
	return paid, fee, nil
}

// leaving is how a slice of a service ends.
type leaving struct {
	status types.SliceStatus
	// ms beyond the judged epochs are paid.
	ms uint64
	// burned of the collateral; the rest is returned.
	burned uint64
}

// endServing ends a slice of a service: its node is paid what is left to pay and is free again, what the slice holds beyond that goes to the
// pool.
func (k Keeper) endServing(ctx context.Context, j *openJob, s *types.Slice, l leaving) error {
	rate := j.PriceCap
	if s.Status == types.SLICE_STATUS_MATCHED {
		rate = s.AgreedPrice
		if err := k.leaveNode(ctx, j, s, l); err != nil {
			return err
		}
	} else {
		j.Counts.Pending--
	}
	var err error
	if j.Service.Rate, err = escrowtypes.SubChecked(j.Service.Rate, rate); err != nil {
		return err
	}
	if err := j.putBack(s); err != nil {
		return err
	}
	s.Budget, s.FeeBudget = s.Paid, s.Fee
	if err := k.move(ctx, j, s, l.status, 0); err != nil {
		return err
	}
	return emit(ctx, &types.EventSliceSettled{
		JobId: j.Id, Slice: s.Number, Status: s.Status, Paid: s.Paid, Fee: s.Fee,
		CollateralReturned: s.CollateralReturned, CollateralBurned: s.CollateralBurned,
	})
}

func (k Keeper) leaveNode(ctx context.Context, j *openJob, s *types.Slice, l leaving) error {
	if l.ms > 0 {
		clock, err := k.getClock(ctx)
		if err != nil {
			return err
		}
		if _, _, err := k.payTime(ctx, j, s, clock, l.ms); err != nil {
			return err
		}
	}
	provider, err := providerAccount(s.Provider)
	if err != nil {
		return err
	}
	returned, err := escrowtypes.SubChecked(s.Collateral, l.burned)
	if err != nil {
		return err
	}
	if err := k.escrow.Slash(ctx, provider, l.burned); err != nil {
		return err
	}
	if err := k.escrow.Unlock(ctx, provider, returned); err != nil {
		return err
	}
	s.CollateralReturned, s.CollateralBurned = returned, l.burned
	j.Counts.Matched--
	return k.release(ctx, j, s)
}

// releaseServing ends a slice in order: paid up to a time, for at least the shortest time if it is the developer's wish.
func (k Keeper) releaseServing(ctx context.Context, j *openJob, s *types.Slice, status types.SliceStatus, until int64, wished bool) error {
	l := leaving{status: status}
	if s.Status == types.SLICE_STATUS_MATCHED {
		clock, err := k.getClock(ctx)
		if err != nil {
			return err
		}
		l.ms = sinceJudged(s, clock, until)
		if wished {
			l.ms = atLeast(j.p, s, l.ms)
		}
	}
	return k.endServing(ctx, j, s, l)
}

// sinceJudged are the milliseconds that a slice has served and that no judgement has covered yet.
func sinceJudged(s *types.Slice, clock types.ServiceClock, until int64) uint64 {
	if s.Serving.StartedTime == 0 {
		return 0
	}
	from := s.Serving.MeteredUntil
	if s.Serving.NotRunningEpoch == clock.Judged { // judged, and not charged yet
		from = max(from, clock.JudgedEnded)
	}
	return uint64(max(until-from, 0)) * 1000
}

// fund adds money from the owner's wallet to the pool and returns until when the service is paid for.
func (k Keeper) fund(ctx context.Context, j *openJob, amount uint64) (int64, error) {
	if j.Service.End != types.CLOSE_REASON_UNSPECIFIED || j.Status != types.JOB_STATUS_OPEN {
		return 0, types.ErrJobClosed.Wrapf("%s has ended or is ending", j.Id)
	}
	owner, err := addressOf(j.Owner)
	if err != nil {
		return 0, err
	}
	if err := k.escrow.Deposit(ctx, owner, j.account, amount); err != nil {
		return 0, err
	}
	if err := k.escrow.Lock(ctx, j.account, amount); err != nil {
		return 0, err
	}
	if j.Funded, err = escrowtypes.AddChecked(j.Funded, amount); err != nil {
		return 0, err
	}
	if j.Service.Pool, err = escrowtypes.AddChecked(j.Service.Pool, amount); err != nil {
		return 0, err
	}
	cost, err := j.p.EpochCost(*j.Service)
	if err != nil {
		return 0, err
	}
	j.Service.Noticed = j.Service.Noticed && j.Service.Pool < cost
	if err := k.save(ctx, j); err != nil {
		return 0, err
	}
	if err := emit(ctx, &types.EventServiceToppedUp{JobId: j.Id, Amount: amount}); err != nil {
		return 0, err
	}
	return k.fundedUntil(ctx, j.Job)
}
