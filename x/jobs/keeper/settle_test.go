package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestSubmitLocksBudgetAndFee(t *testing.T) {
	w := newWorld(t)
	job := w.submit(w.jobMsg("dev", "a", 10))
	require.EqualValues(t, 10*(301+4), job.Funded)
	require.Equal(t, account{3050, 3050}, w.jobAccount(job.Id))
	require.Zero(t, w.Wallet(fixture.Address("dev")))
	require.Equal(t, types.TaskCounts{Pending: 10}, job.Counts)
	w.NextBlock()
	w.check()
}

// A provider asks 7,200 ufog an hour, 2 a second: 200 a task of at most 100 s, fee 2, collateral 30 % of 200.
func TestMatchFreesWhatThePriceLeavesAndLocksCollateral(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 10))
	w.matchAll(job.Id, 0, 10, node)
	require.Equal(t, account{3050, 10 * 202}, w.jobAccount(job.Id))
	require.Equal(t, account{1_000_000, 600}, w.provider("prov"))
	require.EqualValues(t, 3050-2020, w.job(job.Id).Refunded)
	require.EqualValues(t, 10_000, w.nodes.get(w.Ctx, node.Id).Reserved.CpuMilli)
	w.NextBlock()
	w.check()
}

func TestReportedSliceSettlesAfterTheWindow(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 10))
	w.matchAll(job.Id, 0, 10, node)
	w.after(90)
	w.report(job.Id, 0, 50_001) // 50.001 s of each task
	s := w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_REPORTED, s.Status)
	require.Zero(t, w.nodes.get(w.Ctx, node.Id).Reserved.CpuMilli, "capacity is free at the report")
	w.NextBlock()
	w.check()

	w.after(3598) // one second before the window ends
	require.Equal(t, types.SLICE_STATUS_REPORTED, w.slice(job.Id, 0).Status)
	w.after(1)
	w.NextBlock()
	s = w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_SETTLED, s.Status)
	// ⌊10 · 50.001 s · 2 ufog/s⌋ = 1000, fee ⌊1 %⌋ = 10: 4 + 3 + 3.
	require.EqualValues(t, 1000, s.Paid)
	require.EqualValues(t, 10, s.Fee)
	require.EqualValues(t, 2020-1010, s.Refunded)
	require.Equal(t, account{1_001_000, 0}, w.provider("prov"))
	require.Equal(t, [3]uint64{4, 3, 3}, w.rewards())
	require.Equal(t, account{3050 - 1010, 0}, w.jobAccount(job.Id))
	closed := w.job(job.Id)
	require.Equal(t, types.JOB_STATUS_CLOSED, closed.Status)
	require.Equal(t, types.CLOSE_REASON_COMPLETED, closed.CloseReason)
	require.Equal(t, types.TaskCounts{Succeeded: 10}, closed.Counts)
	require.Equal(t, nodestypes.Statistics{Tasks: 10, Successes: 10, Paid: 1000, WorkMs: 500_010}, w.nodes.get(w.Ctx, node.Id).Statistics)
	w.check()
}

func TestMeteredTimeIsBoundedByTheBlocksAndByTheContract(t *testing.T) {
	for name, c := range map[string]struct {
		after    int64
		attested uint64
		want     uint64
	}{
		"oracles saw less":            {90, 10_000, 10_000},
		"blocks were nearer together": {20, 90_000, 20_000},
		"never over max_duration":     {500, 400_000, 100_000},
		"nothing":                     {90, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			node := w.addNode("prov", 1, 7200)
			job := w.submit(w.jobMsg("dev", "a", 1))
			w.matchAll(job.Id, 0, 1, node)
			w.after(c.after)
			w.report(job.Id, 0, c.attested)
			require.Equal(t, c.want, w.slice(job.Id, 0).MeteredMs)
		})
	}
}

func TestAcceptSettlesAtOnce(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 4))
	w.matchAll(job.Id, 0, 2, node) // slice 1 takes tasks 0 and 1
	w.matchAll(job.Id, 0, 2, node)
	w.after(80)
	w.report(job.Id, 1, 60_000)

	accept := func(owner string, slices ...uint64) error {
		return w.Tx(func(ctx sdk.Context) error {
			_, err := w.server().AcceptResult(ctx, &types.MsgAcceptResult{Owner: w.Text(fixture.Address(owner)), JobId: job.Id, Slices: slices})
			return err
		})
	}
	require.ErrorIs(t, accept("stranger", 1), types.ErrNotOwner)
	require.ErrorIs(t, accept("dev", 0), types.ErrSliceState)
	require.ErrorIs(t, accept("dev", 7), types.ErrSliceNotFound)
	require.NoError(t, accept("dev", 1))
	require.Equal(t, account{1_000_240, 120}, w.provider("prov"), "2 tasks · 60 s · 2; the collateral of slice 0 stays")
	require.Equal(t, [3]uint64{2, 0, 0}, w.rewards())
	require.ErrorIs(t, accept("dev"), types.ErrSliceState, "nothing is reported")
	w.report(job.Id, 0, 60_000)
	require.NoError(t, accept("dev"))
	require.Equal(t, types.CLOSE_REASON_COMPLETED, w.job(job.Id).CloseReason)
	require.Equal(t, account{4*305 - 480 - 4, 0}, w.jobAccount(job.Id))
	w.NextBlock()
	w.check()
}

func TestWithoutWindowTheReportSettles(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *types.Params) { p.AcceptWindow = 0 })
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 1))
	w.matchAll(job.Id, 0, 1, node)
	w.after(100)
	w.report(job.Id, 0, 99_999)
	require.Equal(t, account{1_000_199, 0}, w.provider("prov"), "⌊199.998⌋")
	require.Equal(t, types.JOB_STATUS_CLOSED, w.job(job.Id).Status)
	w.NextBlock()
	w.check()
}

func TestOwnerTakesBackWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *types.Params) { p.AcceptWindow = 0 })
	node := w.addNode("prov", 1, 7200)
	supply := w.Supply()
	job := w.submit(w.jobMsg("dev", "a", 1))
	w.matchAll(job.Id, 0, 1, node)
	w.after(100)
	w.report(job.Id, 0, 60_000)
	require.NoError(t, w.Tx(func(ctx sdk.Context) error { return w.Escrow.Withdraw(ctx, jobAccountID(w, job.Id), 305-121) }))
	require.EqualValues(t, 305-121, w.Wallet(fixture.Address("dev")))
	require.Equal(t, supply+305, w.Supply(), "nothing was made or lost")
	w.NextBlock()
	w.check()
}
