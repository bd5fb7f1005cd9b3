package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const one = nodestypes.RatingOne

// What a run tells of its machine.
func TestRunsRateTheirNodes(t *testing.T) {
	rated := func(w *world, n nodestypes.Node) (successes, trials uint64) {
		r := w.nodes.get(w.Ctx, n.Id).Rating
		return r.Successes, r.Trials
	}
	for name, c := range map[string]struct {
		run               func(w *world, job types.Job, n nodestypes.Node)
		successes, trials uint64
	}{
		"all done": {func(w *world, job types.Job, _ nodestypes.Node) { w.report(job.Id, 0, 30_000) }, one, one},
		"one of four not started": {func(w *world, job types.Job, _ nodestypes.Node) {
			w.report(job.Id, 0, 30_000, failure(2, types.FAILURE_REASON_NOT_STARTED))
		}, one * 3 / 4, one},
		"its own fault is left out": {func(w *world, job types.Job, _ nodestypes.Node) { w.report(job.Id, 0, 30_000, exit(2, 3)) }, one, one},
		"nothing but own faults": {func(w *world, job types.Job, _ nodestypes.Node) {
			w.report(job.Id, 0, 30_000, exit(0, 3), exit(1, 3), exit(2, 3), exit(3, 3))
		}, 0, 0},
		"lost": {func(w *world, _ types.Job, n nodestypes.Node) {
			w.down(n)
			w.end(testGrace)
		}, 0, one},
		"cancelled": {func(w *world, job types.Job, _ nodestypes.Node) {
			w.cancel(job.Id)
			w.NextBlock()
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			n := w.addNode("prov", 1, 7200)
			job := w.submit(w.jobMsg("dev", "a", 4))
			w.matchAll(job.Id, 0, 4, n)
			w.after(50)
			c.run(w, job, n)
			successes, trials := rated(w, n)
			require.EqualValues(t, c.trials, trials)
			require.EqualValues(t, c.successes, successes)
		})
	}

	for name, c := range map[string]struct {
		failures                    []types.TaskFailure
		firstTrials, secondSuccess  uint64
		firstSuccess, secondsTrials uint64
	}{
		"the rerun succeeds: the first machine is to blame": {nil, 2 * one, one, one, one},
		"the rerun fails too: nobody is":                    {[]types.TaskFailure{exit(2, 3)}, one, 0, one, 0},
		"it fails otherwise: nobody is":                     {[]types.TaskFailure{exit(2, 4)}, one, 0, one, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, job, first, second := failOne(t)
			w.matchAll(job.Id, 1, 1, second)
			w.after(60)
			w.report(job.Id, 1, 10_000, c.failures...)
			successes, trials := rated(w, first)
			require.Equal(t, []uint64{c.firstSuccess, c.firstTrials}, []uint64{successes, trials})
			successes, trials = rated(w, second)
			require.Equal(t, []uint64{c.secondSuccess, c.secondsTrials}, []uint64{successes, trials})
		})
	}
}

// The speed of a node is that of the job's other slices on theirs, each measured by what its benchmark promised.
func TestSpeedIsComparedWithinAJob(t *testing.T) {
	w := newWorld(t)
	slow, fast := w.addNode("prov", 1, 7200), w.addNode("other", 2, 7200)
	w.nodes.change(w.Ctx, fast.Id, func(n *nodestypes.Node) { n.Measured.CpuSingle = 2000 })
	fast = w.nodes.get(w.Ctx, fast.Id)
	job := w.submit(w.jobMsg("dev", "a", 4))
	w.matchAll(job.Id, 0, 1, slow)
	w.matchAll(job.Id, 0, 1, fast)
	w.matchAll(job.Id, 0, 1, slow)
	w.matchAll(job.Id, 0, 1, fast)
	w.after(100)
	speed := func(n nodestypes.Node) [2]uint64 {
		r := w.nodes.get(w.Ctx, n.Id).Rating
		return [2]uint64{r.Speed, r.SpeedTrials}
	}
	w.report(job.Id, 1, 40_000)
	require.Zero(t, speed(slow), "nothing to compare with")
	w.report(job.Id, 2, 20_000)
	require.Equal(t, [2]uint64{one, one}, speed(fast), "half the time at twice the speed is as promised")
	w.report(job.Id, 3, 80_000)
	require.Equal(t, [2]uint64{one / 2, one}, speed(slow), "twice the time")
	w.report(job.Id, 0, 9_999)
	require.Equal(t, [2]uint64{one, one}, speed(fast), "too short to tell")
	w.NextBlock()
	w.check()
}
