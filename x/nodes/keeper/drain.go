package keeper

import (
	"context"

	"github.com/foggrid/fogd/x/nodes/types"
)

// drain stops new work; a node that is INACTIVE drains when it is back.
func (k Keeper) drain(ctx context.Context, msg *types.MsgDrainNode) error {
	id, n, err := k.owned(ctx, msg.Owner, msg.NodeId)
	if err != nil {
		return err
	}
	if n.Status != types.NODE_STATUS_ACTIVE && n.Status != types.NODE_STATUS_INACTIVE || n.Draining {
		return types.ErrWrongStatus.Wrapf("%s is %s (draining: %t); only an ACTIVE or INACTIVE node can start to drain", n.Id, n.Status, n.Draining)
	}
	n.Draining = true
	if n.Status == types.NODE_STATUS_ACTIVE {
		if err := k.setStatus(ctx, &n, types.NODE_STATUS_DRAINING, "drained by its owner"); err != nil {
			return err
		}
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return err
	}
	return emitUpdated(ctx, n)
}

// resume ends draining, or asks for a new benchmark of a node that waits in vain or in jail.
func (k Keeper) resume(ctx context.Context, msg *types.MsgResumeNode) error {
	id, n, err := k.owned(ctx, msg.Owner, msg.NodeId)
	if err != nil {
		return err
	}
	switch {
	case !n.Status.Live():
		return types.ErrWrongStatus.Wrapf("%s is %s; register it anew", n.Id, n.Status)
	case jailedForGood(n):
		return types.ErrWrongStatus.Wrapf("%s is jailed for good after %d false declarations; retire it", n.Id, n.Offences)
	case n.Status == types.NODE_STATUS_DRAINING:
		n.Draining = false
		err = k.setStatus(ctx, &n, types.NODE_STATUS_ACTIVE, "resumed by its owner")
	case n.Status == types.NODE_STATUS_INACTIVE && n.Draining:
		n.Draining = false
	case n.BenchmarkPending:
		err = k.askBenchmark(ctx, id, &n)
	default:
		return types.ErrWrongStatus.Wrapf("%s is %s; there is nothing to resume", n.Id, n.Status)
	}
	if err != nil {
		return err
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return err
	}
	return emitUpdated(ctx, n)
}
