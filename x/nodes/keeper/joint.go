package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// wait has the nodes of a group benchmarked when the joint benchmark that is under way is over; what was put off until now follows then too.
func (k Keeper) wait(ctx context.Context, g *group, f types.Fleet) error {
	for _, id := range g.nodes {
		n, err := k.Node(ctx, id)
		if err != nil {
			return err
		}
		if err := k.closeBenchmark(ctx, id, &n); err != nil {
			return err
		}
		if err := k.Nodes.Set(ctx, id, n); err != nil {
			return err
		}
		if err := k.Waiting.Set(ctx, collections.Join(g.owner, id)); err != nil {
			return err
		}
	}
	if f.Due == 0 || f.Due > blockSeconds(ctx) {
		return nil
	}
	f.Due = f.Until
	return k.setFleet(ctx, g.owner, f)
}

// takeWaiting adds the nodes that wait to a group, as many as take part in one benchmark; more says that some are left.
func (k Keeper) takeWaiting(ctx context.Context, g *group) (more bool, err error) {
	var ids []escrowtypes.ID
	waiting := collections.NewPrefixedPairRange[sdk.AccAddress, escrowtypes.ID](g.owner)
	err = k.Waiting.Walk(ctx, waiting, func(key collections.Pair[sdk.AccAddress, escrowtypes.ID]) (bool, error) {
		more = len(g.nodes)+len(ids) >= fleetMost
		if !more {
			ids = append(ids, key.K2())
		}
		return more, nil
	})
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if err := k.Waiting.Remove(ctx, collections.Join(g.owner, id)); err != nil {
			return false, err
		}
		n, err := k.Node(ctx, id)
		if err != nil {
			return false, err
		}
		g.add(id, n)
	}
	return more, nil
}

// waits tells whether a node of the owner waits.
func (k Keeper) waits(ctx context.Context, owner sdk.AccAddress) (waits bool, err error) {
	waiting := collections.NewPrefixedPairRange[sdk.AccAddress, escrowtypes.ID](owner)
	err = k.Waiting.Walk(ctx, waiting, func(collections.Pair[sdk.AccAddress, escrowtypes.ID]) (bool, error) {
		waits = true
		return true, nil
	})
	return waits, err
}

// leaveJoint notes that the node has no benchmark under way any more. The joint benchmark that it was the last in is over: what waits for that
// begins in this block. The caller stores the node.
func (k Keeper) leaveJoint(ctx context.Context, n *types.Node) error {
	until, joint := n.BenchmarkUntil, n.BenchmarkStart != 0
	n.BenchmarkUntil, n.BenchmarkStart = 0, 0
	if !joint {
		return nil
	}
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return err
	}
	f, err := k.fleet(ctx, owner)
	if err != nil || f.Until != until || f.Open == 0 { // its time was over, and another one may be under way
		return err
	}
	if f.Open--; f.Open == 0 {
		f.Until = blockSeconds(ctx)
	}
	return k.setFleet(ctx, owner, f)
}
