package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

const (
	// maxOffences of false declaration, then the jail is for good.
	maxOffences = 2
	// awardPart of what is slashed goes to those whose work the node had: a tenth.
	awardPart = 10
)

func jailedForGood(n types.Node) bool {
	return n.Status == types.NODE_STATUS_JAILED && n.Condemned && n.Offences >= maxOffences
}

// jail stops a node that was away too much until it is benchmarked again, which its owner asks for; the caller stores the node. Its work is
// lost after the grace that began when it went down, unless it is out of jail before.
func (k Keeper) jail(ctx context.Context, id escrowtypes.ID, n *types.Node, reason string) error {
	// A benchmark that was under way is not the one that lets it out.
	if err := k.forgetAsked(ctx, id, *n); err != nil {
		return err
	}
	if err := k.closeBenchmark(ctx, id, n); err != nil {
		return err
	}
	n.JailReason, n.BenchmarkPending = reason, true
	return k.setStatus(ctx, n, types.NODE_STATUS_JAILED, reason)
}

// condemn jails a node whose declared hardware is not there, and slashes its deposit: a tenth of that goes to the developers whose
// work it had, the rest is burned.
func (k Keeper) condemn(ctx context.Context, id escrowtypes.ID, n *types.Node, p types.Params, reason string) error {
	slashed, err := escrowtypes.MulDiv(n.Deposit, uint64(p.FalseDeclarationSlash), 10_000)
	if err != nil {
		return err
	}
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return err
	}
	n.Offences++
	n.Deposit -= slashed
	n.Condemned, n.JailReason = true, reason
	if err := k.setStatus(ctx, n, types.NODE_STATUS_JAILED, reason); err != nil {
		return err
	}
	if err := k.Condemned.Set(ctx, collections.Join(sdk.AccAddress(owner), id)); err != nil {
		return err
	}
	// The listeners release what the node had reserved, so it is stored before and read again after.
	if err := k.Nodes.Set(ctx, id, *n); err != nil {
		return err
	}
	awarded, err := k.award(ctx, id, slashed/awardPart)
	if err != nil {
		return err
	}
	if err := k.escrow.Slash(ctx, escrowtypes.ProviderAccountID(owner), slashed-awarded); err != nil {
		return err
	}
	if *n, err = k.Node(ctx, id); err != nil {
		return err
	}
	return emit(ctx, &types.EventNodeSlashed{NodeId: n.Id, Amount: slashed, Awarded: awarded, Reason: reason})
}

// award lets the listeners share out at most limit of a condemned node's deposit, and returns what they took.
func (k Keeper) award(ctx context.Context, id escrowtypes.ID, limit uint64) (uint64, error) {
	left := limit
	for _, h := range *k.hooks {
		taken, err := h.AfterNodeCondemned(ctx, id, left)
		if err != nil {
			return 0, err
		}
		if left, err = escrowtypes.SubChecked(left, taken); err != nil {
			return 0, err
		}
	}
	return limit - left, nil
}
