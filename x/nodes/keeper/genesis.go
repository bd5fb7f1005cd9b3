package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// InitGenesis writes a genesis state; the indexes are made from the nodes. The deposits must be locked in escrow already.
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
	deposits := map[string]uint64{}
	for _, n := range g.Nodes {
		if err := k.initNode(ctx, n); err != nil {
			return err
		}
		deposit, err := escrowtypes.AddChecked(deposits[n.Owner], n.Deposit)
		if err != nil {
			return err
		}
		deposits[n.Owner] = deposit
	}
	for _, n := range g.Nodes { // a node is there for each owner
		if err := k.checkLocked(ctx, n.Owner, deposits[n.Owner]); err != nil {
			return err
		}
	}
	for _, r := range g.Ratings {
		id, err := types.ParseNodeID(r.NodeId)
		if err != nil {
			return err
		}
		if err := k.Ratings.Set(ctx, id, r.Ratings); err != nil {
			return err
		}
	}
	if g.Model != nil {
		if err := k.Model.Set(ctx, *g.Model); err != nil {
			return err
		}
	}
	for _, f := range g.Fleets {
		owner, err := k.addresses.StringToBytes(f.Owner)
		if err != nil {
			return err
		}
		if err := k.setFleet(ctx, owner, f); err != nil {
			return err
		}
	}
	return k.initAsked(ctx, g)
}

// initAsked takes over which nodes are to be benchmarked, now or after a joint benchmark.
func (k Keeper) initAsked(ctx context.Context, g types.GenesisState) error {
	for _, text := range g.ToBenchmark {
		id, err := types.ParseNodeID(text)
		if err != nil {
			return err
		}
		if err := k.ToBenchmark.Set(ctx, id); err != nil {
			return err
		}
	}
	for _, text := range g.Waiting {
		id, err := types.ParseNodeID(text)
		if err != nil {
			return err
		}
		n, err := k.Node(ctx, id)
		if err != nil {
			return err
		}
		owner, err := k.addresses.StringToBytes(n.Owner)
		if err != nil {
			return err
		}
		if err := k.Waiting.Set(ctx, collections.Join(sdk.AccAddress(owner), id)); err != nil {
			return err
		}
	}
	return nil
}

// checkLocked compares an owner's deposits with escrow; collateral of running work is locked there too.
func (k Keeper) checkLocked(ctx context.Context, owner string, deposits uint64) error {
	if deposits == 0 {
		return nil
	}
	raw, err := k.addresses.StringToBytes(owner)
	if err != nil {
		return err
	}
	account, err := k.escrow.Account(ctx, escrowtypes.ProviderAccountID(raw))
	if err != nil {
		return types.ErrInvalidGenesis.Wrapf("deposits of %s: %s", owner, err)
	}
	if deposits > account.Locked {
		return types.ErrInvalidGenesis.Wrapf("deposits of %s are %d, but only %d is locked in %s", owner, deposits, account.Locked, account.Id)
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
	if n.Condemned {
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
	err = k.Ratings.Walk(ctx, nil, func(id escrowtypes.ID, ratings types.Ratings) (bool, error) {
		g.Ratings = append(g.Ratings, types.NodeRatings{NodeId: id.Bech32(types.NodeHRP), Ratings: ratings})
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.Fleets.Walk(ctx, nil, func(_ sdk.AccAddress, f types.Fleet) (bool, error) {
		g.Fleets = append(g.Fleets, f)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	model, err := k.LastModel(ctx)
	if err == nil {
		g.Model = &model
	} else if !errors.Is(err, types.ErrNoModel) {
		return nil, err
	}
	err = k.ToBenchmark.Walk(ctx, nil, func(id escrowtypes.ID) (bool, error) {
		g.ToBenchmark = append(g.ToBenchmark, id.Bech32(types.NodeHRP))
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return &g, k.Waiting.Walk(ctx, nil, func(key collections.Pair[sdk.AccAddress, escrowtypes.ID]) (bool, error) {
		g.Waiting = append(g.Waiting, key.K2().Bech32(types.NodeHRP))
		return false, nil
	})
}
