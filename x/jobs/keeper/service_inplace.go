package keeper

import (
	"context"
	"errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// A service that keeps volumes has files on the nodes of its replicas. An update ends the slice of a replica and puts the next one in its place on the
// same node, in one step and at the same price, so that nothing else can take the room between and the agent sees that the files are still wanted.

// updateInPlace lets a replica run the target where it is. One whose node takes no work now, or that the pool does not pay, waits.
func (k Keeper) updateInPlace(ctx context.Context, j *openJob, number int) error {
	if err := j.affords(1); err != nil {
		if errors.Is(err, types.ErrUnfunded) { // after a top-up
			return nil
		}
		return err
	}
	replica := &j.Service.Replicas[number]
	s, err := k.Slice(ctx, j.id, replica.Slice)
	if err != nil {
		return err
	}
	node, err := k.nodeOf(ctx, &s)
	if err != nil || !takesWork(node) {
		return err
	}
	if err := k.releaseNumber(ctx, j, s.Number, true); err != nil {
		return err
	}
	next, placed, err := k.renew(ctx, j, &s, j.Service.Target)
	switch {
	case err != nil:
		return err
	case !placed: // all of this is undone, and tried again
		return types.ErrNoMatch.Wrapf("%s does not take the next revision of replica %d", s.NodeId, number)
	}
	replica.Slice = next.Number
	return emit(ctx, &types.EventServiceHandedOver{JobId: j.Id, Replica: s.FirstTask, From: s.Number, To: next.Number})
}

// revert puts what ran before an update in the place of a slice that has ended: where its volumes are, if it keeps any and its node takes it.
func (k Keeper) revert(ctx context.Context, j *openJob, s *types.Slice, reason string) error {
	if !j.Service.KeepsVolumes {
		return k.replace(ctx, j, s, j.Service.Stable, reason)
	}
	next, _, err := k.renew(ctx, j, s, j.Service.Stable)
	if errors.Is(err, types.ErrUnfunded) {
		return k.endService(ctx, j, types.CLOSE_REASON_OUT_OF_FUNDS)
	}
	if err != nil {
		return err
	}
	j.Service.Replicas[s.FirstTask].Slice = next.Number
	return emit(ctx, &types.EventSliceRequeued{JobId: j.Id, Slice: s.Number, NewSlice: next.Number, Reason: reason})
}

func takesWork(n nodestypes.Node) bool {
	return n.Status == nodestypes.NODE_STATUS_ACTIVE && !n.BenchmarkPending
}

// renew makes another slice for the replica of one that has ended, and gives it to the same node if that takes it; else it waits for any node, which
// placed tells.
func (k Keeper) renew(ctx context.Context, j *openJob, ended *types.Slice, revision types.Revision) (next *types.Slice, placed bool, err error) {
	if next, err = k.queueReplica(ctx, j, ended.FirstTask, revision, 0, nil); err != nil {
		return nil, false, err
	}
	if err := k.flush(ctx, j); err != nil { // what has ended makes the room
		return nil, false, err
	}
	node, err := k.nodeOf(ctx, ended)
	if err != nil || !takesWork(node) {
		return next, false, err
	}
	job, service, waiting, serving := *j, *j.Service, *next, *next.Serving
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	refused := k.place(cached, j, next, node, ended.AgreedPrice)
	if refused == nil {
		write()
		return next, true, nil
	}
	*j, *next = job, waiting
	*j.Service, *next.Serving = service, serving
	return next, false, emit(ctx, &types.EventMatchStale{JobId: j.Id, Slice: next.Number, NodeIndex: node.Index, Reason: refused.Error()})
}
