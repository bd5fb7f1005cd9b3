package nomaddesk

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

func (w *world) report(d *Desk, s jobstypes.Slice, rank int) link.Report {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := d.Report(ctx, s, rank)
	require.NoError(w.t, err)
	require.NoError(w.t, r.Validate())
	require.Len(w.t, r.Tasks, int(s.TaskCount))
	return r
}

func (w *world) reasons(r link.Report, want link.Reason) {
	w.t.Helper()
	for _, t := range r.Tasks {
		require.Equal(w.t, want, t.Reason, "task %d", t.Task)
	}
}

// TestEveryOracleReportsTheSame: only rank 0 may register within the test's time, the others find what it registered.
func TestEveryOracleReportsTheSame(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 4, "report"), 2, 1, 3)
	var g errgroup.Group
	reports := make([]link.Report, 4)
	for rank := range reports {
		d := w.desk()
		g.Go(func() error {
			r, err := d.Report(t.Context(), s, rank)
			reports[rank] = r
			return err
		})
	}
	require.NoError(t, g.Wait())
	for _, r := range reports {
		w.reasons(r, link.ReasonNone)
		r.Tasks, reports[0].Tasks = nil, nil
		require.Equal(t, reports[0], r)
	}
	require.Equal(t, 1, w.nomad.Registrations())
	require.NotZero(t, reports[0].ManifestDigest)
}

// TestLaterRankTakesOver: when nobody registers, the next rank's turn comes.
func TestLaterRankTakesOver(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 1, "report"), 0, 0, 1)
	w.reasons(w.report(w.desk(func(o *Options) { o.RankPause = 100 * time.Millisecond }), s, 3), link.ReasonNone)
}

func TestNobodyRegistersLate(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 2, "report"), 0, 0, 2)
	s.MatchedTime -= 3600
	w.put(s)
	r := w.report(w.desk(), s, 0)
	w.reasons(r, link.ReasonNotStarted)
	require.Zero(t, r.ManifestDigest)
	require.Zero(t, w.nomad.Registrations())
}

func TestNoClientIsNotStarted(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 2, "report"), 0, 0, 2)
	w.nomad.LoseClients()
	w.reasons(w.report(w.desk(func(o *Options) { o.StartTimeout = 1500 * time.Millisecond }), s, 0), link.ReasonNotStarted)
	require.True(t, w.nomad.Stopped("default", jobID(s)), "a job that waits for room is ended before its tasks go elsewhere")
}

func TestLostClientIsTheNodes(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 2, "wait", "0"), 0, 0, 2)
	d := w.desk()
	var g errgroup.Group
	var r link.Report
	g.Go(func() (err error) {
		r, err = d.Report(t.Context(), s, 0)
		return err
	})
	for task := range uint32(2) {
		w.eventually("tasks run", func() bool {
			_, err := d.nomad.Logs(t.Context(), handover.ID(s), task)
			return err == nil && dispatchtest.ReadLog(t, d.nomad, handover.ID(s), task) != ""
		})
	}
	w.nomad.LoseClients()
	require.NoError(t, g.Wait())
	w.reasons(r, link.ReasonNode)
	require.True(t, w.nomad.Stopped("default", jobID(s)), "what is lost is deregistered before it is told")
}

func TestWhatCannotRun(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*world, *jobstypes.Job)
		want  link.Reason
	}{
		"no such spec":   {func(_ *world, j *jobstypes.Job) { j.SpecDigest = "sha256:" + j.SpecDigest[len("sha256:")+1:] + "0" }, link.ReasonBadImage},
		"contradiction":  {func(_ *world, j *jobstypes.Job) { j.MaxDuration++ }, link.ReasonBadImage},
		"no module":      {func(w *world, j *jobstypes.Job) { *j = w.noModule(j.Id) }, link.ReasonBadImage},
		"no image":       {func(w *world, j *jobstypes.Job) { *j = w.container(j.Id, [32]byte{1}) }, link.ReasonBadImage},
		"no program":     {func(w *world, j *jobstypes.Job) { *j = w.container(j.Id, w.guest.Digest) }, link.ReasonBadImage},
		"all namespaces": {func(w *world, _ *jobstypes.Job) { w.labels[handover.AttributeNamespace] = "*" }, link.ReasonNode},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			job := w.job("job1x", 1, "report")
			c.spoil(w, &job)
			w.edit(func() { w.jobs[job.Id] = job })
			w.reasons(w.report(w.desk(), w.match(job, 0, 0, 1), 0), c.want)
			require.Zero(t, w.nomad.Registrations())
		})
	}
}

func (w *world) noModule(id string) jobstypes.Job {
	return w.putJob(id, jobfile.Spec{
		Version: jobfile.Version, Name: "test", Engine: jobfile.EngineWASM, Module: [32]byte{1}, Tasks: 1, CPU: 100, Memory: 64, Storage: 1, MaxDuration: 60,
	})
}

func (w *world) container(id string, image artifact.Digest) jobstypes.Job {
	return w.putJob(id, jobfile.Spec{
		Version: jobfile.Version, Name: "test", Engine: jobfile.EngineDocker, Module: image, Tasks: 1, CPU: 100, Memory: 64, Storage: 1, MaxDuration: 60,
	})
}

// TestCancelledIsStopped: what the chain does not want any more ends, and its job stays in Nomad.
func TestCancelledIsStopped(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 2, "wait", "0"), 0, 0, 2)
	d := w.desk(func(o *Options) { o.SweepEvery = time.Hour })
	var g errgroup.Group
	g.Go(func() error {
		_, err := d.Report(t.Context(), s, 0)
		return err
	})
	w.eventually("tasks run", func() bool { return w.nomad.Running() == 2 })
	s.Status = jobstypes.SLICE_STATUS_CANCELLED
	w.put(s)
	d.Kick()
	w.eventually("tasks end", func() bool { return w.nomad.Running() == 0 })
	w.eventually("it is forgotten", func() bool {
		kept, err := d.nomad.Kept()
		require.NoError(t, err)
		return len(kept) == 0
	})
	require.True(t, w.nomad.Stopped("default", jobID(s)))
	require.ErrorIs(t, g.Wait(), errOver, "there is nothing to report any more")
}

// TestAttestedLate: an oracle that is slower than the quorum may finish its report.
func TestAttestedLate(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 1, "wait", "0"), 0, 0, 1)
	d := w.desk()
	done := d.report(handover.ID(s))
	attested := s
	attested.Status, attested.Outcome = jobstypes.SLICE_STATUS_REPORTED, &jobstypes.Outcome{}
	w.put(attested)
	keep, err := d.wanted(t.Context(), handover.ID(s))
	require.NoError(t, err)
	require.True(t, keep)
	done()
	keep, err = d.wanted(t.Context(), handover.ID(s))
	require.NoError(t, err)
	require.False(t, keep)
}

// TestSweepEndsOnlyWhatIsOver: another oracle's jobs are left alone unless the chain has gone on from them.
func TestSweepEndsOnlyWhatIsOver(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 1, "wait", "0"), 0, 0, 1)
	first := w.desk(func(o *Options) { o.SweepEvery = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error {
		_, err := first.Report(ctx, s, 0)
		return err
	})
	w.eventually("it runs", func() bool { return w.nomad.Running() == 1 })
	second := w.desk(func(o *Options) { o.SweepEvery = time.Hour })
	for name, set := range map[string]func(){
		"matched":    func() {},
		"not yet":    func() { w.put(jobstypes.Slice{JobId: s.JobId, Status: jobstypes.SLICE_STATUS_PENDING}) },
		"unknown":    func() { w.edit(func() { delete(w.slices, dispatch.AttemptID{Job: s.JobId}) }) },
		"no answers": func() { w.edit(func() { w.broken = errors.New("no answers") }) },
	} {
		set()
		ended, err := second.nomad.Sweep(t.Context(), second.wanted)
		require.Equal(t, name == "no answers", err != nil, "%s: %v", name, err)
		require.Zero(t, ended, name)
		w.edit(func() { w.broken = nil })
		w.put(s)
	}
	gone := s
	gone.Attempt++
	w.put(gone)
	ended, err := second.nomad.Sweep(t.Context(), second.wanted)
	require.NoError(t, err)
	require.Equal(t, 1, ended)
	w.eventually("it ends", func() bool { return w.nomad.Running() == 0 })
	cancel()
	require.Error(t, g.Wait())
}

// TestNextAttemptWaitsForTheOneBefore: an attempt at the same slice that is held here has ended before the next one is registered.
func TestNextAttemptWaitsForTheOneBefore(t *testing.T) {
	w := newWorld(t)
	s := w.match(w.job("job1x", 1, "wait", "0"), 0, 0, 1)
	d := w.desk(func(o *Options) { o.SweepEvery = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error {
		_, err := d.Report(ctx, s, 0)
		return err
	})
	w.eventually("it runs", func() bool { return w.nomad.Running() == 1 })
	next := s
	next.Attempt, next.MatchedTime = 2, time.Now().Unix()
	w.put(next)
	g.Go(func() error {
		_, err := d.Report(ctx, next, 0)
		return err
	})
	w.eventually("the next is registered", func() bool { return w.nomad.Registrations() == 2 })
	require.True(t, w.nomad.Stopped("default", jobID(s)))
	w.eventually("one runs", func() bool { return w.nomad.Running() == 1 })
	cancel()
	require.Error(t, g.Wait())
}
