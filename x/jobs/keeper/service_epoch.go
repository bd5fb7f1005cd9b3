package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// serviceDue is what happens to a slice of a service when its time comes: at the end of the time for a match, or after each epoch.
func (k Keeper) serviceDue(ctx context.Context, j *openJob, s *types.Slice) error {
	if j.CancelledTime != 0 { // sooner than the cancellation gets there
		return k.cancelServing(ctx, j, s)
	}
	if s.Status == types.SLICE_STATUS_PENDING {
		return k.unplaced(ctx, j, s)
	}
	clock, err := k.getClock(ctx)
	if err != nil {
		return err
	}
	if s.Serving.StartedTime == 0 {
		if j.now < s.MatchedTime+int64(j.p.ServiceStart) {
			return k.comeAfterEpoch(ctx, j, s)
		}
		return k.loseServing(ctx, j, s, 0, types.FAILURE_REASON_NOT_STARTED.String())
	}
	node, err := k.nodeOf(ctx, s)
	if err != nil {
		return err
	}
	if err := k.charge(ctx, j, s, clock, node); err != nil {
		return err
	}
	unhealthy, notRunning := s.Serving.Failing(clock.Judged)
	switch {
	case unhealthy >= j.p.MaxFailedEpochs:
		return k.onUnhealthy(ctx, j, s)
	case notRunning >= j.p.MaxFailedEpochs:
		j.endedOn(s.NodeId).Done.Add(nodestypes.Statistics{Tasks: 1})
		return k.loseServing(ctx, j, s, 0, types.FAILURE_REASON_NODE.String())
	}
	if unhealthy == 0 && notRunning == 0 && j.Service.Replicas[s.FirstTask].Succeeds(s.Number) {
		if err := k.takeOver(ctx, j, s, clock); err != nil {
			return err
		}
	}
	if ended, err := k.followNode(ctx, j, s, node); err != nil || ended {
		return err
	}
	return k.goOn(ctx, j, s)
}

// charge pays the last epoch that was judged, unless it was paid or a quorum saw that the slice did not run, or its node was away at its end.
func (k Keeper) charge(ctx context.Context, j *openJob, s *types.Slice, clock types.ServiceClock, node nodestypes.Node) error {
	serving := s.Serving
	if serving.ChargedEpoch >= clock.Judged || serving.MeteredUntil >= clock.JudgedEnded {
		return nil
	}
	from := max(serving.MeteredUntil, clock.JudgedStarted)
	serving.ChargedEpoch, serving.MeteredUntil = clock.Judged, clock.JudgedEnded
	away := node.Status == nodestypes.NODE_STATUS_INACTIVE && node.StatusSince <= clock.JudgedEnded
	if serving.NotRunningEpoch == clock.Judged || away {
		return nil
	}
	paid, fee, err := k.payTime(ctx, j, s, clock, uint64(clock.JudgedEnded-from)*1000) //nolint:gosec // an epoch ends after it begins
	if err != nil {
		return err
	}
	if serving.PaidEpochs++; serving.PaidEpochs == 1 { // the rating need not wait until the service ends, which may be never
		if err := rate(j, s.NodeId, nodestypes.RatingOne, 0); err != nil {
			return err
		}
	}
	j.endedOn(s.NodeId).Done.Add(nodestypes.Statistics{Tasks: 1, Successes: 1})
	return emit(ctx, &types.EventServicePaid{JobId: j.Id, Slice: s.Number, Epoch: clock.Judged, Paid: paid, Fee: fee})
}

// goOn lets a slice hold the money of the next epoch and come again after it, or ends the service if there is not enough. What is left to
// change is seen to at the end of the block.
func (k Keeper) goOn(ctx context.Context, j *openJob, s *types.Slice) error {
	err := k.hold(ctx, j, s, j.p.EpochFee)
	if errors.Is(err, types.ErrUnfunded) {
		if err := k.endService(ctx, j, types.CLOSE_REASON_OUT_OF_FUNDS); err != nil {
			return err
		}
		return k.cancelServing(ctx, j, s)
	}
	if err != nil {
		return err
	}
	if err := k.giveNotice(ctx, j); err != nil {
		return err
	}
	if j.Service.Changing() {
		if err := k.changing.Set(ctx, j.id); err != nil {
			return err
		}
	}
	return k.comeAfterEpoch(ctx, j, s)
}

// giveNotice says once that the pool does not pay an epoch beyond the present one.
func (k Keeper) giveNotice(ctx context.Context, j *openJob) error {
	cost, err := j.p.EpochCost(*j.Service)
	if err != nil || j.Service.Noticed || j.Service.Pool >= cost {
		return err
	}
	j.Service.Noticed = true
	clock, err := k.getClock(ctx)
	if err != nil {
		return err
	}
	until, err := j.p.FundedUntil(*j.Service, max(clock.Ends, j.now))
	if err != nil {
		return err
	}
	return emit(ctx, &types.EventServiceNotice{JobId: j.Id, Owner: j.Owner, FundedUntil: until})
}

// unplaced is what happens to a replica that found no node in its time: it waits on as long as another one serves.
func (k Keeper) unplaced(ctx context.Context, j *openJob, s *types.Slice) error {
	if j.Service.Replicas[s.FirstTask].Succeeds(s.Number) {
		if err := k.endServing(ctx, j, s, leaving{status: types.SLICE_STATUS_EXPIRED}); err != nil {
			return err
		}
		return k.dropSuccessor(ctx, j, s)
	}
	serves, err := k.anyServes(ctx, j, s.Number)
	if err != nil {
		return err
	}
	if serves {
		return k.comeAgain(ctx, j, s, j.now+int64(j.Service.MatchTime))
	}
	if err := k.endService(ctx, j, types.CLOSE_REASON_EXPIRED); err != nil {
		return err
	}
	return k.cancelServing(ctx, j, s)
}

// anyServes tells whether a replica of a service runs in another slice than one.
func (k Keeper) anyServes(ctx context.Context, j *openJob, but uint32) (bool, error) {
	for _, replica := range j.Service.Replicas {
		if replica.Slice == but {
			continue
		}
		s, err := k.Slice(ctx, j.id, replica.Slice)
		if err != nil {
			return false, err
		}
		if s.Status == types.SLICE_STATUS_MATCHED && s.Serving.StartedTime > 0 {
			return true, nil
		}
	}
	return false, nil
}

// onUnhealthy ends what was unhealthy too often in a row, at the developer's cost: the service; of an update that is under way, or of a hand-over,
// only the slice.
func (k Keeper) onUnhealthy(ctx context.Context, j *openJob, s *types.Slice) error {
	successor := j.Service.Replicas[s.FirstTask].Succeeds(s.Number)
	if !successor && !j.onTrial(s) {
		if err := k.endService(ctx, j, types.CLOSE_REASON_UNHEALTHY); err != nil {
			return err
		}
		return k.cancelServing(ctx, j, s)
	}
	if err := k.releaseServing(ctx, j, s, types.SLICE_STATUS_SETTLED, j.now, true); err != nil {
		return err
	}
	if successor {
		return k.dropSuccessor(ctx, j, s)
	}
	if err := k.halt(ctx, j); err != nil {
		return err
	}
	return k.revert(ctx, j, s, types.CLOSE_REASON_UNHEALTHY.String())
}

// loseServing ends a slice that its node did not run, or is gone with, for which a part of the collateral may be burned. What the node has served
// before stays paid, and another takes its place.
func (k Keeper) loseServing(ctx context.Context, j *openJob, s *types.Slice, burned uint64, reason string) error {
	if err := rate(j, s.NodeId, 0, 0); err != nil {
		return err
	}
	if err := k.endServing(ctx, j, s, leaving{status: types.SLICE_STATUS_LOST, burned: burned}); err != nil {
		return err
	}
	if j.CancelledTime != 0 {
		return nil
	}
	if reason == types.FAILURE_REASON_NOT_STARTED.String() && j.Service.KeepsVolumes && j.onTrial(s) && !j.Service.Replicas[s.FirstTask].Succeeds(s.Number) {
		// On another node it would start without its files.
		if err := k.halt(ctx, j); err != nil {
			return err
		}
		return k.revert(ctx, j, s, reason)
	}
	return k.replace(ctx, j, s, s.Serving.Revision, reason)
}

// lostServing is loseServing for a node that x/nodes gave up: the epoch that was judged last counts if it ended before.
func (k Keeper) lostServing(ctx context.Context, j *openJob, s *types.Slice, burned uint64, reason string) error {
	if s.Serving.StartedTime > 0 && j.CancelledTime == 0 {
		clock, err := k.getClock(ctx)
		if err != nil {
			return err
		}
		node, err := k.nodeOf(ctx, s)
		if err != nil {
			return err
		}
		if err := k.charge(ctx, j, s, clock, node); err != nil {
			return err
		}
	}
	j.endedOn(s.NodeId).Done.Add(nodestypes.Statistics{Tasks: 1, Lost: 1})
	return k.loseServing(ctx, j, s, burned, reason)
}

// comeAfterEpoch puts a slice into the queue for when the present epoch will have been judged.
func (k Keeper) comeAfterEpoch(ctx context.Context, j *openJob, s *types.Slice) error {
	due, err := k.nextJudgement(ctx, j)
	if err != nil {
		return err
	}
	return k.comeAgain(ctx, j, s, due)
}

// comeAgain gives an open slice another due time, with its entry in the queue: unlike batch work, which seldom lives to see it, it will be met then.
func (k Keeper) comeAgain(ctx context.Context, j *openJob, s *types.Slice, due int64) error {
	key := collections.Join(j.id, s.Number)
	s.Due = due
	if err := k.wakeAt(ctx, s, key, due); err != nil {
		return err
	}
	return k.slices.Set(ctx, key, *s)
}

func (k Keeper) nodeOf(ctx context.Context, s *types.Slice) (nodestypes.Node, error) {
	id, err := nodestypes.ParseNodeID(s.NodeId)
	if err != nil {
		return nodestypes.Node{}, err
	}
	return k.nodes.Node(ctx, id)
}

// endService begins to end a service; its slices follow, a bounded number a block.
func (k Keeper) endService(ctx context.Context, j *openJob, reason types.CloseReason) error {
	j.Service.End, j.CancelledTime = reason, j.now
	if err := k.cancelling.Set(ctx, j.id); err != nil {
		return err
	}
	return emit(ctx, &types.EventServiceEnding{JobId: j.Id, Reason: reason})
}

// cancelServing ends a slice of a service that is being ended: one that is on a node is paid until the end was asked for.
func (k Keeper) cancelServing(ctx context.Context, j *openJob, s *types.Slice) error {
	return k.releaseServing(ctx, j, s, types.SLICE_STATUS_CANCELLED, j.CancelledTime, true)
}

// closeService frees what is left in the pool of a service whose slices have all ended.
func (k Keeper) closeService(ctx context.Context, j *openJob) error {
	pool := j.Service.Pool
	j.Service.Pool, j.Service.Replicas = 0, nil
	return k.refund(ctx, j, pool)
}
