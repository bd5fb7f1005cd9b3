package keeper

import (
	"context"
	"math"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// Reserve takes resources and ports of an ACTIVE node for tasks. The caller has read the node in the same context and has not changed it
// since. A node's first tasks come one at a time.
func (k Keeper) Reserve(ctx context.Context, id escrowtypes.ID, n types.Node, total types.Resources, tasks uint32, ports []uint32) error {
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
	if err := n.TakePorts(ports); err != nil {
		return err
	}
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

// EndWork gives resources back and adds to the statistics of a node, in any status of it.
func (k Keeper) EndWork(ctx context.Context, id escrowtypes.ID, work types.Work) error {
	n, err := k.Node(ctx, id)
	if err != nil {
		return err
	}
	if n.Reserved, err = n.Reserved.Sub(work.Released); err != nil {
		return err
	}
	if work.Tasks > n.RunningTasks {
		return escrowtypes.ErrUnderflow.Wrapf("%s runs %d tasks, %d cannot end", n.Id, n.RunningTasks, work.Tasks)
	}
	n.RunningTasks -= work.Tasks
	if err := n.ReleasePorts(work.Ports); err != nil {
		return err
	}
	n.Statistics.Add(work.Done)
	if err := k.rate(ctx, id, &n, work.Outcomes); err != nil {
		return err
	}
	return k.Nodes.Set(ctx, id, n)
}
