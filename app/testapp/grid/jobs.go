package grid

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/app/testapp"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobskeeper "github.com/foggrid/fogd/x/jobs/keeper"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// TaskPrice is what a task-hour of JobMsg costs on any machine of the grid, in ufog: one vCPU and one GiB.
const TaskPrice = cpuPrice + memoryPrice

// JobMsg submits a batch job of tasks of one vCPU and one GiB each, for which any machine of the grid is good and cheap enough.
func (g *Grid) JobMsg(owner *testapp.Account, tasks uint32) *jobstypes.MsgSubmitJob {
	g.salts++

	return &jobstypes.MsgSubmitJob{
		Owner: owner.String(), Salt: fmt.Sprintf("job-%d", g.salts), Type: jobstypes.JOB_TYPE_BATCH, Engine: nodestypes.ENGINE_WASM,
		SpecDigest: digest("spec"), ImageDigest: digest("image"), Tasks: tasks,
		Resources: nodestypes.Resources{CpuMilli: 1_000, MemoryMib: 1_024},
		PriceCap:  TaskPrice + 100_000, MaxDuration: 3_600, Deadline: 24 * 3_600,
	}
}

func digest(of string) string {
	sum := sha256.Sum256([]byte(of))

	return "sha256:" + hex.EncodeToString(sum[:])
}

// JobID is the id of the job that a message submits.
func JobID(owner *testapp.Account, msg *jobstypes.MsgSubmitJob) escrowtypes.ID {
	return jobstypes.JobID(owner.Address, []byte(msg.Salt))
}

// Submit executes a block with a job and returns its id.
func (g *Grid) Submit(owner *testapp.Account, msg *jobstypes.MsgSubmitJob) escrowtypes.ID {
	g.tb.Helper()

	g.Succeed(g.Tx(owner, msg))

	return JobID(owner, msg)
}

// Job returns a job.
func (g *Grid) Job(id escrowtypes.ID) jobstypes.Job {
	g.tb.Helper()

	job, err := g.App.JobsKeeper.Job(g.Context(), id)
	require.NoError(g.tb, err)

	return job
}

// Jobs returns the jobs in a status, up to a page of them.
func (g *Grid) Jobs(status jobstypes.JobStatus) []jobstypes.Job {
	g.tb.Helper()

	answer, err := g.jobs.Jobs(g.Context(), &jobstypes.QueryJobsRequest{
		Status: status, Pagination: &query.PageRequest{Limit: jobskeeper.MaxPageLimit},
	})
	require.NoError(g.tb, err)

	return answer.Jobs
}

// Slices returns the slices of a job.
func (g *Grid) Slices(id escrowtypes.ID) []jobstypes.Slice {
	g.tb.Helper()

	var out []jobstypes.Slice
	page := &query.PageRequest{Limit: jobskeeper.MaxPageLimit}
	for {
		answer, err := g.jobs.Slices(g.Context(), &jobstypes.QuerySlicesRequest{JobId: id.Bech32(jobstypes.JobHRP), Pagination: page})
		require.NoError(g.tb, err)
		out = append(out, answer.Slices...)
		if page.Key = answer.Pagination.GetNextKey(); len(page.Key) == 0 {
			return out
		}
	}
}

// pending returns the first slices of the queue, about n of them.
func (g *Grid) pending(n int) []jobstypes.PendingSlice {
	g.tb.Helper()

	var out []jobstypes.PendingSlice
	page := &query.PageRequest{Limit: jobskeeper.MaxPageLimit}
	for len(out) < n {
		answer, err := g.jobs.Pending(g.Context(), &jobstypes.QueryPendingRequest{Pagination: page})
		require.NoError(g.tb, err)
		out = append(out, answer.Pending...)
		if page.Key = answer.Pagination.GetNextKey(); len(page.Key) == 0 {
			break
		}
	}

	return out
}

// work is what became of a running slice, or that it goes on.
func (g *Grid) work(subject []byte) (jobstypes.Outcome, uint64, bool) {
	g.tb.Helper()

	s, err := jobstypes.DecodeOutcomeSubject(subject)
	require.NoError(g.tb, err)
	slice, err := g.App.JobsKeeper.Slice(g.Context(), s.Job, s.Slice)
	require.NoError(g.tb, err)
	if g.Work != nil {
		return g.Work(slice)
	}

	return Success(slice), 1_000, true
}

// Success is the outcome of a slice all of whose tasks exit with zero.
func Success(slice jobstypes.Slice) jobstypes.Outcome {
	root := sha256.Sum256([]byte(fmt.Sprintf("%s/%d/%d", slice.JobId, slice.FirstTask, slice.TaskCount)))

	return jobstypes.Outcome{ResultRoot: root[:]}
}

// Failure is the outcome of a slice all of whose tasks end for a reason.
func Failure(slice jobstypes.Slice, reason jobstypes.FailureReason) jobstypes.Outcome {
	outcome := Success(slice)
	for i := range slice.TaskCount {
		failure := jobstypes.TaskFailure{Task: slice.FirstTask + i, Reason: reason}
		if reason == jobstypes.FAILURE_REASON_EXIT {
			failure.ExitCode = 1
		}
		outcome.Failures = append(outcome.Failures, failure)
	}

	return outcome
}
