package keeper

import (
	"context"

	"cosmossdk.io/collections"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// openJob is a job in the hands of an operation: its slices change in the store, it is written back once, by save.
type openJob struct {
	types.Job
	id      escrowtypes.ID
	account escrowtypes.ID
	p       types.Params
	now     int64
}

func (k Keeper) openJob(ctx context.Context, p types.Params, id escrowtypes.ID) (*openJob, error) {
	job, err := k.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	return &openJob{Job: job, id: id, account: escrowtypes.JobAccountID(id), p: p, now: blockSeconds(ctx)}, nil
}

// save writes the job back, closed if none of its slices is open.
func (k Keeper) save(ctx context.Context, j *openJob) error {
	if j.OpenSlices > 0 || j.Status != types.JOB_STATUS_OPEN {
		return k.jobs.Set(ctx, j.id, j.Job)
	}
	j.Status, j.CloseReason, j.ClosedTime = types.JOB_STATUS_CLOSED, closeReason(j.Job), j.now
	if err := k.byStatus.Remove(ctx, collections.Join(int32(types.JOB_STATUS_OPEN), j.id)); err != nil {
		return err
	}
	if err := k.byStatus.Set(ctx, collections.Join(int32(types.JOB_STATUS_CLOSED), j.id)); err != nil {
		return err
	}
	if err := k.jobs.Set(ctx, j.id, j.Job); err != nil {
		return err
	}
	return emit(ctx, &types.EventJobClosed{JobId: j.Id, Reason: j.CloseReason, Paid: j.Paid, Fees: j.Fees, Refunded: j.Refunded})
}

func closeReason(job types.Job) types.CloseReason {
	c := job.Counts
	switch {
	case c.Succeeded >= job.MinSuccess:
		return types.CLOSE_REASON_COMPLETED
	case job.CancelledTime != 0:
		return types.CLOSE_REASON_CANCELLED
	case c.Expired == job.Tasks:
		return types.CLOSE_REASON_EXPIRED
	default:
		return types.CLOSE_REASON_FAILED
	}
}

// move brings a slice into another state with another due time, writes it, and keeps every index and the count of open slices true. A
// slice in state UNSPECIFIED is a new one.
func (k Keeper) move(ctx context.Context, j *openJob, s *types.Slice, to types.SliceStatus, due int64) error {
	from, key := s.Status, collections.Join(j.id, s.Number)
	wasOpen, isOpen := !from.Final(), !to.Final()
	if wasOpen && (!isOpen || s.Due != due) {
		if err := k.deadlines.Remove(ctx, collections.Join(s.Due, key)); err != nil {
			return err
		}
	}
	if isOpen && (!wasOpen || s.Due != due) {
		if err := k.deadlines.Set(ctx, collections.Join(due, key)); err != nil {
			return err
		}
	}
	if from != to {
		if err := k.leave(ctx, s, key); err != nil {
			return err
		}
	}
	switch {
	case isOpen && !wasOpen:
		j.OpenSlices++
	case wasOpen && !isOpen:
		j.OpenSlices--
	}
	s.Status, s.Due = to, due
	if from != to {
		if err := k.enter(ctx, s, key); err != nil {
			return err
		}
	}
	return k.slices.Set(ctx, key, *s)
}

func (k Keeper) leave(ctx context.Context, s *types.Slice, key types.SliceKey) error {
	switch s.Status {
	case types.SLICE_STATUS_PENDING:
		return k.pending.Remove(ctx, collections.Join(s.QueuedHeight, key))
	case types.SLICE_STATUS_MATCHED:
		node, err := nodestypes.ParseNodeID(s.NodeId)
		if err != nil {
			return err
		}
		return k.running.Remove(ctx, collections.Join(node, key))
	default:
		return nil
	}
}

func (k Keeper) enter(ctx context.Context, s *types.Slice, key types.SliceKey) error {
	switch s.Status {
	case types.SLICE_STATUS_PENDING:
		return k.pending.Set(ctx, collections.Join(s.QueuedHeight, key))
	case types.SLICE_STATUS_MATCHED:
		node, err := nodestypes.ParseNodeID(s.NodeId)
		if err != nil {
			return err
		}
		return k.running.Set(ctx, collections.Join(node, key))
	default:
		return nil
	}
}
