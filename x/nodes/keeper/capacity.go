package keeper

import (
	"context"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// Reserve takes resources of an ACTIVE node for tasks. A node's first tasks come one at a time.
func (k Keeper) Reserve(ctx context.Context, id escrowtypes.ID, total types.Resources, tasks uint32) error {
	n, err := k.Node(ctx, id)
	if err != nil {
		return err
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	switch {
	case n.Status != types.NODE_STATUS_ACTIVE:
		return types.ErrWrongStatus.Wrapf("%s is %s; only an ACTIVE node takes work", n.Id, n.Status)
	case n.BenchmarkPending:
		return types.ErrWrongStatus.Wrapf("%s waits for a benchmark of what it declares", n.Id)
	case n.Statistics.Tasks < uint64(p.ProbationTasks) && uint64(n.RunningTasks)+uint64(tasks) > 1:
		return types.ErrNoCapacity.Wrapf("%s has ended %d tasks; its first %d come one at a time", n.Id, n.Statistics.Tasks, p.ProbationTasks)
	}
	reserved, err := n.Reserved.Add(total)
	if err != nil {
		return err
	}
	if err := reserved.FitsIn(n.Capacity); err != nil {
		return err
	}
	n.Reserved = reserved
	n.RunningTasks += tasks
	return k.Nodes.Set(ctx, id, n)
}

// Release gives resources back, in any status of the node.
func (k Keeper) Release(ctx context.Context, id escrowtypes.ID, total types.Resources, tasks uint32) error {
	n, err := k.Node(ctx, id)
	if err != nil {
		return err
	}
	if n.Reserved, err = n.Reserved.Sub(total); err != nil {
		return err
	}
	if tasks > n.RunningTasks {
		return escrowtypes.ErrUnderflow.Wrapf("%s runs %d tasks, %d cannot end", n.Id, n.RunningTasks, tasks)
	}
	n.RunningTasks -= tasks
	return k.Nodes.Set(ctx, id, n)
}

// RecordWork adds to the statistics of a node, in any status.
func (k Keeper) RecordWork(ctx context.Context, id escrowtypes.ID, delta types.Statistics) error {
	n, err := k.Node(ctx, id)
	if err != nil {
		return err
	}
	s := &n.Statistics
	s.Tasks += delta.Tasks
	s.Successes += delta.Successes
	s.Failures += delta.Failures
	s.Lost += delta.Lost
	s.Paid += delta.Paid
	s.WorkMs += delta.WorkMs
	return k.Nodes.Set(ctx, id, n)
}
