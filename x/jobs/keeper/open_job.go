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
	// ended is what ended on nodes and is not yet in their records.
	ended []nodeWork
}

// nodeWork is what ended on one node.
type nodeWork struct {
	node string
	nodestypes.Work
}

// endedOn gathers what ends on a node, so that its record is written once an operation.
func (j *openJob) endedOn(node string) *nodestypes.Work {
	for i := range j.ended {
		if j.ended[i].node == node {
			return &j.ended[i].Work
		}
	}
	j.ended = append(j.ended, nodeWork{node: node})
	return &j.ended[len(j.ended)-1].Work
}

func (k Keeper) openJob(ctx context.Context, p types.Params, id escrowtypes.ID) (*openJob, error) {
	job, err := k.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	return &openJob{Job: job, id: id, account: escrowtypes.JobAccountID(id), p: p, now: blockSeconds(ctx)}, nil
}

// flush brings what ended into the nodes' records.
func (k Keeper) flush(ctx context.Context, j *openJob) error {
	for _, w := range j.ended {
		node, err := nodestypes.ParseNodeID(w.node)
		if err != nil {
			return err
		}
		if err := k.nodes.EndWork(ctx, node, w.Work); err != nil {
			return err
		}
	}
	j.ended = nil
	return nil
}

// save writes the job back, closed if none of its slices is open, and the nodes it ran on.
func (k Keeper) save(ctx context.Context, j *openJob) error {
	if err := k.flush(ctx, j); err != nil {
		return err
	}
	if j.OpenSlices > 0 || j.Status != types.JOB_STATUS_OPEN {
		return k.jobs.Set(ctx, j.id, j.Job)
	}
	j.Status, j.CloseReason, j.ClosedTime = types.JOB_STATUS_CLOSED, closeReason(j.Job), j.now
	if err := k.open.Remove(ctx, j.id); err != nil {
		return err
	}
	if j.IsService() {
		if err := k.closeService(ctx, j); err != nil {
			return err
		}
	}
	if j.Parent != "" {
		if err := k.returnRest(ctx, j); err != nil {
			return err
		}
	}
	if err := k.jobs.Set(ctx, j.id, j.Job); err != nil {
		return err
	}
	return emit(ctx, &types.EventJobClosed{JobId: j.Id, Reason: j.CloseReason, Paid: j.Paid, Fees: j.Fees, Refunded: j.Refunded})
}

func closeReason(job types.Job) types.CloseReason {
	c := job.Counts
	switch {
	case job.IsService():
		return job.Service.End
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
// slice in state UNSPECIFIED is a new one. An entry in the queue that comes before the new due time stays: EndBlock moves it when it
// gets there, which few slices live to see.
func (k Keeper) move(ctx context.Context, j *openJob, s *types.Slice, to types.SliceStatus, due int64) error {
	from, key := s.Status, collections.Join(j.id, s.Number)
	wasOpen, isOpen := !from.Final(), !to.Final()
	switch {
	case isOpen && (!wasOpen || due < s.Wake):
		if err := k.wakeAt(ctx, s, key, due); err != nil {
			return err
		}
	case wasOpen && !isOpen:
		if err := k.wakeAt(ctx, s, key, 0); err != nil {
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

// wakeAt replaces the slice's entry in the deadline queue; zero is none. The caller writes the slice.
func (k Keeper) wakeAt(ctx context.Context, s *types.Slice, key types.SliceKey, second int64) error {
	if s.Wake != 0 {
		if err := k.deadlines.Remove(ctx, collections.Join(s.Wake, key)); err != nil {
			return err
		}
	}
	s.Wake = second
	if second == 0 {
		return nil
	}
	return k.deadlines.Set(ctx, collections.Join(second, key))
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
		if s.Serving != nil {
			if err := k.serving.Remove(ctx, key); err != nil {
				return err
			}
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
		if s.Serving != nil {
			if err := k.serving.Set(ctx, key); err != nil {
				return err
			}
		}
		return k.running.Set(ctx, collections.Join(node, key))
	default:
		return nil
	}
}
