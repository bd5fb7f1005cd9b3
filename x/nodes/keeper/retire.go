package keeper

import (
	"context"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// retire ends a registration that holds no work and frees its deposit.
func (k Keeper) retire(ctx context.Context, msg *types.MsgRetireNode) (uint64, error) {
	id, n, err := k.owned(ctx, msg.Owner, msg.NodeId)
	if err != nil {
		return 0, err
	}
	if !n.Status.Live() {
		return 0, types.ErrWrongStatus.Wrapf("%s is %s already", n.Id, n.Status)
	}
	if n.RunningTasks > 0 {
		return 0, types.ErrInUse.Wrapf("%s has %d running tasks; drain it and wait until they have ended", n.Id, n.RunningTasks)
	}
	if n.BenchmarkUntil != 0 { // EndBlock closes the round
		err = k.ToBenchmark.Set(ctx, id)
	} else {
		err = k.forgetAsked(ctx, id, n)
	}
	if err != nil {
		return 0, err
	}
	released, err := k.end(ctx, &n, types.NODE_STATUS_RETIRED, "retired by its owner")
	if err != nil {
		return 0, err
	}
	return released, k.Nodes.Set(ctx, id, n)
}

// end makes a node RETIRED or REFUSED: its key and its deposit are free again. The caller stores the node. The mark of a condemned node
// stays: its owner cannot get rid of it by retiring the node.
func (k Keeper) end(ctx context.Context, n *types.Node, to types.NodeStatus, reason string) (uint64, error) {
	if err := k.ByKey.Remove(ctx, n.AgentKey); err != nil {
		return 0, err
	}
	id, err := types.ParseNodeID(n.Id)
	if err != nil {
		return 0, err
	}
	if err := k.Ratings.Remove(ctx, id); err != nil {
		return 0, err
	}
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return 0, err
	}
	released := n.Deposit
	if err := k.escrow.Unlock(ctx, escrowtypes.ProviderAccountID(owner), released); err != nil {
		return 0, err
	}
	n.Deposit, n.BenchmarkPending, n.Draining = 0, false, false
	if err := k.setStatus(ctx, n, to, reason); err != nil {
		return 0, err
	}
	return released, emit(ctx, &types.EventNodeEnded{NodeId: n.Id, Released: released})
}
