package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/app/testapp"
	"github.com/foggrid/fogd/app/testapp/grid"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// labels are the longest list of constraints that is allowed, with one that holds.
func labels(holds string) []string {
	out := []string{holds}
	for i := range jobstypes.MaxListLength - 1 {
		out = append(out, fmt.Sprintf("%02d%s", i, strings.Repeat("x", jobstypes.MaxLabelLength-2)))
	}

	return out
}

// Jobs with the longest constraints, in batches as long as the params can allow, cannot keep others from being matched: a batch
// that does not fit in a report's gas is executed as far as it does.
func TestLargeJobsAreMatched(t *testing.T) {
	const jobs = 300

	g := grid.New(t, grid.Config{
		Developers: jobs, SliceTasks: 1,
		Jobs:   func(p *jobstypes.Params) { p.MaxBatchItems = jobstypes.MaxBatchItems },
		Oracle: func(p *oracletypes.Params) { p.ReportGas = 100_000_000 },
		Nodes: func(p *nodestypes.Params) {
			p.ProbationTasks = 0
		},
	})
	g.AddNodes(1, 512)
	var txs [][]byte
	for i, developer := range g.Developers {
		msg := g.JobMsg(developer, 1)
		if i < jobs-1 {
			msg.Constraints = jobstypes.Constraints{
				Regions: labels("eu"), Datacenters: labels("home"), Arch: labels("amd64"), Os: labels("linux"),
			}
		}
		txs = append(txs, g.TxPaying(developer, 4_000_000, testapp.Ufog(4_000), msg))
	}
	g.Succeed(txs...)

	batches := 0
	for len(g.Rounds("")) > 0 {
		rounds := g.Rounds(jobstypes.RoundKindMatches)
		g.Turn()
		for _, round := range rounds {
			batches++
			require.Equal(t, oracletypes.ROUND_STATUS_EXECUTED, g.Round(round.Id).Status, g.Round(round.Id).Error)
		}
	}
	require.Greater(t, batches, 1, "all in one batch shows nothing")
	require.Less(t, batches, 5)
	for _, job := range g.Jobs(jobstypes.JOB_STATUS_OPEN) {
		require.Zero(t, job.Counts.Pending)
	}
	g.CheckInvariants()
}

// The outcome of the longest slice whose every other task failed, so that it falls into as many pieces as can be, fits in a report.
func TestOutcomeInManyPieces(t *testing.T) {
	g := grid.New(t, grid.Config{Providers: 2, Nodes: func(p *nodestypes.Params) { p.ProbationTasks = 0 }})
	g.AddNodes(1, 512)
	g.Work = func(s jobstypes.Slice) (jobstypes.Outcome, uint64, bool) {
		outcome := grid.Success(s)
		if s.Number > 0 { // a piece
			return outcome, 1_000, true
		}
		for task := s.FirstTask; task < s.FirstTask+s.TaskCount; task += 2 {
			reason := jobstypes.FAILURE_REASON_EXIT
			if task%4 == 0 {
				reason = jobstypes.FAILURE_REASON_NODE
			}
			failure := jobstypes.TaskFailure{Task: task, Reason: reason}
			if reason == jobstypes.FAILURE_REASON_EXIT {
				failure.ExitCode = 1
			}
			outcome.Failures = append(outcome.Failures, failure)
		}

		return outcome, 1_000, true
	}
	developer := g.Developers[0]
	msg := g.JobMsg(developer, jobstypes.MaxSliceTasks)
	msg.Constraints = jobstypes.Constraints{
		Regions: labels("eu"), Datacenters: labels("home"), Arch: labels("amd64"), Os: labels("linux"),
	}
	id := grid.JobID(developer, msg)
	g.Succeed(g.TxPaying(developer, 4_000_000, testapp.Ufog(4_000), msg))
	g.Turn()
	rounds := g.Rounds(jobstypes.RoundKindOutcome)
	require.Len(t, rounds, 1)
	g.Turn()
	require.Equal(t, oracletypes.ROUND_STATUS_EXECUTED, g.Round(rounds[0].Id).Status, g.Round(rounds[0].Id).Error)
	g.CheckInvariants()
	for len(g.Rounds("")) > 0 {
		g.Turn()
	}
	g.NextBlockAfter(3_600 * testapp.BlockTime)
	g.CheckInvariants()
	require.Equal(t, jobstypes.CLOSE_REASON_COMPLETED, g.Job(id).CloseReason, "%+v", g.Job(id).Counts)
}
