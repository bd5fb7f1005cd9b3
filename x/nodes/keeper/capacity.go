package keeper

import (
	"context"
	"math"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// Reserve takes resources of an ACTIVE node for tasks. A node's first tasks come one at a time.
func (k Keeper) Reserve(ctx context.Context, id escrowtypes.ID, total types.Resources, tasks uint32) error {
	n, err := k.Node(ctx, id)
	if err != nil {
		return err
	}
	return k.ReserveOn(ctx, id, n, total, tasks)
}

// ReserveOn is Reserve for a caller that has read the node in the same context, and has not changed it since.
func (k Keeper) ReserveOn(ctx context.Context, id escrowtypes.ID, n types.Node, total types.Resources, tasks uint32) error {
	switch {
	case n.Status != types.NODE_STATUS_ACTIVE:
		return types.ErrWrongStatus.Wrapf("%s is %s; only an ACTIVE node takes work", n.Id, n.Status)
	case n.BenchmarkPending:
		return types.ErrWrongStatus.Wrapf("%s waits for a benchmark of what it declares", n.Id)
	case tasks > math.MaxUint32-n.RunningTasks:
		return types.ErrNoCapacity.Wrapf("%s runs %d tasks", n.Id, n.RunningTasks)
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
	if err := k.checkProbation(ctx, n); err != nil {
		return err
	}
	return k.Nodes.Set(ctx, id, n)
}

// checkProbation reads the params only for a node that could still be in its probation.
func (k Keeper) checkProbation(ctx context.Context, n types.Node) error {
	if n.RunningTasks <= 1 || n.Statistics.Tasks >= types.MaxProbationTasks {
		return nil
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if n.Statistics.Tasks < uint64(p.ProbationTasks) {
		return types.ErrNoCapacity.Wrapf("%s has ended %d tasks; its first %d come one at a time", n.Id, n.Statistics.Tasks, p.ProbationTasks)
	}
	return nil
}

// Release gives resources back, in any status of the node.
func (k Keeper) Release(ctx context.Context, id escrowtypes.ID, total types.Resources, tasks uint32) error {
	return k.EndWork(ctx, id, total, tasks, types.Statistics{})
}

// RecordWork adds to the statistics of a node, in any status.
func (k Keeper) RecordWork(ctx context.Context, id escrowtypes.ID, delta types.Statistics) error {
	return k.EndWork(ctx, id, types.Resources{}, 0, delta)
}

// EndWork is Release and RecordWork in one.
func (k Keeper) EndWork(ctx context.Context, id escrowtypes.ID, total types.Resources, tasks uint32, delta types.Statistics) error {
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
	n.Statistics.Add(delta)
	return k.Nodes.Set(ctx, id, n)
}
