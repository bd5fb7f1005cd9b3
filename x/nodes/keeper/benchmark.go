package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// maxOffences of false declaration, then the jail is for good.
const maxOffences = 2

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
	if !n.Status.Live() {
		return types.ErrWrongStatus.Wrapf("%s is %s", n.Id, n.Status)
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	measured, count := types.Medians(msg.Observations)
	verdict, lowered, detail := types.VerdictUnreachable, n.Declared, "too few oracles could measure"
	if count >= int(msg.Quorum) {
		n.Measured = measured
		verdict, lowered, detail = types.Judge(n.Declared, measured, p)
	}
	n.Boot = msg.Boot
	recorded := string(verdict)
	switch verdict {
	case types.VerdictPass, types.VerdictLower:
		err = k.pass(ctx, id, &n, lowered)
	default:
		recorded, err = k.fallShort(ctx, id, &n, p, verdict, detail)
	}
	if err != nil {
		return err
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return err
	}
	return emit(ctx, &types.EventBenchmarkRecorded{NodeId: n.Id, Boot: msg.Boot, Measured: measured, Verdict: recorded})
}

// pass lets a node work; what it overstated a little is lowered.
func (k Keeper) pass(ctx context.Context, id escrowtypes.ID, n *types.Node, lowered types.Benchmark) error {
	n.Declared = lowered
	// What is offered follows what is declared, but never below what running work holds.
	n.Capacity.MemoryMib = max(n.Reserved.MemoryMib, min(n.Capacity.MemoryMib, lowered.MemoryMib))
	n.Capacity.StorageMib = max(n.Reserved.StorageMib, min(n.Capacity.StorageMib, lowered.StorageMib))
	n.BenchmarkPending, n.BenchmarkTries = false, 0
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
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return err
	}
	if err := k.Condemned.Remove(ctx, collections.Join(sdk.AccAddress(owner), id)); err != nil {
		return err
	}
	n.Activated, n.JailReason, n.Transitions, n.Draining = true, "", nil, false
	return k.setStatus(ctx, n, types.NODE_STATUS_ACTIVE, "benchmark passed")
}

// fallShort tries again, and at the last try refuses a newcomer or condemns a node that has been ACTIVE.
func (k Keeper) fallShort(
	ctx context.Context, id escrowtypes.ID, n *types.Node, p types.Params, verdict types.Verdict, detail string,
) (string, error) {
	n.BenchmarkTries++
	n.BenchmarkPending = true
	if n.BenchmarkTries < p.MaxBenchmarkTries {
		return "retry", k.ToBenchmark.Set(ctx, id)
	}
	if verdict == types.VerdictUnreachable {
		// Nobody can say that the hardware is not there; the node waits until its owner resumes it or liveness finds it down.
		return string(verdict), nil
	}
	if !n.Activated {
		_, err := k.end(ctx, id, n, types.NODE_STATUS_REFUSED, "declared "+detail+" was not reached")
		return "refused", err
	}
	return "false_declaration", k.condemn(ctx, id, n, p, detail)
}

// condemn jails a node whose declared hardware is not there, and slashes its deposit: a tenth of that goes to the developers whose
// work it had, the rest is burned.
func (k Keeper) condemn(ctx context.Context, id escrowtypes.ID, n *types.Node, p types.Params, detail string) error {
	if n.Status == types.NODE_STATUS_JAILED && n.Offences >= maxOffences {
		return nil
	}
	slashed, err := escrowtypes.MulDiv(n.Deposit, uint64(p.FalseDeclarationSlash), 10_000)
	if err != nil {
		return err
	}
	n.Offences++
	n.Deposit -= slashed
	n.JailReason = "declared " + detail + " was not there"
	if err := k.setStatus(ctx, n, types.NODE_STATUS_JAILED, n.JailReason); err != nil {
		return err
	}
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return err
	}
	if err := k.Condemned.Set(ctx, collections.Join(sdk.AccAddress(owner), id)); err != nil {
		return err
	}
	// The listeners release what the node had reserved, so it is stored before and read again after.
	if err := k.Nodes.Set(ctx, id, *n); err != nil {
		return err
	}
	left, award := slashed, slashed/10
	for _, h := range *k.hooks {
		used, err := h.AfterNodeCondemned(ctx, id, min(award, left))
		if err != nil {
			return err
		}
		left -= used
		award -= used
	}
	if left > 0 {
		if err := k.escrow.Slash(ctx, escrowtypes.ProviderAccountID(owner), left); err != nil {
			return err
		}
	}
	if *n, err = k.Node(ctx, id); err != nil {
		return err
	}
	return emit(ctx, &types.EventNodeSlashed{NodeId: n.Id, Amount: slashed, Reason: n.JailReason})
}
