package keeper

import (
	"context"
	"errors"
	"slices"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// condemnedAtOnce is the most slices that are taken off a condemned node at once; EndBlock takes the others.
const condemnedAtOnce = 64

var _ nodestypes.NodeHooks = Keeper{}

// AfterNodeInactive notes when the node's running work will be lost.
func (k Keeper) AfterNodeInactive(ctx context.Context, node escrowtypes.ID, since int64) error {
	grace, err := k.nodes.LostGrace(ctx)
	if err != nil {
		return err
	}
	return k.setLoss(ctx, node, types.NodeLoss{Time: since + int64(grace)})
}

// AfterNodeUp forgets it again; the queue may have waited for this node.
func (k Keeper) AfterNodeUp(ctx context.Context, node escrowtypes.ID) error {
	if err := k.noteCapacity(ctx); err != nil {
		return err
	}
	loss, err := k.losses.Get(ctx, node)
	if errors.Is(err, collections.ErrNotFound) || err == nil && loss.Condemned {
		return nil
	}
	if err != nil {
		return err
	}
	return k.removeLoss(ctx, node, loss)
}

// AfterNodeCondemned takes the running work off a node whose declared hardware was not there, without the loss slash, and shares award, which
// is locked in the provider's account, in equal parts among the jobs it harmed. It returns how much of it they got.
func (k Keeper) AfterNodeCondemned(ctx context.Context, node escrowtypes.ID, award uint64) (uint64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	keys, err := k.runningOn(ctx, node, condemnedAtOnce+1)
	if err != nil {
		return 0, err
	}
	if len(keys) > condemnedAtOnce {
		keys = keys[:condemnedAtOnce]
		if err := k.setLoss(ctx, node, types.NodeLoss{Time: blockSeconds(ctx), Condemned: true}); err != nil {
			return 0, err
		}
	}
	var harmed []escrowtypes.ID
	for _, key := range keys {
		if err := k.endSlice(ctx, p, key, k.condemn); err != nil {
			return 0, err
		}
		if !slices.Contains(harmed, key.K1()) {
			harmed = append(harmed, key.K1())
		}
	}
	return k.award(ctx, node, harmed, award)
}

func (k Keeper) award(ctx context.Context, id escrowtypes.ID, harmed []escrowtypes.ID, award uint64) (uint64, error) {
	if len(harmed) == 0 {
		return 0, nil
	}
	node, err := k.nodes.Node(ctx, id)
	if err != nil {
		return 0, err
	}
	provider, err := providerAccount(node.Owner)
	if err != nil {
		return 0, err
	}
	share := award / uint64(len(harmed))
	if share == 0 {
		return 0, nil
	}
	for _, job := range harmed {
		if err := k.escrow.MoveLocked(ctx, provider, escrowtypes.JobAccountID(job), share); err != nil {
			return 0, err
		}
		if err := emit(ctx, &types.EventJobAwarded{JobId: job.Bech32(types.JobHRP), NodeId: node.Id, Amount: share}); err != nil {
			return 0, err
		}
	}
	return share * uint64(len(harmed)), nil
}

// loseDue takes the work off nodes that were away for longer than the grace, at most limit slices, and returns how many it took.
func (k Keeper) loseDue(ctx context.Context, p types.Params, limit int) (int, error) {
	now, taken := blockSeconds(ctx), 0
	for taken < limit {
		node, found, err := k.nextLoss(ctx, now)
		if err != nil || !found {
			return taken, err
		}
		loss, err := k.losses.Get(ctx, node)
		if err != nil {
			return taken, err
		}
		keys, err := k.runningOn(ctx, node, limit-taken+1)
		if err != nil {
			return taken, err
		}
		more := len(keys) > limit-taken
		if more {
			keys = keys[:limit-taken]
		}
		stuck, err := k.loseSlices(ctx, p, keys, loss)
		if err != nil {
			return taken, err
		}
		taken += max(len(keys), 1) // a node without work is work too
		switch {
		case stuck:
			loss.Time = now + retryAfter
			err = k.setLoss(ctx, node, loss)
		case !more:
			err = k.removeLoss(ctx, node, loss)
		}
		if err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// loseSlices tells whether one of the slices could not be ended.
func (k Keeper) loseSlices(ctx context.Context, p types.Params, keys []types.SliceKey, loss types.NodeLoss) (bool, error) {
	rule, stuck := k.lose, false
	if loss.Condemned {
		rule = k.condemn
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	for _, key := range keys {
		cached, write := sdkCtx.CacheContext()
		if err := k.endSlice(cached, p, key, rule); err != nil {
			stuck = true // the slice keeps its own deadline; only the loss is tried again
			event := &types.EventSlicePostponed{
				JobId: key.K1().Bech32(types.JobHRP), Slice: key.K2(), Due: blockSeconds(ctx) + retryAfter, Reason: err.Error(),
			}
			if err := emit(ctx, event); err != nil {
				return stuck, err
			}
			continue
		}
		write()
	}
	return stuck, nil
}

// lose ends a slice whose node is gone: unpaid but for the epochs of a service, a part of the collateral burned, its tasks queued again while
// attempts are left. A service is not lost to a node that went as announced: it was to be handed over before.
func (k Keeper) lose(ctx context.Context, j *openJob, s *types.Slice) error {
	if j.IsService() && j.CancelledTime == 0 {
		node, err := k.nodeOf(ctx, s)
		if err != nil {
			return err
		}
		if node.LeftAsAnnounced() {
			return k.leftAsAnnounced(ctx, j, s, node)
		}
	}
	burned, err := types.PartDown(s.Collateral, j.p.LostSlash)
	if err != nil {
		return err
	}
	return k.takeOff(ctx, j, s, burned, "LOST")
}

// condemn ends a slice whose node was condemned: as if lost, but its deposit was slashed already.
func (k Keeper) condemn(ctx context.Context, j *openJob, s *types.Slice) error {
	return k.takeOff(ctx, j, s, 0, "CONDEMNED")
}

func (k Keeper) takeOff(ctx context.Context, j *openJob, s *types.Slice, burned uint64, reason string) error {
	if j.IsService() {
		return k.lostServing(ctx, j, s, burned, reason)
	}
	part, err := s.TaskTerms()
	if err != nil {
		return err
	}
	if err := k.stopRun(ctx, j, s); err != nil {
		return err
	}
	if err := k.requeueOrGiveUp(ctx, j, s, part, s.FirstTask, s.TaskCount, reason); err != nil {
		return err
	}
	if s.Rerun != nil {
		s.Rerun.Withheld = nil
	}
	lost := uint64(s.TaskCount)
	j.endedOn(s.NodeId).Done.Add(nodestypes.Statistics{Tasks: lost, Lost: lost})
	if err := rate(j, s.NodeId, 0, 0); err != nil {
		return err
	}
	return k.conclude(ctx, j, s, ending{status: types.SLICE_STATUS_LOST, burned: burned})
}

func (k Keeper) runningOn(ctx context.Context, node escrowtypes.ID, limit int) ([]types.SliceKey, error) {
	var keys []types.SliceKey
	err := k.running.Walk(ctx, collections.NewPrefixedPairRange[escrowtypes.ID, types.SliceKey](node),
		func(key collections.Pair[escrowtypes.ID, types.SliceKey]) (bool, error) {
			keys = append(keys, key.K2())
			return len(keys) == limit, nil
		})
	return keys, err
}

func (k Keeper) nextLoss(ctx context.Context, now int64) (escrowtypes.ID, bool, error) {
	var node escrowtypes.ID
	found := false
	err := k.lossQueue.Walk(ctx, nil, func(key collections.Pair[int64, escrowtypes.ID]) (bool, error) {
		node, found = key.K2(), key.K1() <= now
		return true, nil
	})
	return node, found, err
}

// setLoss notes a loss in the place of an earlier one of the node.
func (k Keeper) setLoss(ctx context.Context, node escrowtypes.ID, loss types.NodeLoss) error {
	before, err := k.losses.Get(ctx, node)
	if err == nil {
		err = k.lossQueue.Remove(ctx, collections.Join(before.Time, node))
	} else if errors.Is(err, collections.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return err
	}
	loss.NodeId = node.Bech32(nodestypes.NodeHRP)
	loss.Condemned = loss.Condemned || before.Condemned
	if err := k.lossQueue.Set(ctx, collections.Join(loss.Time, node)); err != nil {
		return err
	}
	return k.losses.Set(ctx, node, loss)
}

func (k Keeper) removeLoss(ctx context.Context, node escrowtypes.ID, loss types.NodeLoss) error {
	if err := k.lossQueue.Remove(ctx, collections.Join(loss.Time, node)); err != nil {
		return err
	}
	return k.losses.Remove(ctx, node)
}
