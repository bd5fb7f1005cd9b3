package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// InitGenesis writes the records and rebuilds every index from them. The state must be valid.
func (k Keeper) InitGenesis(ctx context.Context, gs types.GenesisState) error {
	if err := k.params.Set(ctx, gs.Params); err != nil {
		return err
	}
	if err := k.matchState.Set(ctx, gs.MatchState); err != nil {
		return err
	}
	for _, job := range gs.Jobs {
		if err := k.importJob(ctx, job); err != nil {
			return err
		}
	}
	for _, s := range gs.Slices {
		if err := k.importSlice(ctx, s); err != nil {
			return err
		}
	}
	for _, job := range gs.PeriodicJobs {
		if err := k.importPeriodic(ctx, job); err != nil {
			return err
		}
	}
	if err := k.importServices(ctx, gs); err != nil {
		return err
	}
	for _, loss := range gs.NodeLosses {
		node, err := nodestypes.ParseNodeID(loss.NodeId)
		if err != nil {
			return err
		}
		if err := k.setLoss(ctx, node, loss); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) importServices(ctx context.Context, gs types.GenesisState) error {
	for _, text := range gs.Changing {
		id, err := escrowtypes.ParseID(types.JobHRP, text)
		if err != nil {
			return err
		}
		if err := k.changing.Set(ctx, id); err != nil {
			return err
		}
	}
	return k.clock.Set(ctx, gs.ServiceClock)
}

func (k Keeper) importJob(ctx context.Context, job types.Job) error {
	id, err := escrowtypes.ParseID(types.JobHRP, job.Id)
	if err != nil {
		return err
	}
	owner, err := k.addresses.StringToBytes(job.Owner)
	if err != nil {
		return err
	}
	if err := k.jobs.Set(ctx, id, job); err != nil {
		return err
	}
	if err := k.byOwner.Set(ctx, collections.Join(sdk.AccAddress(owner), id)); err != nil {
		return err
	}
	if job.Status == types.JOB_STATUS_OPEN {
		if err := k.open.Set(ctx, id); err != nil {
			return err
		}
	}
	if job.CancelledTime == 0 || job.CancelCursor == job.NextSlice {
		return nil
	}
	return k.cancelling.Set(ctx, id)
}

func (k Keeper) importPeriodic(ctx context.Context, job types.PeriodicJob) error {
	id, err := escrowtypes.ParseID(types.JobHRP, job.Id)
	if err != nil {
		return err
	}
	owner, err := k.addresses.StringToBytes(job.Owner)
	if err != nil {
		return err
	}
	if job.Status == types.PERIODIC_STATUS_ACTIVE {
		if err := k.runQueue.Set(ctx, collections.Join(job.NextTime, id)); err != nil {
			return err
		}
	}
	if err := k.periodicByOwner.Set(ctx, collections.Join(sdk.AccAddress(owner), id)); err != nil {
		return err
	}
	return k.periodic.Set(ctx, id, job)
}

func (k Keeper) importSlice(ctx context.Context, s types.Slice) error {
	id, err := escrowtypes.ParseID(types.JobHRP, s.JobId)
	if err != nil {
		return err
	}
	key := collections.Join(id, s.Number)
	if !s.Status.Final() {
		if err := k.deadlines.Set(ctx, collections.Join(s.Wake, key)); err != nil {
			return err
		}
	}
	if err := k.enter(ctx, &s, key); err != nil {
		return err
	}
	return k.slices.Set(ctx, key, s)
}

// ExportGenesis reads the records; indexes follow from them.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	params, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	gs := &types.GenesisState{Params: params}
	if gs.MatchState, err = k.matchState.Get(ctx); err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	if gs.ServiceClock, err = k.getClock(ctx); err != nil {
		return nil, err
	}
	err = k.changing.Walk(ctx, nil, func(id escrowtypes.ID) (bool, error) {
		gs.Changing = append(gs.Changing, id.Bech32(types.JobHRP))
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.jobs.Walk(ctx, nil, func(_ escrowtypes.ID, job types.Job) (bool, error) {
		gs.Jobs = append(gs.Jobs, job)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.slices.Walk(ctx, nil, func(_ types.SliceKey, s types.Slice) (bool, error) {
		gs.Slices = append(gs.Slices, s)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.periodic.Walk(ctx, nil, func(_ escrowtypes.ID, job types.PeriodicJob) (bool, error) {
		gs.PeriodicJobs = append(gs.PeriodicJobs, job)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.losses.Walk(ctx, nil, func(_ escrowtypes.ID, loss types.NodeLoss) (bool, error) {
		gs.NodeLosses = append(gs.NodeLosses, loss)
		return false, nil
	})
	return gs, err
}
