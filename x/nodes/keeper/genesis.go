package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// InitGenesis writes a genesis state; the indexes are made from the nodes.
func (k Keeper) InitGenesis(ctx context.Context, g types.GenesisState) error {
	if err := g.Validate(k.addresses); err != nil {
		return err
	}
	if err := k.Params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.NextIndex.Set(ctx, g.NextIndex); err != nil {
		return err
	}
	if err := k.Schedule.Set(ctx, g.Schedule); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if err := k.initNode(ctx, n); err != nil {
			return err
		}
	}
	for _, text := range g.ToBenchmark {
		id, err := types.ParseNodeID(text)
		if err != nil {
			return err
		}
		if err := k.ToBenchmark.Set(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) initNode(ctx context.Context, n types.Node) error {
	id, err := types.ParseNodeID(n.Id)
	if err != nil {
		return err
	}
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return err
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return err
	}
	ownerKey := collections.Join(sdk.AccAddress(owner), id)
	if err := k.ByOwner.Set(ctx, ownerKey); err != nil {
		return err
	}
	if n.Index != 0 {
		if err := k.ByIndex.Set(ctx, n.Index, id); err != nil {
			return err
		}
	}
	if n.Status == types.NODE_STATUS_JAILED && n.Offences > 0 {
		if err := k.Condemned.Set(ctx, ownerKey); err != nil {
			return err
		}
	}
	if n.Status.Live() {
		return k.ByKey.Set(ctx, n.AgentKey, id)
	}
	return nil
}

// ExportGenesis reads the whole state.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	var g types.GenesisState
	var err error
	if g.Params, err = k.Params.Get(ctx); err != nil {
		return nil, err
	}
	if g.NextIndex, err = k.NextIndex.Get(ctx); err != nil {
		return nil, err
	}
	if g.Schedule, err = k.Schedule.Get(ctx); err != nil {
		return nil, err
	}
	err = k.Nodes.Walk(ctx, nil, func(_ escrowtypes.ID, n types.Node) (bool, error) {
		g.Nodes = append(g.Nodes, n)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return &g, k.ToBenchmark.Walk(ctx, nil, func(id escrowtypes.ID) (bool, error) {
		g.ToBenchmark = append(g.ToBenchmark, id.Bech32(types.NodeHRP))
		return false, nil
	})
}
