package agent

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

func TestSliceEndToEnd(t *testing.T) {
	w := newWorld(t)
	a, b := w.oracle("a"), w.oracle("b")
	p := w.run(t.TempDir())
	job := w.job(testJob, 5, "report")
	id := w.match(job, 3, 1, 3)

	report := w.outcome(id)
	require.Equal(t, testNode, report.NodeID)
	require.Len(t, report.Tasks, 3)
	for i, task := range report.Tasks {
		require.Equal(t, uint32(1+i), task.Task)
		require.Equal(t, link.ReasonNone, task.Reason)
	}
	// What the developer downloads is what the task wrote.
	m, err := w.push.PullManifest(t.Context(), client.ResultRepo(testJob), client.ResultTag(3, 1))
	require.NoError(t, err)
	require.Equal(t, artifact.Digest(report.ManifestDigest), m.Digest)
	layers, err := m.Tasks(1, 3)
	require.NoError(t, err)
	text := w.resultFile(layers[1].Result, "sub/report.txt")
	require.Contains(t, text, `args ["task" "report"]`)
	require.Contains(t, text, "COLOUR=blue")
	require.Contains(t, text, "FOG_TASK_INDEX=2")
	require.Contains(t, text, "FOG_TASK_COUNT=5")
	require.Contains(t, text, `/in/input.txt "input of job1qqq"`)
	log, err := w.push.ReadBlob(t.Context(), client.ResultRepo(testJob), layers[1].Log.Digest, 1<<20)
	require.NoError(t, err)
	require.Contains(t, string(log), "to standard output")

	// Both oracles heard of it, and then nobody sends any more.
	eventually(t, "an oracle has no report", func() bool { return a.reports.Load() > 0 && b.reports.Load() > 0 })
	eventually(t, "the attempt does not end", func() bool { return len(p.Status().UnderWay) == 0 })
	// The result stays on this machine until it is settled.
	kept, err := p.dispatcher.Kept()
	require.NoError(t, err)
	require.Equal(t, []dispatch.AttemptID{id}, kept)
	w.edit(id, func(s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_SETTLED })
	eventually(t, "a settled result stays", func() bool { return len(p.kept()) == 0 })
}

func TestSeveralSlicesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	p := w.run(t.TempDir())
	job := w.job(testJob, 8, "report")
	other := w.job("job1zzz", 1, "exit", "3")
	var ids []dispatch.AttemptID
	for i := range uint32(4) {
		ids = append(ids, w.match(job, i, 2*i, 2))
	}
	bad := w.match(other, 0, 0, 1)
	for _, id := range ids {
		for _, task := range w.outcome(id).Tasks {
			require.Equal(t, link.ReasonNone, task.Reason)
		}
	}
	report := w.outcome(bad)
	require.Equal(t, link.ReasonExit, report.Tasks[0].Reason)
	require.Equal(t, uint32(3), report.Tasks[0].ExitCode)
	// One download served all.
	require.Len(t, p.cached(kindTree), 2)
	require.Len(t, p.cached(kindBlob), 3)
}

// TestRestart kills the agent while a task runs. The other task, finished by then, keeps its outcome.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	o := w.oracle("a")
	dir := t.TempDir()
	job := w.job(testJob, 2, "wait", "1")
	p := w.run(dir)
	id := w.match(job, 0, 0, 2)
	eventually(t, "the first task does not end", func() bool { return w.lastProgress(id).TasksDone == 1 })
	p.stop()
	require.Zero(t, o.reports.Load())

	w.change(func() { w.progress = nil })
	p = w.run(dir)
	eventually(t, "the attempt is not taken up", func() bool { return w.lastProgress(id).TasksDone == 1 })
	p.release(w.inputs(job))
	report := w.outcome(id)
	require.Equal(t, []link.Reason{link.ReasonNone, link.ReasonNone}, []link.Reason{report.Tasks[0].Reason, report.Tasks[1].Reason})
}

// TestRestartBeforeTheReport kills the agent when its report was made but not yet taken; the next agent makes the same one.
func TestRestartBeforeTheReport(t *testing.T) {
	w := newWorld(t)
	o := w.oracle("a")
	var first link.Report
	seen := make(chan link.Report, 1000)
	o.answer(func(r link.Report) error { seen <- r; return errNotMatched })
	dir := t.TempDir()
	p := w.run(dir)
	id := w.match(w.job(testJob, 2, "report"), 0, 0, 2)
	first = <-seen
	p.stop()
	o.verdict.Store(nil)
	w.run(dir)
	require.Equal(t, first, w.outcome(id))
}

func TestCancelledSlice(t *testing.T) {
	for _, status := range []jobstypes.SliceStatus{
		jobstypes.SLICE_STATUS_CANCELLED, jobstypes.SLICE_STATUS_LOST, jobstypes.SLICE_STATUS_PENDING,
	} {
		t.Run(status.String(), func(t *testing.T) {
			w := newWorld(t)
			o := w.oracle("a")
			p := w.run(t.TempDir())
			id := w.match(w.job(testJob, 2, "wait", "0"), 0, 0, 2)
			eventually(t, "the attempt does not start", func() bool { return w.lastProgress(id).TasksTotal == 2 && len(p.kept()) == 1 })
			w.edit(id, func(s *jobstypes.Slice) { s.Status = status })
			eventually(t, "the attempt goes on", func() bool { return len(p.Status().UnderWay) == 0 && len(p.kept()) == 0 })
			require.Zero(t, o.reports.Load())
		})
	}
}

// TestMatchedAgain gives the slice back to the same node in another attempt.
func TestMatchedAgain(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	p := w.run(t.TempDir())
	job := w.job(testJob, 1, "wait", "0")
	id := w.match(job, 0, 0, 1)
	eventually(t, "the attempt does not start", func() bool { return len(p.kept()) == 1 })
	w.edit(id, func(s *jobstypes.Slice) { s.Attempt = 2 })
	second := id
	second.Attempt = 2
	eventually(t, "the first attempt stays", func() bool { k := p.kept(); return len(k) == 1 && k[0] == second })
	p.release(w.inputs(job))
	require.Equal(t, uint32(2), w.outcome(second).Attempt)
}

// TestChainOutage goes on with its work meanwhile, and reports afterwards.
func TestChainOutage(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	p := w.run(t.TempDir())
	job := w.job(testJob, 1, "wait", "0")
	id := w.match(job, 0, 0, 1)
	eventually(t, "the attempt does not start", func() bool { return len(p.kept()) == 1 && len(p.cached(kindTree)) == 1 })
	w.node.Stop()
	p.release(w.inputs(job))
	w.outcome(id)
	w.node.Serve()
	eventually(t, "the attempt does not end", func() bool { return len(p.Status().UnderWay) == 0 })
}

func TestWaitsForRegistration(t *testing.T) {
	w := newWorld(t)
	w.change(func() { w.hidden = true })
	p := w.run(t.TempDir(), func(c *Config) { c.NodeID = "" })
	w.node.Advance()
	time.Sleep(50 * time.Millisecond)
	require.Empty(t, p.Status().NodeID)
	w.change(func() { w.hidden = false })
	eventually(t, "the node is not found", func() bool { return p.Status().NodeID == testNode })
}

// TestForeignFiles are of attempts that this chain knows nothing of.
func TestForeignFiles(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	p := w.run(dir)
	id := w.match(w.job(testJob, 1, "report"), 0, 0, 1)
	eventually(t, "the attempt does not start", func() bool { return len(p.kept()) == 1 })
	p.stop()
	w.change(func() { w.slices, w.jobs = nil, map[string]jobstypes.Job{} })
	p = w.run(dir)
	eventually(t, "files of "+id.String()+" stay", func() bool { return len(p.kept()) == 0 })
}

// TestNodeTooSmall is not the job's fault.
func TestNodeTooSmall(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	w.run(t.TempDir(), func(c *Config) { c.CacheMiB = 1 })
	id := w.match(w.job(testJob, 1, "report"), 0, 0, 1)
	require.Equal(t, link.ReasonNode, w.outcome(id).Tasks[0].Reason)
}

func TestResultGone(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	held := make(chan struct{}, 1000)
	job := w.job(testJob, 1, "report")
	w.registry.set(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/results/") {
			return false
		}
		held <- struct{}{}
		return refuseAll(rw, r)
	})
	p := w.run(t.TempDir())
	id := w.match(job, 0, 0, 1)
	<-held
	files, err := filepath.Glob(filepath.Join(p.dir, "dispatch", "attempts", "*", "tasks", "*", "result.tar"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.Remove(files[0]))
	w.registry.open()
	report := w.outcome(id)
	require.Equal(t, link.ReasonNode, report.Tasks[0].Reason)
	require.Zero(t, report.ManifestDigest)
}

func TestStopsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	p := w.run(t.TempDir())
	w.match(w.job(testJob, 4, "wait", "0"), 0, 0, 4)
	eventually(t, "the attempt does not start", func() bool { return len(p.kept()) == 1 })
	began := time.Now()
	p.stop()
	require.Less(t, time.Since(began), 30*time.Second) // the tasks would run for a minute
}

func TestConfig(t *testing.T) {
	_, err := New(Config{})
	require.ErrorContains(t, err, "chain client")
	w := newWorld(t)
	full := Config{Chain: w.node.Client(), AgentKey: agentKey, Registry: w.push, Dispatcher: w.run(t.TempDir()).dispatcher, Dir: t.TempDir()}
	for want, spoil := range map[string]func(*Config){
		"agent key": func(c *Config) { c.AgentKey = nil },
		"registry":  func(c *Config) { c.Registry = nil },
		"folder":    func(c *Config) { c.Dir = "" },
		"boot_id":   func(c *Config) { c.BootID = "XYZ" },
	} {
		c := full
		spoil(&c)
		_, err := New(c)
		require.ErrorContains(t, err, want)
	}
	_, err = New(full)
	require.NoError(t, err)
}

func (p *process) kept() []dispatch.AttemptID {
	ids, err := p.dispatcher.Kept()
	require.NoError(p.t, err)
	return ids
}

func (p *process) cached(kind string) []os.DirEntry {
	entries, err := os.ReadDir(filepath.Join(p.dir, "agent", "cache", kind))
	require.NoError(p.t, err)
	return entries
}

func (w *world) lastProgress(id dispatch.AttemptID) (last link.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.progress {
		if p.JobID == id.Job && p.Slice == id.Slice && p.Attempt == id.Attempt {
			last = p
		}
	}
	return last
}

func (w *world) specOf(job jobstypes.Job) jobfile.Spec {
	w.t.Helper()
	d, err := artifact.ParseDigest(job.SpecDigest)
	require.NoError(w.t, err)
	raw, err := w.push.ReadBlob(context.Background(), client.RepoSpecs, d, jobfile.MaxSpecBytes)
	require.NoError(w.t, err)
	spec, err := jobfile.ParseSpec(raw)
	require.NoError(w.t, err)
	return spec
}

func (w *world) inputs(job jobstypes.Job) artifact.Digest { return w.specOf(job).Inputs }

func (w *world) resultFile(d client.Descriptor, name string) string {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "archive")
	require.NoError(w.t, w.push.PullFile(context.Background(), client.ResultRepo(testJob), d, dir))
	f, err := os.Open(dir)
	require.NoError(w.t, err)
	require.NoError(w.t, artifact.Unpack(f, dir+"-out", d.Digest, artifact.Limits{}))
	require.NoError(w.t, f.Close())
	raw, err := os.ReadFile(filepath.Join(dir+"-out", name))
	require.NoError(w.t, err)
	return string(raw)
}
