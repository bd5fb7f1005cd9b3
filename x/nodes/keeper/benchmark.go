package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// recordBenchmark takes the medians of what the oracles measured and judges the declaration.
func (k Keeper) recordBenchmark(ctx context.Context, msg *types.MsgRecordBenchmark) error {
	id, err := types.ParseNodeID(msg.NodeId)
	if err != nil {
		return err
	}
	n, err := k.Node(ctx, id)
	if err != nil {
		return err
	}
	if err := k.mayRecord(ctx, id, n, msg); err != nil {
		return err
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	joint := n.BenchmarkStart != 0
	if err := k.leaveJoint(ctx, &n); err != nil {
		return err
	}
	from, recorded := n.Status, ""
	measured, count := types.Medians(msg.Observations)
	if count < int(msg.Quorum) {
		recorded, err = k.unreachable(ctx, id, &n, p)
	} else {
		measured = types.Credit(measured, n)
		n.Measured, n.UnreachableTries = measured, 0
		recorded, err = k.judge(ctx, id, &n, p, joint)
	}
	if err != nil {
		return err
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return err
	}
	if err := emit(ctx, &types.EventBenchmarkRecorded{NodeId: n.Id, Boot: msg.Boot, Measured: measured, Verdict: recorded}); err != nil {
		return err
	}
	if from != types.NODE_STATUS_JAILED || n.Status != types.NODE_STATUS_ACTIVE {
		return nil
	}
	return k.tellUp(ctx, id) // out of jail before the grace was over: its work goes on
}

// mayRecord refuses a report on what is no longer there.
func (k Keeper) mayRecord(ctx context.Context, id escrowtypes.ID, n types.Node, msg *types.MsgRecordBenchmark) error {
	if msg.Quorum == 0 {
		return types.ErrInvalidReport.Wrap("quorum is 0")
	}
	if !n.Status.Live() || jailedForGood(n) {
		return types.ErrWrongStatus.Wrapf("%s is %s", n.Id, n.Status)
	}
	if msg.Boot != n.Boot {
		return types.ErrStaleReport.Wrapf("boot %s; %s has boot %s", msg.Boot, n.Id, n.Boot)
	}
	asked, err := k.Asked(ctx, id, n)
	if err != nil {
		return err
	}
	if asked {
		return types.ErrStaleReport.Wrapf("%s is to be benchmarked again", n.Id)
	}
	return nil
}

// judge compares what is declared with what was measured and returns what follows.
func (k Keeper) judge(ctx context.Context, id escrowtypes.ID, n *types.Node, p types.Params, joint bool) (string, error) {
	now := blockSeconds(ctx)
	if n.BelowTime != 0 && now >= n.BelowTime+fleetDay {
		n.BenchmarkTries, n.BelowTime = 0, 0
	}
	verdict, lowered, figure := types.Judge(n.Declared, n.Measured, p)
	if verdict != types.VerdictBelow {
		return string(verdict), k.pass(ctx, id, n, lowered)
	}
	n.BenchmarkPending = true
	n.BenchmarkTries++
	if joint {
		n.BelowTime = now
	}
	if n.BenchmarkTries < p.MaxBenchmarkTries {
		return "retry", k.ToBenchmark.Set(ctx, id)
	}
	if !n.Activated {
		_, err := k.end(ctx, n, types.NODE_STATUS_REFUSED, "declared "+figure+" was not reached")
		return "refused", err
	}
	n.BelowTime = 0
	return "false_declaration", k.condemn(ctx, id, n, p, "declared "+figure+" was not there")
}

// pass lets a node work; what it overstated a little is lowered.
func (k Keeper) pass(ctx context.Context, id escrowtypes.ID, n *types.Node, lowered types.Benchmark) error {
	n.Declared = lowered
	// What is offered follows what is declared, but never below what running work holds.
	n.Capacity.MemoryMib = max(n.Reserved.MemoryMib, min(n.Capacity.MemoryMib, lowered.MemoryMib))
	n.Capacity.StorageMib = max(n.Reserved.StorageMib, min(n.Capacity.StorageMib, lowered.StorageMib))
	n.BenchmarkPending = false
	// Of nodes that share a machine another one falls short each time, so passing among others does not wipe out the times before.
	if n.BelowTime == 0 {
		n.BenchmarkTries = 0
	}
	if n.Status != types.NODE_STATUS_PENDING && n.Status != types.NODE_STATUS_JAILED {
		return nil
	}
	if n.Index == 0 {
		index, err := k.NextIndex.Get(ctx)
		if err != nil {
			return err
		}
		if err := k.NextIndex.Set(ctx, index+1); err != nil {
			return err
		}
		if err := k.ByIndex.Set(ctx, index, id); err != nil {
			return err
		}
		n.Index = index
	}
	if n.Condemned {
		owner, err := k.addresses.StringToBytes(n.Owner)
		if err != nil {
			return err
		}
		if err := k.Condemned.Remove(ctx, collections.Join(sdk.AccAddress(owner), id)); err != nil {
			return err
		}
	}
	n.Activated, n.Condemned, n.JailReason, n.Outages, n.Draining = true, false, "", nil, false
	return k.setStatus(ctx, n, types.NODE_STATUS_ACTIVE, "benchmark passed")
}

// unreachable tries again. Nobody can say that the hardware is not there: in the end the node waits until its owner resumes it.
func (k Keeper) unreachable(ctx context.Context, id escrowtypes.ID, n *types.Node, p types.Params) (string, error) {
	n.BenchmarkPending = true
	n.UnreachableTries++
	if n.UnreachableTries < p.MaxBenchmarkTries {
		return "retry", k.ToBenchmark.Set(ctx, id)
	}
	return "unreachable", nil
}
