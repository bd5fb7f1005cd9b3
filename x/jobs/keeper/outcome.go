package keeper

import (
	"context"
	"encoding/hex"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// RecordOutcome executes an outcome that a quorum attested: the tasks that succeeded wait for acceptance, the others are queued
// again, rerun, or settled as failed.
func (k Keeper) RecordOutcome(ctx context.Context, msg *types.MsgRecordOutcomes) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	id, err := escrowtypes.ParseID(types.JobHRP, msg.JobId)
	if err != nil {
		return err
	}
	s, err := k.Slice(ctx, id, msg.Slice)
	if err != nil {
		return err
	}
	if s.Status != types.SLICE_STATUS_MATCHED || s.Attempt != msg.Attempt || s.Serving != nil {
		return types.ErrSliceState.Wrapf("slice %d of %s is %s in attempt %d; the outcome is of attempt %d",
			s.Number, s.JobId, s.Status, s.Attempt, msg.Attempt)
	}
	if err := checkRange(s, msg.Outcome); err != nil {
		return err
	}
	j, err := k.openJob(ctx, p, id)
	if err != nil {
		return err
	}
	s.Outcome, s.AttestedBy = &msg.Outcome, msg.Voters
	s.MeteredMs = metered(&s, msg.MeteredMs, j.now)
	s.ReportedTime = j.now
	if err := k.release(ctx, j, &s); err != nil {
		return err
	}
	if err := k.distribute(ctx, j, &s); err != nil {
		return err
	}
	event := &types.EventSliceReported{
		JobId: s.JobId, Slice: s.Number, Attempt: s.Attempt, Failed: uint32(len(msg.Outcome.Failures)),
		ResultRoot: hex.EncodeToString(msg.Outcome.ResultRoot), MeteredMs: s.MeteredMs,
	}
	if err := emit(ctx, event); err != nil {
		return err
	}
	if s.Succeeded > 0 && p.AcceptWindow > 0 && j.CancelledTime == 0 {
		err = k.move(ctx, j, &s, types.SLICE_STATUS_REPORTED, j.now+int64(p.AcceptWindow))
	} else {
		err = k.settle(ctx, j, &s)
	}
	if err != nil {
		return err
	}
	return k.save(ctx, j)
}

func checkRange(s types.Slice, outcome types.Outcome) error {
	for _, f := range outcome.Failures {
		if f.Task < s.FirstTask || f.Task-s.FirstTask >= s.TaskCount {
			return types.ErrInvalidReport.Wrapf("failures: task %d; slice %d holds tasks %d to %d", f.Task, s.Number, s.FirstTask,
				s.FirstTask+s.TaskCount-1)
		}
	}
	return nil
}

// metered is the smaller of what the oracles saw and of what the blocks allow, at most the time that was agreed.
func metered(s *types.Slice, attested uint64, now int64) uint64 {
	elapsed := uint64(max(now-s.MatchedTime, 0)) * 1000
	return min(attested, elapsed, s.MaxDuration*1000)
}

// atLeast is the metered time of work that is paid although it brought no result.
func atLeast(p types.Params, s *types.Slice, ms uint64) uint64 {
	return min(max(ms, p.MinMetered*1000), s.MaxDuration*1000)
}

// release gives the node its capacity back, and the queue another look at it.
func (k Keeper) release(ctx context.Context, j *openJob, s *types.Slice) error {
	ended := j.endedOn(s.NodeId)
	released, err := ended.Released.Add(types.TotalResources(j.Resources, s.TaskCount))
	if err != nil {
		return err
	}
	ended.Released, ended.Tasks = released, ended.Tasks+s.TaskCount
	if s.Serving != nil {
		ended.Ports = append(ended.Ports, types.HostPorts(s.Serving.Ports)...)
	}
	return k.noteCapacity(ctx)
}

// distribute decides what becomes of each task of a slice that has its outcome, and counts what the node did.
func (k Keeper) distribute(ctx context.Context, j *openJob, s *types.Slice) error {
	part, err := s.TaskTerms()
	if err != nil {
		return err
	}
	var notStarted, requeued uint32
	for _, f := range s.Outcome.Failures {
		if f.Reason == types.FAILURE_REASON_NOT_STARTED {
			notStarted++
		}
		if f.Reason.Requeued() {
			requeued++
		}
	}
	j.Counts.Matched -= s.TaskCount
	s.Succeeded = s.TaskCount - uint32(len(s.Outcome.Failures))
	for _, group := range groupFailures(s.Outcome.Failures) {
		switch {
		case group[0].Reason.Requeued():
			err = k.requeueOrGiveUp(ctx, j, s, part, group[0].Task, uint32(len(group)), group[0].Reason.String())
		case s.Rerun != nil:
			s.Failed += uint32(len(group))
		default:
			err = k.rerunOrFail(ctx, j, s, part, group)
		}
		if err != nil {
			return err
		}
	}
	if s.Rerun != nil {
		if err := k.resolveRerun(ctx, j, s); err != nil {
			return err
		}
	}
	j.Counts.Reported += s.Succeeded + s.Failed
	j.endedOn(s.NodeId).Done.Add(nodestypes.Statistics{
		Tasks: uint64(s.TaskCount - notStarted), Successes: uint64(s.Succeeded), Failures: uint64(s.Failed),
	})
	return rateRun(j, s, requeued)
}

// groupFailures cuts failures into runs of neighbouring tasks that share their fate.
func groupFailures(failures []types.TaskFailure) [][]types.TaskFailure {
	var groups [][]types.TaskFailure
	for start, i := 0, 1; i <= len(failures); i++ {
		if i < len(failures) && failures[i].Task == failures[i-1].Task+1 &&
			failures[i].Reason.Requeued() == failures[i-1].Reason.Requeued() {
			continue
		}
		groups = append(groups, failures[start:i])
		start = i
	}
	return groups
}
