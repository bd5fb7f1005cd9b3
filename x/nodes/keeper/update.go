package keeper

import (
	"context"

	"github.com/foggrid/fogd/x/nodes/types"
)

// update changes what the owner may change; anything that is raised must be benchmarked before it is matched.
func (k Keeper) update(ctx context.Context, msg *types.MsgUpdateNode) (bool, error) {
	id, n, err := k.owned(ctx, msg.Owner, msg.NodeId)
	if err != nil {
		return false, err
	}
	if !n.Status.Live() || jailedForGood(n) {
		return false, types.ErrWrongStatus.Wrapf("%s is %s and cannot change", n.Id, n.Status)
	}
	if err := msg.Validate(n); err != nil {
		return false, err
	}
	if msg.Prices != nil {
		n.Prices = *msg.Prices
	}
	if msg.Location != nil {
		n.Location = msg.Location
	}
	if len(msg.Engines) > 0 {
		n.Engines = msg.Engines
	}
	if msg.Address != "" {
		n.Address = msg.Address
	}
	if msg.Ports != nil {
		n.Ports = *msg.Ports
	}
	if msg.Hours != nil {
		if err := k.announce(ctx, &n, *msg.Hours); err != nil {
			return false, err
		}
	}
	if msg.ReplaceAttributes {
		n.Attributes = msg.Attributes
	}
	raised := false
	if msg.Capacity != nil {
		raised = msg.Capacity.FitsIn(n.Capacity) != nil
		n.Capacity = *msg.Capacity
	}
	if msg.Declared != nil {
		raised = raised || msg.Declared.Raises(n.Declared)
		n.Declared = *msg.Declared
	}
	// A jailed node is measured when its owner resumes it.
	if raised && n.Status != types.NODE_STATUS_JAILED {
		if err := k.askBenchmark(ctx, id, &n); err != nil {
			return false, err
		}
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return false, err
	}
	return n.BenchmarkPending, emitUpdated(ctx, n)
}

// announce takes the hours in which an owner's node will be offline; the caller stores the node.
func (k Keeper) announce(ctx context.Context, n *types.Node, hours types.OfflineHours) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	if err := n.Announce(hours, now, p); err != nil {
		return err
	}
	return emit(ctx, &types.EventNodeHours{NodeId: n.Id, Hours: hours, Since: now + int64(p.HoursLead)})
}

func emitUpdated(ctx context.Context, n types.Node) error {
	return emit(ctx, &types.EventNodeUpdated{NodeId: n.Id, BenchmarkPending: n.BenchmarkPending, Draining: n.Draining})
}
