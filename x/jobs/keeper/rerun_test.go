package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func exit(task, code uint32) types.TaskFailure {
	return types.TaskFailure{Task: task, ExitCode: code, Reason: types.FAILURE_REASON_EXIT}
}

func failure(task uint32, reason types.FailureReason) types.TaskFailure {
	return types.TaskFailure{Task: task, Reason: reason}
}

// failOne runs four tasks on prov's node at 7,200 an hour; task 2 exits with 3 after 30 s. Its pay, the minimum of 60 s, is withheld.
func failOne(t *testing.T) (w *world, job types.Job, first, second nodestypes.Node) {
	t.Helper()
	w = newWorld(t)
	first = w.addNode("prov", 1, 7200)
	second = w.addNode("other", 2, 10_800)
	w.addNode("prov", 3, 7200)
	job = w.submit(w.jobMsg("dev", "a", 4))
	w.matchAll(job.Id, 0, 4, first)
	w.after(50)
	w.report(job.Id, 0, 30_000, exit(2, 3))
	return w, job, first, second
}

func TestFailedTaskWaitsForItsRerun(t *testing.T) {
	w, job, _, second := failOne(t)
	s := w.slice(job.Id, 1)
	require.Equal(t, types.SLICE_STATUS_PENDING, s.Status)
	require.EqualValues(t, 2, s.FirstTask)
	require.Equal(t, []types.Withheld{{Task: 2, ExitCode: 3, Reason: types.FAILURE_REASON_EXIT, Pay: 120, Fee: 1}}, s.Rerun.Withheld)
	// Of the 305 that the task had, 121 are withheld; 184 pay for 60 s at the cap: ⌈10801·60/3600⌉ = 181 and a fee of 2. The last ufog goes back.
	require.EqualValues(t, 60, s.MaxDuration)
	require.EqualValues(t, 181, s.Budget)
	require.EqualValues(t, 2, s.FeeBudget)
	require.EqualValues(t, 606, w.slice(job.Id, 0).Budget+w.slice(job.Id, 0).FeeBudget, "three tasks of 202 stay")
	require.Equal(t, types.TaskCounts{Pending: 1, Reported: 3}, w.job(job.Id).Counts)
	require.EqualValues(t, 4*305-606-121-183, w.job(job.Id).Refunded)

	same := w.nodes.get(w.Ctx, nodestypes.NodeID(addressOf("prov"), "3").Bech32(nodestypes.NodeHRP))
	require.EqualValues(t, 1, w.match(item(job.Id, 1, 1, same)).Stale, "another node of the same owner")
	w.matchAll(job.Id, 1, 1, second)
	w.NextBlock()
	w.check()
}

func TestRerunTellsWhoseFaultItWas(t *testing.T) {
	// The ok tasks of the first run earn ⌊3 · 30 s · 2⌋ = 180, fee 1, in each case. The rerun costs 3 ufog a second.
	for name, c := range map[string]struct {
		ms            uint64
		failures      []types.TaskFailure
		prov, other   uint64
		rewards       [3]uint64
		counts        types.TaskCounts
		reason        types.CloseReason
		first, second nodestypes.Statistics
	}{
		"success: the first run is unpaid": {
			ms: 40_000, prov: 180, other: 120, rewards: [3]uint64{2, 0, 0},
			counts: types.TaskCounts{Succeeded: 4}, reason: types.CLOSE_REASON_COMPLETED,
			first:  nodestypes.Statistics{Tasks: 4, Successes: 3, Paid: 180, WorkMs: 90_000},
			second: nodestypes.Statistics{Tasks: 1, Successes: 1, Paid: 120, WorkMs: 40_000},
		},
		"the same failure: both are paid, at least 60 s": {
			ms: 10_000, failures: []types.TaskFailure{exit(2, 3)}, prov: 180 + 120, other: 180, rewards: [3]uint64{3, 0, 0},
			counts: types.TaskCounts{Succeeded: 3, Failed: 1}, reason: types.CLOSE_REASON_FAILED,
			first:  nodestypes.Statistics{Tasks: 4, Successes: 3, Failures: 1, Paid: 300, WorkMs: 120_000},
			second: nodestypes.Statistics{Tasks: 1, Failures: 1, Paid: 180, WorkMs: 10_000},
		},
		"another exit code: only the rerun is paid": {
			ms: 10_000, failures: []types.TaskFailure{exit(2, 4)}, prov: 180, other: 180, rewards: [3]uint64{2, 0, 0},
			counts: types.TaskCounts{Succeeded: 3, Failed: 1}, reason: types.CLOSE_REASON_FAILED,
			first:  nodestypes.Statistics{Tasks: 4, Successes: 3, Paid: 180, WorkMs: 90_000},
			second: nodestypes.Statistics{Tasks: 1, Failures: 1, Paid: 180, WorkMs: 10_000},
		},
		"another reason: only the rerun is paid": {
			ms: 60_000, failures: []types.TaskFailure{failure(2, types.FAILURE_REASON_MEMORY)}, prov: 180, other: 180, rewards: [3]uint64{2, 0, 0},
			counts: types.TaskCounts{Succeeded: 3, Failed: 1}, reason: types.CLOSE_REASON_FAILED,
			first:  nodestypes.Statistics{Tasks: 4, Successes: 3, Paid: 180, WorkMs: 90_000},
			second: nodestypes.Statistics{Tasks: 1, Failures: 1, Paid: 180, WorkMs: 60_000},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, job, first, second := failOne(t)
			w.matchAll(job.Id, 1, 1, second)
			require.Equal(t, account{1_000_000, 54}, w.provider("other"), "30 % of 3 · 60")
			w.after(60)
			w.report(job.Id, 1, c.ms, c.failures...)
			w.NextBlock()
			w.check()
			w.end(3600)
			w.check()

			require.Equal(t, account{1_000_000*2 + c.prov, 0}, w.provider("prov"))
			require.Equal(t, account{1_000_000 + c.other, 0}, w.provider("other"))
			require.Equal(t, c.rewards, w.rewards())
			closed := w.job(job.Id)
			require.Equal(t, c.counts, closed.Counts)
			require.Equal(t, c.reason, closed.CloseReason)
			fees := c.rewards[0] + c.rewards[1] + c.rewards[2]
			require.Equal(t, account{1220 - c.prov - c.other - fees, 0}, w.jobAccount(job.Id))
			require.Equal(t, c.first, w.nodes.get(w.Ctx, first.Id).Statistics)
			require.Equal(t, c.second, w.nodes.get(w.Ctx, second.Id).Statistics)
		})
	}
}

func TestRerunWithoutResultPaysTheFirstRun(t *testing.T) {
	for name, c := range map[string]struct {
		attempts uint32
		run      func(w *world, job types.Job, second nodestypes.Node)
		// other is what the second provider gained, or lost, and what the first got besides its 180.
		other int64
		fees  uint64
	}{
		"no node before the deadline": {3, func(w *world, _ types.Job, _ nodestypes.Node) { w.after(3600) }, 0, 2},
		"cancelled while it waits":    {3, func(w *world, job types.Job, _ nodestypes.Node) { w.cancel(job.Id) }, 0, 2},
		// Cancelled at once: 60 s at 3 a second are 180, fee 1.
		"cancelled while it runs": {3, func(w *world, job types.Job, second nodestypes.Node) {
			w.matchAll(job.Id, 1, 1, second)
			w.cancel(job.Id)
		}, 180, 3},
		"lost in the last attempt": {1, func(w *world, job types.Job, second nodestypes.Node) {
			w.matchAll(job.Id, 1, 1, second)
			w.down(second)
			w.after(testGrace)
		}, -2, 2}, // 5 % of 54
		"not started in the last attempt": {1, func(w *world, job types.Job, second nodestypes.Node) {
			w.matchAll(job.Id, 1, 1, second)
			w.report(job.Id, 1, 0, failure(2, types.FAILURE_REASON_NOT_STARTED))
		}, 0, 2},
		"nobody attested": {3, func(w *world, job types.Job, second nodestypes.Node) {
			w.matchAll(job.Id, 1, 1, second)
			w.after(60 + 7*24*3600)
		}, 90, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w, job, _, second := failOne(t)
			w.setParams(func(p *types.Params) { p.MaxAttempts = c.attempts })
			c.run(w, job, second)
			w.NextBlock()
			w.check()
			w.end(3600)
			w.check()
			require.Equal(t, account{2_000_000 + 180 + 120, 0}, w.provider("prov"))
			require.EqualValues(t, 1_000_000+c.other, w.provider("other").balance)
			require.Zero(t, w.provider("other").locked)
			got := w.rewards()
			require.Equal(t, c.fees, got[0]+got[1]+got[2])
			closed := w.job(job.Id)
			require.Equal(t, types.TaskCounts{Succeeded: 3, Failed: 1}, closed.Counts)
			paidOther := uint64(max(c.other, 0))
			require.Equal(t, account{1220 - 300 - paidOther - c.fees, 0}, w.jobAccount(job.Id))
		})
	}
}

func TestRerunThatIsLostIsQueuedAgain(t *testing.T) {
	w, job, _, second := failOne(t)
	third := w.addNode("third", 4, 3600)
	w.matchAll(job.Id, 1, 1, second)
	w.down(second)
	w.end(testGrace)
	w.check()
	s := w.slice(job.Id, 2)
	require.Equal(t, types.SLICE_STATUS_PENDING, s.Status)
	require.EqualValues(t, 1, s.Attempt)
	require.EqualValues(t, 60, s.MaxDuration)
	require.EqualValues(t, 183, s.Budget+s.FeeBudget, "filled up again")
	require.Len(t, s.Rerun.Withheld, 1)
	w.matchAll(job.Id, 2, 1, third)
	w.after(60)
	w.report(job.Id, 2, 60_000, exit(2, 3))
	w.end(3600)
	w.check()
	require.Equal(t, account{1_000_000 + 60, 0}, w.provider("third"))
	require.Equal(t, account{2_000_000 + 300, 0}, w.provider("prov"))
}

func TestNoRerunWithoutMoneyOrTime(t *testing.T) {
	for name, run := range map[string]func(w *world, job types.Job, node nodestypes.Node){
		// At the cap, 60 of 100 s are spent; 40 s are less than the shortest task.
		"money": func(w *world, job types.Job, node nodestypes.Node) {
			w.after(50)
			w.report(job.Id, 0, 60_000, exit(0, 1), exit(1, 1))
		},
		"the deadline has passed": func(w *world, job types.Job, node nodestypes.Node) {
			w.after(3600)
			w.report(job.Id, 0, 60_000, exit(0, 1), exit(1, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			node := w.addNode("prov", 1, 10_801)
			job := w.submit(w.jobMsg("dev", "a", 2))
			w.matchAll(job.Id, 0, 2, node)
			run(w, job, node)
			closed := w.job(job.Id)
			require.Equal(t, types.CLOSE_REASON_FAILED, closed.CloseReason, "nothing is left to accept")
			require.Equal(t, types.TaskCounts{Failed: 2}, closed.Counts)
			// ⌊2 · 60 s · 10801/3600⌋ = 360, fee 3.
			require.Equal(t, account{1_000_360, 0}, w.provider("prov"))
			require.Equal(t, [3]uint64{1, 1, 1}, w.rewards())
			require.Equal(t, account{610 - 363, 0}, w.jobAccount(job.Id))
			w.NextBlock()
			w.check()
		})
	}
}

func TestRerunUsesOnlyWhatIsStillThere(t *testing.T) {
	w := newWorld(t)
	first := w.addNode("prov", 1, 3600) // 1 a second: 100 and a fee of 1 stay of 305
	job := w.submit(w.jobMsg("dev", "a", 1))
	w.matchAll(job.Id, 0, 1, first)
	w.NextBlock()
	w.withdraw(job.Id, 204) // what the match freed
	w.after(90)
	w.report(job.Id, 0, 80_000, exit(0, 1))
	// 21 are left for the rerun: not a minute at the cap.
	closed := w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_FAILED, closed.CloseReason)
	require.Equal(t, account{1_000_080, 0}, w.provider("prov"))
	require.Equal(t, account{21, 0}, w.jobAccount(job.Id))
	w.NextBlock()
	w.check()
}

func TestFailuresApartMakeOneRerunEach(t *testing.T) {
	w := newWorld(t)
	first := w.addNode("prov", 1, 3600)
	job := w.submit(w.jobMsg("dev", "a", 8))
	w.matchAll(job.Id, 0, 8, first)
	w.after(50)
	w.report(job.Id, 0, 20_000, exit(0, 1), exit(1, 2), failure(2, types.FAILURE_REASON_NODE), failure(4, types.FAILURE_REASON_NOT_STARTED),
		failure(5, types.FAILURE_REASON_NODE), failure(7, types.FAILURE_REASON_TRAP))
	type part struct {
		first, count, attempt uint32
		rerun                 bool
	}
	var got []part
	for number := uint32(1); number < w.job(job.Id).NextSlice; number++ {
		s := w.slice(job.Id, number)
		got = append(got, part{s.FirstTask, s.TaskCount, s.Attempt, s.Rerun != nil})
	}
	require.Equal(t, []part{{0, 2, 0, true}, {2, 1, 1, false}, {4, 2, 1, false}, {7, 1, 0, true}}, got)
	require.Equal(t, types.TaskCounts{Pending: 6, Reported: 2}, w.job(job.Id).Counts)
	require.Equal(t, nodestypes.Statistics{Tasks: 7, Successes: 2}, w.nodes.get(w.Ctx, first.Id).Statistics, "a task that was not started does not count")
	w.NextBlock()
	w.check()

	// Nothing of it finds a node: all back but the work that was done.
	w.end(3600)
	w.check()
	closed := w.job(job.Id)
	require.Equal(t, types.TaskCounts{Succeeded: 2, Failed: 3, Expired: 3}, closed.Counts)
	// ok 2 · 20 s, failed 3 · 60 s at 1 a second; no fee on 40, none on 60 each.
	require.Equal(t, account{1_000_220, 0}, w.provider("prov"))
	require.Equal(t, account{8*305 - 220, 0}, w.jobAccount(job.Id))
}

// A slice of a rerun can be split between nodes, each part with what it withholds.
func TestRerunIsSplit(t *testing.T) {
	w := newWorld(t)
	first := w.addNode("prov", 1, 3600)
	second := w.addNode("other", 2, 3600)
	job := w.submit(w.jobMsg("dev", "a", 3))
	w.matchAll(job.Id, 0, 3, first)
	w.after(50)
	w.report(job.Id, 0, 20_000, exit(0, 1), exit(1, 2), exit(2, 3))
	require.Equal(t, types.SLICE_STATUS_SETTLED, w.slice(job.Id, 0).Status, "all its tasks moved away")
	require.Zero(t, w.slice(job.Id, 0).Paid)
	require.Equal(t, account{1_000_000, 0}, w.provider("prov"))
	w.matchAll(job.Id, 1, 2, second)
	require.Len(t, w.slice(job.Id, 1).Rerun.Withheld, 1)
	require.EqualValues(t, 2, w.slice(job.Id, 1).Rerun.Withheld[0].Task)
	require.Len(t, w.slice(job.Id, 2).Rerun.Withheld, 2)
	w.NextBlock()
	w.check()
	w.after(50)
	w.report(job.Id, 2, 30_000, exit(1, 2)) // task 0 succeeds, task 1 fails again
	w.matchAll(job.Id, 1, 1, second)
	w.report(job.Id, 1, 0, failure(2, types.FAILURE_REASON_NODE))
	w.end(3600)
	w.check()
	closed := w.job(job.Id)
	require.Equal(t, types.TaskCounts{Succeeded: 1, Failed: 2}, closed.Counts)
	require.Equal(t, account{1_000_120, 0}, w.provider("prov"), "tasks 1 and 2")
	require.Equal(t, account{1_000_090, 0}, w.provider("other"), "30 s of task 0, the minimum of task 1")
	require.Equal(t, [3]uint64{0, 0, 0}, w.rewards(), "1 % of 60 and of 90 rounds down")
}
