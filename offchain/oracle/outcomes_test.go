package oracle

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const testJob = "job1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqrvfpqd"

// judged pushes a result of two tasks, of which the second failed, and returns the worker, the slice and the true report.
func judged(t *testing.T) (*Worker, jobstypes.Slice, link.SignedReport) {
	t.Helper()
	reg, err := registry.Open(t.TempDir(), registry.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(reg)
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, reg.Close())
	})
	c, err := client.New(server.URL)
	require.NoError(t, err)
	contents := [][]byte{[]byte("first"), []byte("second")}
	var outputs []client.TaskOutput
	var leaves [][32]byte
	for i, content := range contents {
		outputs = append(outputs, client.TaskOutput{Task: uint32(4 + i), Result: client.BytesBlob("application/x-tar", content)})
		leaves = append(leaves, artifact.DigestOf(content))
	}
	digest, err := c.PushArtifact(context.Background(), client.ResultRepo(testJob), client.ResultTag(3, 1), client.Result(outputs))
	require.NoError(t, err)
	w := testWorker("operator")
	w.cfg.Registry = c
	slice := jobstypes.Slice{
		JobId: testJob, Number: 3, Attempt: 1, FirstTask: 4, TaskCount: 2, NodeId: "node",
		MatchedTime: time.Now().Add(-time.Minute).Unix(),
	}
	report := link.Report{
		JobID: testJob, Slice: 3, Attempt: 1, ResultRoot: artifact.MerkleRoot(leaves), ManifestDigest: digest,
		Tasks: []link.TaskOutcome{{Task: 4, DurationMS: 1_000}, {Task: 5, Reason: link.ReasonExit, ExitCode: 7, DurationMS: 3_000}},
	}
	return w, slice, link.SignedReport{Report: report}
}

func TestJudgeTakesATrueReport(t *testing.T) {
	w, slice, report := judged(t)
	outcome, meter, err := w.judge(context.Background(), report, time.Time{}, slice)
	require.NoError(t, err)
	require.Equal(t, []jobstypes.TaskFailure{{Task: 5, ExitCode: 7, Reason: jobstypes.FAILURE_REASON_EXIT}}, outcome.Failures)
	require.Equal(t, report.ResultRoot[:], outcome.ResultRoot)
	require.EqualValues(t, 2_000, meter, "the mean of the tasks' times")
}

func TestJudgeDoesNotBelieveMoreTimeThanPassed(t *testing.T) {
	w, slice, report := judged(t)
	report.Tasks[0].DurationMS, report.Tasks[1].DurationMS = 3_600_000, 3_600_000
	_, meter, err := w.judge(context.Background(), report, time.Now().Add(-2*time.Second), slice)
	require.NoError(t, err)
	require.Less(t, meter, uint64(10_000))
}

func TestJudgeRefusesFalseReports(t *testing.T) {
	for name, falsify := range map[string]func(*link.SignedReport, *jobstypes.Slice){
		"a task missing":      func(r *link.SignedReport, _ *jobstypes.Slice) { r.Tasks = r.Tasks[:1] },
		"another task":        func(r *link.SignedReport, _ *jobstypes.Slice) { r.Tasks[1].Task = 6 },
		"another root":        func(r *link.SignedReport, _ *jobstypes.Slice) { r.ResultRoot[0] ^= 1 },
		"exit without a code": func(r *link.SignedReport, _ *jobstypes.Slice) { r.Tasks[1].ExitCode = 0 },
		"no manifest":         func(r *link.SignedReport, _ *jobstypes.Slice) { r.ManifestDigest = [32]byte{} },
		"tasks of another slice": func(r *link.SignedReport, s *jobstypes.Slice) {
			s.FirstTask = 5
			r.Tasks[0].Task, r.Tasks[1].Task = 5, 6
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, slice, report := judged(t)
			falsify(&report, &slice)
			_, _, err := w.judge(context.Background(), report, time.Time{}, slice)
			require.ErrorIs(t, err, errFalseReport)
		})
	}
}

func TestJudgeWaitsForAResultThatIsNotThereYet(t *testing.T) {
	w, slice, report := judged(t)
	report.ManifestDigest[0] ^= 1
	_, _, err := w.judge(context.Background(), report, time.Time{}, slice)
	require.ErrorIs(t, err, client.ErrNotFound)
	require.NotErrorIs(t, err, errFalseReport, "the registry may only be behind")
}

func TestNotStartedIsTheSameForAllOracles(t *testing.T) {
	slice := jobstypes.Slice{FirstTask: 4, TaskCount: 3}
	o := notStarted(slice)
	require.NoError(t, o.Validate())
	require.Len(t, o.Failures, 3)
	require.Equal(t, o, notStarted(slice))
}

func TestReportBookKeepsTheFirstReport(t *testing.T) {
	b := newReportBook()
	a := attempt{testJob, 1, 1}
	arrived := b.watch(a)
	first, second := link.SignedReport{Signature: []byte{1}}, link.SignedReport{Signature: []byte{2}}
	b.put(a, first)
	<-arrived
	b.put(a, second)
	got, _ := b.get(a)
	require.Equal(t, first, *got)

	b.refuse(a, errFalseReport)
	b.put(a, second)
	got, _ = b.get(a)
	require.Equal(t, second, *got, "a refused report may be mended")
	require.NoError(t, b.refusal(a))
}
