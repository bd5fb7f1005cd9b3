package keeper

import (
	"context"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// ending is how the money of a slice is shared out.
type ending struct {
	status types.SliceStatus
	// paid to the provider, fee to voters; what the slice holds beyond that is refunded.
	paid   uint64
	fee    uint64
	voters []string
	// burned of the collateral; the rest is returned.
	burned uint64
	// workMs is the metered time that was paid.
	workMs uint64
}

// settle pays for a slice that has its outcome: tasks that succeeded by metered time, failed ones at least the minimum.
func (k Keeper) settle(ctx context.Context, j *openJob, s *types.Slice) error {
	paid, err := types.Pay(s.Succeeded, s.MeteredMs, s.AgreedPrice)
	if err != nil {
		return err
	}
	forFailed, err := types.Pay(s.Failed, atLeast(j.p, s, s.MeteredMs), s.AgreedPrice)
	if err != nil {
		return err
	}
	if paid, err = escrowtypes.AddChecked(paid, forFailed); err != nil {
		return err
	}
	fee, err := feeOn(j.p, paid, s.FeeBudget)
	if err != nil {
		return err
	}
	j.Counts.Reported -= s.Succeeded + s.Failed
	j.Counts.Succeeded += s.Succeeded
	j.Counts.Failed += s.Failed
	return k.conclude(ctx, j, s, ending{
		status: types.SLICE_STATUS_SETTLED, paid: paid, fee: fee, voters: s.AttestedBy,
		workMs: uint64(s.Succeeded+s.Failed) * s.MeteredMs,
	})
}

// conclude shares out what a slice and its collateral hold, and ends it.
func (k Keeper) conclude(ctx context.Context, j *openJob, s *types.Slice, e ending) error {
	rest, err := escrowtypes.SubChecked(s.Budget, e.paid)
	if err != nil {
		return err
	}
	restFee, err := escrowtypes.SubChecked(s.FeeBudget, e.fee)
	if err != nil {
		return err
	}
	if s.Provider != "" {
		if err := k.concludeProvider(ctx, j, s, e); err != nil {
			return err
		}
	}
	if err := k.payOracles(ctx, j, e.voters, e.fee); err != nil {
		return err
	}
	refunded, err := escrowtypes.AddChecked(rest, restFee)
	if err != nil {
		return err
	}
	if err := k.refund(ctx, j, refunded); err != nil {
		return err
	}
	s.Paid, s.Fee, s.Refunded = e.paid, e.fee, refunded
	if err := k.move(ctx, j, s, e.status, 0); err != nil {
		return err
	}
	return emit(ctx, &types.EventSliceSettled{
		JobId: j.Id, Slice: s.Number, Status: s.Status, Paid: s.Paid, Fee: s.Fee, Refunded: s.Refunded,
		CollateralReturned: s.CollateralReturned, CollateralBurned: s.CollateralBurned,
	})
}

// concludeProvider pays the provider and returns or burns its collateral.
func (k Keeper) concludeProvider(ctx context.Context, j *openJob, s *types.Slice, e ending) error {
	provider, err := providerAccount(s.Provider)
	if err != nil {
		return err
	}
	returned, err := escrowtypes.SubChecked(s.Collateral, e.burned)
	if err != nil {
		return err
	}
	if err := k.payProvider(ctx, j, provider, e.paid); err != nil {
		return err
	}
	if err := k.escrow.Slash(ctx, provider, e.burned); err != nil {
		return err
	}
	if err := k.escrow.Unlock(ctx, provider, returned); err != nil {
		return err
	}
	s.CollateralReturned, s.CollateralBurned = returned, e.burned
	if e.paid == 0 && e.workMs == 0 {
		return nil
	}
	j.endedOn(s.NodeId).Done.Add(nodestypes.Statistics{Paid: e.paid, WorkMs: e.workMs})
	return nil
}
