package keeper

import (
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/nodes/types"
)

// gasPerMove is more than the change of one node's class costs. A report that has less left ends there and keeps what it did: the next
// one names the others again.
const gasPerMove = 200_000

// openModel asks for a model by the clock, once there are nodes enough. Without a quorum the old one stays.
func (k Keeper) openModel(ctx context.Context, p types.Params) error {
	schedule, err := k.Schedule.Get(ctx)
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	if now < schedule.NextModel {
		return nil
	}
	next, err := k.NextIndex.Get(ctx)
	if err != nil {
		return err
	}
	if next <= p.ModelMinNodes {
		return nil
	}
	schedule.ModelVersion++
	schedule.ModelHeight = sdk.UnwrapSDKContext(ctx).BlockHeight()
	schedule.NextModel = now + int64(p.ModelPeriod)
	deadline := now + int64(min(p.ModelWindow, p.ModelPeriod))
	subject := types.EncodeModelSubject(schedule.ModelVersion, schedule.ModelHeight)
	if _, err := k.rounds.OpenRound(ctx, types.RoundKindModel, subject, deadline, deadline); err != nil {
		return err
	}
	return k.Schedule.Set(ctx, schedule)
}

// recordModel puts a model in the place of the last one and moves the nodes that change their class.
func (k Keeper) recordModel(ctx context.Context, r types.ModelReport) (uint32, error) {
	if err := r.Validate(); err != nil {
		return 0, err
	}
	schedule, err := k.Schedule.Get(ctx)
	if err != nil {
		return 0, err
	}
	if r.Version != schedule.ModelVersion || r.Height != schedule.ModelHeight {
		return 0, types.ErrStaleReport.Wrapf("version %d at height %d; the last that was asked for is %d at %d",
			r.Version, r.Height, schedule.ModelVersion, schedule.ModelHeight)
	}
	before, err := k.LastModel(ctx)
	if err != nil && !errors.Is(err, types.ErrNoModel) {
		return 0, err
	}
	if r.NextClass < before.NextClass {
		return 0, types.ErrInvalidReport.Wrapf("next_class %d; ids below %d were used", r.NextClass, before.NextClass)
	}
	model := types.Model{
		Version: r.Version, Height: r.Height, Encoded: r.Model, NextClass: r.NextClass, Classes: r.Classes,
		RecordedHeight: sdk.UnwrapSDKContext(ctx).BlockHeight(),
	}
	if err := k.Model.Set(ctx, model); err != nil {
		return 0, err
	}
	moved, err := k.moveNodes(ctx, r.Moves)
	if err != nil {
		return 0, err
	}
	return moved, emit(ctx, &types.EventModelRecorded{
		Version: model.Version, Hash: hex.EncodeToString(model.Hash()), Classes: uint32(len(model.Classes)), Moved: moved,
	})
}

func (k Keeper) moveNodes(ctx context.Context, moves []types.ClassMove) (moved uint32, err error) {
	gas := sdk.UnwrapSDKContext(ctx).GasMeter()
	for _, m := range moves {
		for _, index := range m.Nodes {
			if gas.GasRemaining() < gasPerMove {
				return moved, nil
			}
			id, err := k.ByIndex.Get(ctx, index)
			if errors.Is(err, collections.ErrNotFound) {
				return 0, types.ErrInvalidReport.Wrapf("moves: no node has index %d", index)
			}
			if err != nil {
				return 0, err
			}
			n, err := k.Node(ctx, id)
			if err != nil {
				return 0, err
			}
			n.Class, n.ClassCandidate = m.Class, m.Candidate
			if err := k.Nodes.Set(ctx, id, n); err != nil {
				return 0, err
			}
			moved++
		}
	}
	return moved, nil
}

// LastModel returns the model of the classes, or ErrNoModel.
func (k Keeper) LastModel(ctx context.Context) (types.Model, error) {
	model, err := k.Model.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return model, types.ErrNoModel.Wrap("the first is made when there are nodes enough (params: model_min_nodes)")
	}
	return model, err
}
