package keeper

import (
	"math"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// minTimedMs is the shortest run from whose time a speed is taken; below it, starting and reporting weigh too much.
const minTimedMs = 10_000

// rate notes what a run tells of its machine: the part of the work that it finished and its speed, both in units of 1/RatingOne.
func rate(j *openJob, node string, success, speed uint64) error {
	owner, err := addressOf(j.Owner)
	if err != nil {
		return err
	}
	ended := j.endedOn(node)
	ended.Outcomes = append(ended.Outcomes, nodestypes.Outcome{
		Developer: escrowtypes.ProviderAccountID(owner), Success: success, Speed: speed,
	})
	return nil
}

// rateRun rates the node of a slice that has its outcome: tasks that it finished speak for it, those it did not start or broke
// against it. Tasks that failed by themselves tell nothing.
func rateRun(j *openJob, s *types.Slice, broken uint32) error {
	told := s.Succeeded + broken
	if told == 0 {
		return nil
	}
	return rate(j, s.NodeId, uint64(s.Succeeded)*nodestypes.RatingOne/uint64(told), compareSpeed(j, s))
}

// compareSpeed is the speed at which a slice's tasks were done over that at which the job's earlier ones were, each in relation to the
// measured speed of its node; zero if there is nothing to compare. It adds the slice to the job's mean.
func compareSpeed(j *openJob, s *types.Slice) uint64 {
	if s.Succeeded != s.TaskCount || s.MeteredMs < minTimedMs || s.CpuSingle == 0 {
		return 0
	}
	work, err := escrowtypes.MulDiv(s.MeteredMs, s.CpuSingle, 1)
	if err != nil { // no machine is so fast for so long
		return 0
	}
	before := j.MeanWork
	// The mean of the slices so far, and of at most so many: later ones then weigh a little more.
	j.TimedSlices = min(j.TimedSlices, maxTimedSlices-1) + 1
	if work >= before {
		j.MeanWork += (work - before) / uint64(j.TimedSlices)
	} else {
		j.MeanWork -= (before - work) / uint64(j.TimedSlices)
	}
	if before == 0 {
		return 0
	}
	speed, err := escrowtypes.MulDiv(before, nodestypes.RatingOne, work)
	if err != nil {
		speed = math.MaxUint64
	}
	return max(min(speed, nodestypes.MaxRatedSpeed*nodestypes.RatingOne), nodestypes.RatingOne/nodestypes.MaxRatedSpeed)
}

// maxTimedSlices bounds the memory of a job's mean.
const maxTimedSlices = 1_000
