package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/quorum"
	"github.com/foggrid/fogd/x/jobs/types"
)

// gasPerServiceItem is more than noting one item takes. A report that has less left ends there and keeps what it did: what still differs is named
// again in the next epoch.
const gasPerServiceItem = 500_000

// RecordServices notes what a quorum saw of services in the epoch that ended last. Money moves when the slices come up. What does not fit the
// state any more is stale, not wrong.
func (k Keeper) RecordServices(ctx context.Context, msg *types.MsgRecordServices) (*types.MsgRecordServicesResponse, error) {
	clock, err := k.getClock(ctx)
	if err != nil {
		return nil, err
	}
	if msg.Epoch == 0 || msg.Epoch != clock.Judged {
		return nil, types.ErrInvalidReport.Wrapf("epoch: %d; the last one that ended is %d", msg.Epoch, clock.Judged)
	}
	clock.Voted, clock.Voters = msg.Epoch, msg.Voters
	if err := k.clock.Set(ctx, clock); err != nil {
		return nil, err
	}
	var notRunning, unhealthy, started []types.ServiceItem
	for _, o := range msg.Observations {
		notRunning, unhealthy, started = append(notRunning, o.NotRunning...), append(unhealthy, o.Unhealthy...), append(started, o.Started...)
	}
	res := &types.MsgRecordServicesResponse{}
	for _, list := range []struct {
		named []types.ServiceItem
		note  func(context.Context, types.ServiceClock, *types.Slice) (bool, error)
		count *uint32
	}{
		{notRunning, k.noteNotRunning, &res.NotRunning}, {unhealthy, k.noteUnhealthy, &res.Unhealthy}, {started, k.noteStarted, &res.Started},
	} {
		for _, item := range quorum.Named(msg.Quorum, list.named, types.CompareServiceItems) {
			if sdk.UnwrapSDKContext(ctx).GasMeter().GasRemaining() < gasPerServiceItem {
				return res, nil
			}
			noted, err := k.noteItem(ctx, clock, item, list.note)
			if err != nil {
				return nil, err
			}
			if noted {
				*list.count++
			}
		}
	}
	return res, nil
}

// noteItem writes what a quorum saw of a slice into its record, if it is still on its node.
func (k Keeper) noteItem(
	ctx context.Context, clock types.ServiceClock, item types.ServiceItem, note func(context.Context, types.ServiceClock, *types.Slice) (bool, error),
) (bool, error) {
	id, err := escrowtypes.ParseID(types.JobHRP, item.JobId)
	if err != nil {
		return false, err
	}
	s, err := k.Slice(ctx, id, item.Slice)
	if errors.Is(err, types.ErrSliceNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if s.Serving == nil || s.Status != types.SLICE_STATUS_MATCHED || s.Attempt != item.Attempt {
		return false, nil
	}
	noted, err := note(ctx, clock, &s)
	if err != nil || !noted {
		return false, err
	}
	return true, k.slices.Set(ctx, collections.Join(id, s.Number), s)
}

// noteStarted has a slice paid from the end of the epoch on.
func (k Keeper) noteStarted(ctx context.Context, clock types.ServiceClock, s *types.Slice) (bool, error) {
	if s.Serving.StartedTime != 0 {
		return false, nil
	}
	from := max(clock.JudgedEnded, s.MatchedTime)
	s.Serving.StartedTime, s.Serving.MeteredUntil, s.Serving.ChargedEpoch = from, from, clock.Judged
	return true, emit(ctx, &types.EventServiceStarted{JobId: s.JobId, Slice: s.Number, Replica: s.FirstTask, Revision: s.Serving.Revision.Number})
}

func (k Keeper) noteUnhealthy(ctx context.Context, clock types.ServiceClock, s *types.Slice) (bool, error) {
	if s.Serving.StartedTime == 0 { // the time that it has to start in counts
		return false, nil
	}
	s.Serving.NameUnhealthy(clock.Judged)
	return true, emitFailed(ctx, clock, s)
}

func (k Keeper) noteNotRunning(ctx context.Context, clock types.ServiceClock, s *types.Slice) (bool, error) {
	if s.Serving.StartedTime == 0 {
		return false, nil
	}
	s.Serving.NameNotRunning(clock.Judged)
	return true, emitFailed(ctx, clock, s)
}

func emitFailed(ctx context.Context, clock types.ServiceClock, s *types.Slice) error {
	unhealthy, notRunning := s.Serving.Failing(clock.Judged)
	return emit(ctx, &types.EventServiceFailed{
		JobId: s.JobId, Slice: s.Number, Epoch: clock.Judged, Unhealthy: unhealthy, NotRunning: notRunning,
	})
}
