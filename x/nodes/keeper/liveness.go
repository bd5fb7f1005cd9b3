package keeper

import (
	"context"
	"slices"

	"github.com/foggrid/fogd/x/nodes/types"
)

// recordLiveness flips what a quorum saw flipped and asks for the benchmarks of agents that a quorum saw restarted.
func (k Keeper) recordLiveness(ctx context.Context, msg *types.MsgRecordLiveness) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	var down, up []uint32
	var restarted []types.Restart
	for _, o := range msg.Observations {
		down, up, restarted = append(down, o.Down...), append(up, o.Up...), append(restarted, o.Restarted...)
	}
	quorum := int(msg.Quorum)
	for _, index := range named(down, quorum) {
		if err := k.markDown(ctx, index, p); err != nil {
			return err
		}
	}
	for _, index := range named(up, quorum) {
		if err := k.markUp(ctx, index); err != nil {
			return err
		}
	}
	slices.SortFunc(restarted, func(a, b types.Restart) int {
		if a.Index != b.Index {
			return int(a.Index) - int(b.Index)
		}
		return slices.Compare([]byte(a.Boot), []byte(b.Boot))
	})
	for i := 0; i < len(restarted); {
		j := i
		for j < len(restarted) && restarted[j] == restarted[i] {
			j++
		}
		if j-i >= quorum {
			if err := k.markRestarted(ctx, restarted[i]); err != nil {
				return err
			}
		}
		i = j
	}
	return nil
}

// named returns the indexes that are there at least quorum times, increasing. An oracle names an index at most once.
func named(list []uint32, quorum int) []uint32 {
	slices.Sort(list)
	var out []uint32
	for i := 0; i < len(list); {
		j := i
		for j < len(list) && list[j] == list[i] {
			j++
		}
		if j-i >= quorum {
			out = append(out, list[i])
		}
		i = j
	}
	return out
}

// markDown makes a node INACTIVE; one that goes down too often is jailed until it is benchmarked again. What oracles name that does
// not fit the state any more is stale, not wrong.
func (k Keeper) markDown(ctx context.Context, index uint32, p types.Params) error {
	id, n, ok, err := k.byIndex(ctx, index)
	if err != nil || !ok {
		return err
	}
	if n.Status != types.NODE_STATUS_ACTIVE && n.Status != types.NODE_STATUS_DRAINING {
		return nil
	}
	now := blockSeconds(ctx)
	n.Transitions = slices.DeleteFunc(n.Transitions, func(t int64) bool { return t <= now-int64(p.TransitionWindow) })
	n.Transitions = append(n.Transitions, now)
	if over := len(n.Transitions) - types.MaxTransitions; over > 0 {
		n.Transitions = n.Transitions[over:]
	}
	if len(n.Transitions) >= int(p.JailTransitions) {
		n.JailReason, n.BenchmarkPending, n.BenchmarkTries = "went down too often", true, 0
		err = k.setStatus(ctx, &n, types.NODE_STATUS_JAILED, n.JailReason)
	} else {
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

// markUp brings an INACTIVE node back.
func (k Keeper) markUp(ctx context.Context, index uint32) error {
	id, n, ok, err := k.byIndex(ctx, index)
	if err != nil || !ok || n.Status != types.NODE_STATUS_INACTIVE {
		return err
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
	for _, h := range *k.hooks {
		if err := h.AfterNodeUp(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// markRestarted asks for a benchmark of an agent's new boot; the node goes on with its work meanwhile.
func (k Keeper) markRestarted(ctx context.Context, r types.Restart) error {
	id, n, ok, err := k.byIndex(ctx, r.Index)
	if err != nil || !ok || n.Boot == r.Boot {
		return err
	}
	switch n.Status {
	case types.NODE_STATUS_ACTIVE, types.NODE_STATUS_DRAINING, types.NODE_STATUS_INACTIVE:
	default:
		return nil
	}
	n.Boot, n.BenchmarkTries = r.Boot, 0
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return err
	}
	return k.ToBenchmark.Set(ctx, id)
}
