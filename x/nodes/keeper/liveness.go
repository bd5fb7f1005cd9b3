package keeper

import (
	"cmp"
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/quorum"
	"github.com/foggrid/fogd/x/nodes/types"
)

// gasPerFlip is more than any one change of a node costs. A report that has less left ends there, and keeps what it did: the oracles
// name in the next epoch what still differs.
const gasPerFlip = 500_000

// recordLiveness flips what a quorum saw flipped and asks for the benchmarks of agents that a quorum saw restarted. What oracles name
// that does not fit the state any more is stale, not wrong.
func (k Keeper) recordLiveness(ctx context.Context, msg *types.MsgRecordLiveness) error {
	if msg.Quorum == 0 {
		return types.ErrInvalidReport.Wrap("quorum is 0")
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	var down, up []uint32
	var restarted []types.Restart
	var network []types.NetworkObservation
	for _, o := range msg.Observations {
		network = append(network, o.Network...)
		down, up, restarted = append(down, o.Down...), append(up, o.Up...), append(restarted, o.Restarted...)
	}
	for _, index := range quorum.Named(msg.Quorum, down, cmp.Compare) {
		if err := k.flip(ctx, index, p, k.markDown); err != nil {
			return err
		}
	}
	for _, index := range quorum.Named(msg.Quorum, up, cmp.Compare) {
		if err := k.flip(ctx, index, p, k.markUp); err != nil {
			return err
		}
	}
	for _, r := range quorum.Named(msg.Quorum, restarted, compareRestarts) {
		err := k.flip(ctx, r.Index, p, func(ctx context.Context, id escrowtypes.ID, n types.Node, _ types.Params) error {
			return k.markRestarted(ctx, id, n, r.Boot)
		})
		if err != nil {
			return err
		}
	}
	return k.recordNetworks(ctx, network, msg.Quorum, p)
}

// recordNetworks takes the figures of the nodes that a quorum named: of each the median.
func (k Keeper) recordNetworks(ctx context.Context, seen []types.NetworkObservation, least uint32, p types.Params) error {
	sameNode := func(a, b types.NetworkObservation) int { return cmp.Compare(a.Index, b.Index) }
	for _, named := range quorum.Groups(least, seen, sameNode) {
		err := k.flip(ctx, named[0].Index, p, func(ctx context.Context, id escrowtypes.ID, n types.Node, p types.Params) error {
			return k.setNetwork(ctx, id, n, types.MedianNetwork(named), p)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setNetwork notes how a live node's network is seen, and its grade.
func (k Keeper) setNetwork(ctx context.Context, id escrowtypes.ID, n types.Node, network types.Network, p types.Params) error {
	switch n.Status {
	case types.NODE_STATUS_ACTIVE, types.NODE_STATUS_DRAINING, types.NODE_STATUS_INACTIVE:
	default:
		return nil
	}
	network.Time = blockSeconds(ctx)
	from := n.Grade
	n.Network, n.Grade = network, p.Grade(network)
	if err := k.Nodes.Set(ctx, id, n); err != nil || n.Grade == from {
		return err
	}
	return emit(ctx, &types.EventNodeGraded{
		NodeId: n.Id, From: from, To: n.Grade, RttUs: network.RttUs, JitterUs: network.JitterUs, LossPpm: network.LossPpm,
	})
}

func compareRestarts(a, b types.Restart) int {
	return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Boot, b.Boot))
}

// flip changes the node with an index, if there is one and gas is left.
func (k Keeper) flip(
	ctx context.Context, index uint32, p types.Params, change func(context.Context, escrowtypes.ID, types.Node, types.Params) error,
) error {
	if sdk.UnwrapSDKContext(ctx).GasMeter().GasRemaining() < gasPerFlip {
		return nil
	}
	id, err := k.ByIndex.Get(ctx, index)
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := k.Node(ctx, id)
	if err != nil {
		return err
	}
	return change(ctx, id, n, p)
}

const tooOften = "went down too often"

// markDown makes a node INACTIVE; one that goes down too often is jailed.
func (k Keeper) markDown(ctx context.Context, id escrowtypes.ID, n types.Node, p types.Params) error {
	if n.Status != types.NODE_STATUS_ACTIVE && n.Status != types.NODE_STATUS_DRAINING {
		return nil
	}
	now := blockSeconds(ctx)
	var err error
	switch transitions := n.Down(now, p); {
	case transitions >= int(p.JailTransitions):
		err = k.jail(ctx, id, &n, tooOften)
	case n.AbsentAt(now):
		err = k.setStatus(ctx, &n, types.NODE_STATUS_INACTIVE, "seen down by a quorum, as announced")
	default:
		err = k.setStatus(ctx, &n, types.NODE_STATUS_INACTIVE, "seen down by a quorum")
	}
	if err != nil {
		return err
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return err
	}
	for _, h := range *k.hooks {
		if err := h.AfterNodeInactive(ctx, id, now); err != nil {
			return err
		}
	}
	return nil
}

// markUp brings an INACTIVE node back; one that was away for too long, or too often longer than announced, is jailed.
func (k Keeper) markUp(ctx context.Context, id escrowtypes.ID, n types.Node, p types.Params) error {
	if n.Status != types.NODE_STATUS_INACTIVE {
		return nil
	}
	away, transitions := n.Up(blockSeconds(ctx), p)
	reason := ""
	switch {
	case away > p.MostAway():
		reason = "was up for too little of the time"
	case transitions >= int(p.JailTransitions):
		reason = tooOften
	}
	if reason != "" {
		if err := k.jail(ctx, id, &n, reason); err != nil {
			return err
		}
		return k.Nodes.Set(ctx, id, n)
	}
	to := types.NODE_STATUS_ACTIVE
	if n.Draining {
		to = types.NODE_STATUS_DRAINING
	}
	if err := k.setStatus(ctx, &n, to, "seen up by a quorum"); err != nil {
		return err
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return err
	}
	return k.tellUp(ctx, id)
}

func (k Keeper) tellUp(ctx context.Context, id escrowtypes.ID) error {
	for _, h := range *k.hooks {
		if err := h.AfterNodeUp(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// markRestarted asks for a benchmark of an agent's new boot, in the place of one of an earlier boot; the node goes on with its work
// meanwhile.
func (k Keeper) markRestarted(ctx context.Context, id escrowtypes.ID, n types.Node, boot string) error {
	if n.Boot == boot {
		return nil
	}
	switch n.Status {
	case types.NODE_STATUS_ACTIVE, types.NODE_STATUS_DRAINING, types.NODE_STATUS_INACTIVE:
	default:
		return nil
	}
	if n.BenchmarkStart != 0 { // or the agent of one node would restart while the machine answers for another one
		n.BenchmarkPending = true
	}
	if err := k.closeBenchmark(ctx, id, &n); err != nil {
		return err
	}
	n.Boot, n.UnreachableTries = boot, 0
	if err := k.ToBenchmark.Set(ctx, id); err != nil {
		return err
	}
	return k.Nodes.Set(ctx, id, n)
}
