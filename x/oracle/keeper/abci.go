package keeper

import "context"

// EndBlocker counts the block's votes, executes what a quorum said, closes what is due and turns the epoch.
func (k Keeper) EndBlocker(ctx context.Context) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.completeUnbondings(ctx); err != nil {
		return err
	}
	if err := k.tallyTouched(ctx); err != nil {
		return err
	}
	if err := k.closeDue(ctx, p.MaxReportsPerBlock); err != nil {
		return err
	}
	if err := k.executeAccepted(ctx, p); err != nil {
		return err
	}
	if err := k.turnEpoch(ctx, p); err != nil {
		return err
	}
	// Last, so that the rounds which other modules open in their EndBlock get the set as it is now.
	return k.refreshSet(ctx, p)
}
