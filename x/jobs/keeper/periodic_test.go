package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
)

// A run of two tasks holds 2 · (301 + 4) ufog, and coming up costs 5,000.
const (
	runHolds = 610
	runFee   = 5_000
	runCost  = runHolds + runFee
)

func (w *world) periodicMsg(owner, salt string, runs uint32) *types.MsgSubmitJob {
	msg := w.jobMsg(owner, salt, 2)
	msg.Type, msg.Schedule, msg.Runs = types.JOB_TYPE_PERIODIC, "* * * * *", runs
	return msg
}

func (w *world) submitPeriodic(msg *types.MsgSubmitJob, funded uint64) types.PeriodicJob {
	w.tb.Helper()
	owner, err := w.Addresses.StringToBytes(msg.Owner)
	w.must(err, "owner")
	w.Fund(owner, funded)
	var res *types.MsgSubmitJobResponse
	w.must(w.Tx(func(ctx sdk.Context) (err error) {
		res, err = w.server().SubmitJob(ctx, msg)
		return err
	}), "submit")
	if res.Funded != funded {
		w.tb.Fatalf("funded %d, not %d", res.Funded, funded)
	}
	return w.periodicJob(res.JobId)
}

func (w *world) periodicJob(id string) types.PeriodicJob {
	w.tb.Helper()
	job, err := w.k.PeriodicJob(w.Ctx, w.id(id))
	w.must(err, "periodic job")
	return job
}

func (w *world) run(parent string, n uint64) types.Job {
	w.tb.Helper()
	return w.job(types.RunID(w.id(parent), n).Bech32(types.JobHRP))
}

func (w *world) topUp(owner, id string, amount uint64) error {
	w.Fund(addressOf(owner), amount)
	return w.Tx(func(ctx sdk.Context) error {
		_, err := w.server().TopUpJob(ctx, &types.MsgTopUpJob{Owner: addressText(owner), JobId: id, Amount: amount})
		return err
	})
}

// toNext lets the block pass in which a job comes up.
func (w *world) toNext(id string) {
	w.tb.Helper()
	w.end(w.periodicJob(id).NextTime - w.Ctx.BlockTime().Unix())
}

func TestPeriodicJobRunsAndGetsTheRestBack(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	p := w.submitPeriodic(w.periodicMsg("dev", "p", 2), 2*runCost)
	require.Equal(t, types.PERIODIC_STATUS_ACTIVE, p.Status)
	require.Zero(t, p.NextTime%60)
	require.Equal(t, account{2 * runCost, 0}, w.jobAccount(p.Id))
	supply := w.Supply()

	w.toNext(p.Id)
	w.check()
	p = w.periodicJob(p.Id)
	require.EqualValues(t, 1, p.Runs)
	run := w.run(p.Id, 1)
	require.Equal(t, p.Id, run.Parent)
	require.EqualValues(t, 1, run.Run)
	require.Equal(t, types.JOB_TYPE_BATCH, run.Type)
	require.Equal(t, p.Owner, run.Owner)
	require.Equal(t, account{runHolds, runHolds}, w.jobAccount(run.Id))
	require.Equal(t, account{runCost, 0}, w.jobAccount(p.Id))
	require.Equal(t, supply-runFee, w.Supply())

	// 20 s of two tasks at 7,200 ufog an hour: 80 paid, no fee on it (1 % of 80 is under one ufog), 530 back to the periodic job.
	w.matchAll(run.Id, 0, 2, node)
	w.after(20)
	w.report(run.Id, 0, 20_000)
	require.NoError(t, w.Tx(func(ctx sdk.Context) error {
		_, err := w.server().AcceptResult(ctx, &types.MsgAcceptResult{Owner: run.Owner, JobId: run.Id})
		return err
	}))
	run = w.job(run.Id)
	require.Equal(t, types.CLOSE_REASON_COMPLETED, run.CloseReason)
	require.Equal(t, []uint64{80, 0, 530}, []uint64{run.Paid, run.Fees, run.Refunded})
	require.Equal(t, account{}, w.jobAccount(run.Id))
	require.Equal(t, account{runCost + 530, 0}, w.jobAccount(p.Id))
	w.NextBlock()
	w.check()

	w.toNext(p.Id)
	require.EqualValues(t, 2, w.periodicJob(p.Id).Runs)
	require.Equal(t, account{530, 0}, w.jobAccount(p.Id))
	require.Equal(t, supply-2*runFee, w.Supply())
}

func TestOverlap(t *testing.T) {
	for overlap, want := range map[types.Overlap]struct {
		runs, leftOut uint64
		first         types.JobStatus
		account       uint64
	}{
		types.OVERLAP_FORBID:  {1, 1, types.JOB_STATUS_OPEN, 4*runCost - runCost - runFee},
		types.OVERLAP_ALLOW:   {2, 0, types.JOB_STATUS_OPEN, 2 * runCost},
		types.OVERLAP_REPLACE: {2, 0, types.JOB_STATUS_CLOSED, 2*runCost + runHolds},
	} {
		t.Run(overlap.String(), func(t *testing.T) {
			w := newWorld(t)
			msg := w.periodicMsg("dev", "p", 4)
			msg.Overlap = overlap
			p := w.submitPeriodic(msg, 4*runCost)
			w.toNext(p.Id)
			w.toNext(p.Id)
			p = w.periodicJob(p.Id)
			require.Equal(t, want.runs, p.Runs)
			require.Equal(t, want.leftOut, p.LeftOut)
			require.Equal(t, want.first, w.run(p.Id, 1).Status)
			require.Equal(t, account{want.account, 0}, w.jobAccount(p.Id))
			w.check()
		})
	}
}

func TestResultsThatWaitAreNoOverlap(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	p := w.submitPeriodic(w.periodicMsg("dev", "p", 2), 2*runCost)
	w.toNext(p.Id)
	run := w.run(p.Id, 1)
	w.matchAll(run.Id, 0, 2, node)
	w.after(20)
	w.report(run.Id, 0, 20_000)
	w.toNext(p.Id)
	require.Equal(t, types.JOB_STATUS_OPEN, w.job(run.Id).Status, "its results wait to be accepted")
	require.EqualValues(t, 2, w.periodicJob(p.Id).Runs)
	w.check()
}

func TestPeriodicJobIsSuspendedAndToppedUp(t *testing.T) {
	w := newWorld(t)
	msg := w.periodicMsg("dev", "p", 1)
	msg.Overlap = types.OVERLAP_ALLOW
	p := w.submitPeriodic(msg, runCost)
	for range 3 {
		w.toNext(p.Id)
		require.Equal(t, types.PERIODIC_STATUS_ACTIVE, w.periodicJob(p.Id).Status)
	}
	w.toNext(p.Id)
	p = w.periodicJob(p.Id)
	require.Equal(t, types.PERIODIC_STATUS_SUSPENDED, p.Status)
	require.Equal(t, []uint64{1, 3, 0}, []uint64{p.Runs, p.LeftOut, uint64(p.NextTime)})
	require.Equal(t, account{}, w.jobAccount(p.Id), "what cannot be paid costs nothing")
	w.check()
	w.end(600)
	require.EqualValues(t, 3, w.periodicJob(p.Id).LeftOut, "a suspended job does not come up")

	require.ErrorIs(t, w.topUp("other", p.Id, 1), types.ErrNotOwner)
	require.NoError(t, w.topUp("dev", p.Id, runCost))
	p = w.periodicJob(p.Id)
	require.Equal(t, types.PERIODIC_STATUS_ACTIVE, p.Status)
	w.toNext(p.Id)
	require.EqualValues(t, 2, w.periodicJob(p.Id).Runs)
	w.check()
}

func TestPeriodicJobIsCancelled(t *testing.T) {
	w := newWorld(t)
	p := w.submitPeriodic(w.periodicMsg("dev", "p", 3), 3*runCost)
	w.toNext(p.Id)
	require.ErrorIs(t, w.tryCancel("other", p.Id), types.ErrNotOwner)
	w.cancel(p.Id)
	require.ErrorIs(t, w.tryCancel("dev", p.Id), types.ErrJobClosed)
	require.ErrorIs(t, w.topUp("dev", p.Id, 1), types.ErrJobClosed)
	p = w.periodicJob(p.Id)
	require.Equal(t, types.PERIODIC_STATUS_ENDED, p.Status)
	require.Equal(t, types.JOB_STATUS_OPEN, w.run(p.Id, 1).Status, "what runs goes on")
	w.end(120)
	require.EqualValues(t, 1, w.periodicJob(p.Id).Runs)
	w.withdraw(p.Id, 2*runCost)
	require.Equal(t, account{}, w.jobAccount(p.Id))
	w.end(3600)
	require.Equal(t, types.CLOSE_REASON_EXPIRED, w.run(p.Id, 1).CloseReason)
	require.Equal(t, account{runHolds, 0}, w.jobAccount(p.Id))
	w.check()
}

func TestTopUpIsForPeriodicJobs(t *testing.T) {
	w := newWorld(t)
	job := w.submit(w.jobMsg("dev", "a", 1))
	err := w.topUp("dev", job.Id, 1)
	require.ErrorIs(t, err, types.ErrNotSupported)
	space, code, _ := errorsmod.ABCIInfo(err, false)
	require.Equal(t, types.ModuleName, space, "a client must be able to tell")
	require.Equal(t, types.ErrNotSupported.ABCICode(), code)
	require.ErrorIs(t, w.topUp("dev", types.RunID(w.id(job.Id), 1).Bech32(types.JobHRP), 1), types.ErrJobNotFound)
	require.ErrorIs(t, w.topUp("dev", job.Id, 0), types.ErrInvalidField)
	msg := w.periodicMsg("dev", "a", 1)
	_, err = w.server().SubmitJob(w.Ctx, msg)
	require.ErrorIs(t, err, types.ErrJobExists)
}

func TestTimesThatPassedCountAsOne(t *testing.T) {
	w := newWorld(t)
	p := w.submitPeriodic(w.periodicMsg("dev", "p", 3), 3*runCost)
	w.end(3600)
	p = w.periodicJob(p.Id)
	require.EqualValues(t, 1, p.Runs)
	require.Greater(t, p.NextTime, p.LastTime)
	w.check()
}

func TestRunsOfABlockAreBounded(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *types.Params) { p.MaxRunsPerBlock = 2 })
	var ids []string
	for i := range 5 {
		ids = append(ids, w.submitPeriodic(w.periodicMsg("dev", fmt.Sprint(i), 1), runCost).Id)
	}
	started := func() (n uint64) {
		for _, id := range ids {
			n += w.periodicJob(id).Runs
		}
		return n
	}
	w.after(w.periodicJob(ids[0]).NextTime - w.Ctx.BlockTime().Unix())
	for _, want := range []uint64{2, 4, 5} {
		w.NextBlock()
		require.Equal(t, want, started())
		w.check()
	}
}

// A run that governance has made impossible is left out, and the chain goes on.
func TestRunThatParamsForbidIsLeftOut(t *testing.T) {
	w := newWorld(t)
	p := w.submitPeriodic(w.periodicMsg("dev", "p", 2), 2*runCost)
	w.setParams(func(p *types.Params) { p.MaxTasks = 1 })
	w.toNext(p.Id)
	p = w.periodicJob(p.Id)
	require.Equal(t, []uint64{0, 1}, []uint64{p.Runs, p.LeftOut})
	require.Equal(t, account{2*runCost - runFee, 0}, w.jobAccount(p.Id))
	w.check()
}

func TestScheduleWithoutATimeIsRefused(t *testing.T) {
	w := newWorld(t)
	msg := w.periodicMsg("dev", "p", 1)
	msg.Schedule = "0 0 30 2 *"
	w.Fund(fixture.Address("dev"), runCost)
	_, err := w.server().SubmitJob(w.Ctx, msg)
	require.ErrorIs(t, err, types.ErrInvalidField)
	require.ErrorContains(t, err, "no time to come")
}

func TestPeriodicQueries(t *testing.T) {
	w := newWorld(t)
	p := w.submitPeriodic(w.periodicMsg("dev", "p", 1), runCost)
	q := w.submitPeriodic(w.periodicMsg("eve", "q", 1), runCost)
	queries := keeper.NewQueryServer(w.k)
	one, err := queries.PeriodicJob(w.Ctx, &types.QueryPeriodicJobRequest{Id: p.Id})
	require.NoError(t, err)
	require.Equal(t, p, one.Job)
	all, err := queries.PeriodicJobs(w.Ctx, &types.QueryPeriodicJobsRequest{})
	require.NoError(t, err)
	require.ElementsMatch(t, []types.PeriodicJob{p, q}, all.Jobs)
	mine, err := queries.PeriodicJobs(w.Ctx, &types.QueryPeriodicJobsRequest{Owner: addressText("eve")})
	require.NoError(t, err)
	require.Equal(t, []types.PeriodicJob{q}, mine.Jobs)
	_, err = queries.PeriodicJob(w.Ctx, &types.QueryPeriodicJobRequest{Id: w.submit(w.jobMsg("dev", "a", 1)).Id})
	require.ErrorContains(t, err, "not found")
}
