package keeper

import (
	"context"
	"errors"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Reasons for which a slice of a service leaves its node without penalty.
const (
	reasonDrained = "DRAINED"
	reasonAbsent  = "ABSENT"
)

// followNode has a slice handed over whose node drains or is announced to be offline soon, and takes it off the node when that has had its time.
// It tells whether it did.
func (k Keeper) followNode(ctx context.Context, j *openJob, s *types.Slice, node nodestypes.Node) (bool, error) {
	leaving, over, reason, err := k.leaves(ctx, j, node)
	if err != nil || !leaving {
		return false, err
	}
	if over {
		return true, k.vacate(ctx, j, s, j.now, reason)
	}
	replica := &j.Service.Replicas[s.FirstTask]
	if s.Number != replica.Slice || replica.Successor != 0 {
		return false, nil
	}
	next, err := k.queueReplica(ctx, j, s.FirstTask, s.Serving.Revision, 0, []string{s.NodeId})
	if errors.Is(err, types.ErrUnfunded) { // after a top-up
		return false, nil
	}
	if err != nil {
		return false, err
	}
	replica.Successor = next.Number
	return false, nil
}

// leaves tells whether services leave a node, whether they must be off it now, and why.
func (k Keeper) leaves(ctx context.Context, j *openJob, node nodestypes.Node) (leaving, over bool, reason string, err error) {
	if node.Status == nodestypes.NODE_STATUS_DRAINING {
		most, err := k.nodes.MaxDrain(ctx)
		if err != nil {
			return false, false, "", err
		}
		if j.now-node.StatusSince >= int64(most) {
			return true, true, reasonDrained, nil
		}
		leaving, reason = true, reasonDrained
	}
	if from, absent := node.NextAbsence(j.now); absent {
		if begins, last := j.p.HandsOver(j.now, from); begins {
			return true, last, reasonAbsent, nil
		}
	}
	return leaving, false, reason, nil
}

// vacate ends a slice on a node that it has to leave, paid until a time, and lets its successor, or another one, take its place.
func (k Keeper) vacate(ctx context.Context, j *openJob, s *types.Slice, until int64, reason string) error {
	if err := k.releaseServing(ctx, j, s, types.SLICE_STATUS_SETTLED, until, false); err != nil {
		return err
	}
	if j.Service.Replicas[s.FirstTask].Succeeds(s.Number) {
		return k.dropSuccessor(ctx, j, s)
	}
	return k.replace(ctx, j, s, s.Serving.Revision, reason)
}

// leftAsAnnounced ends a slice of a service whose node went offline as announced before the slice was off it, which is not the node's fault: it was
// to be taken off before.
func (k Keeper) leftAsAnnounced(ctx context.Context, j *openJob, s *types.Slice, node nodestypes.Node) error {
	clock, err := k.getClock(ctx)
	if err != nil {
		return err
	}
	if s.Serving.StartedTime > 0 {
		if err := k.charge(ctx, j, s, clock, node); err != nil {
			return err
		}
	}
	return k.vacate(ctx, j, s, node.StatusSince, reasonAbsent)
}
