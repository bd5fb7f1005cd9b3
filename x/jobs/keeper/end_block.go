package keeper

import "context"

// EndBlock starts the runs of periodic jobs that are due, asks about the epoch of services that has ended, and sees to what is due: slices whose time is
// over or whose epoch was judged, services that are to change, work of nodes that are gone, slices of cancelled jobs, of each a bounded number, the
// rest in the next block. Then it asks for matches.
func (k Keeper) EndBlock(ctx context.Context) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.startRuns(ctx, p); err != nil {
		return err
	}
	if err := k.tick(ctx, p); err != nil {
		return err
	}
	limit := int(p.MaxSlicesPerBlock)
	for _, step := range []func() (int, error){
		func() (int, error) { return k.settleDue(ctx, p, limit) },
		func() (int, error) { return k.changeSome(ctx, p, limit) },
		func() (int, error) { return k.loseDue(ctx, p, limit) },
		func() (int, error) { return k.cancelSome(ctx, p, limit) },
	} {
		n, err := step()
		if err != nil {
			return err
		}
		limit -= n
	}
	return k.openMatchRound(ctx, p)
}
