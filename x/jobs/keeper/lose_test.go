package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestLostNodeIsSlashedAndItsTasksAreQueuedAgain(t *testing.T) {
	w := newWorld(t)
	first := w.addNode("prov", 1, 7200)
	second := w.addNode("other", 2, 10_801)
	job := w.submit(w.jobMsg("dev", "a", 10))
	w.matchAll(job.Id, 0, 10, first)
	supply := w.Supply()
	w.down(first)
	w.after(testGrace - 1)
	w.NextBlock()
	require.Equal(t, types.SLICE_STATUS_MATCHED, w.slice(job.Id, 0).Status, "within the grace")
	w.NextBlock()
	s := w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_LOST, s.Status)
	require.EqualValues(t, 30, s.CollateralBurned, "5 % of 600")
	require.EqualValues(t, 570, s.CollateralReturned)
	require.Equal(t, account{1_000_000 - 30, 0}, w.provider("prov"))
	require.Equal(t, supply-30, w.Supply(), "burned")
	require.Equal(t, account{3050, 3050}, w.jobAccount(job.Id), "the new slice has the whole budget again")
	require.Zero(t, w.job(job.Id).Refunded)
	require.Equal(t, nodestypes.Statistics{Tasks: 10, Lost: 10}, w.nodes.get(w.Ctx, first.Id).Statistics)
	w.check()

	again := w.slice(job.Id, 1)
	require.EqualValues(t, 1, again.Attempt)
	require.Equal(t, []string{first.Id}, again.Excluded)
	require.ErrorIs(t, w.tryReport(job.Id, 0, 1, 50_000), types.ErrSliceState, "too late")
	w.up(first)
	require.EqualValues(t, 1, w.match(item(job.Id, 1, 10, first)).Stale, "not the same node again")
	w.matchAll(job.Id, 1, 10, second)
	require.EqualValues(t, 2, w.slice(job.Id, 1).Attempt)
	w.NextBlock()
	w.check()
}

func TestNodeThatComesBackInTimeLosesNothing(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 10))
	w.matchAll(job.Id, 0, 10, node)
	w.down(node)
	w.after(testGrace - 1)
	w.up(node)
	w.end(10)
	require.Equal(t, types.SLICE_STATUS_MATCHED, w.slice(job.Id, 0).Status)
	w.check()
}

func TestAfterTheLastAttemptAllIsBack(t *testing.T) {
	w := newWorld(t)
	job := w.submit(w.jobMsg("dev", "a", 2))
	for i := range uint32(3) {
		node := w.addNode("prov", i+1, 7200)
		w.matchAll(job.Id, i, 2, node)
		w.down(node)
		w.end(testGrace)
		w.check()
	}
	closed := w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_FAILED, closed.CloseReason)
	require.Equal(t, types.TaskCounts{Lost: 2}, closed.Counts)
	require.Equal(t, account{610, 0}, w.jobAccount(job.Id))
	require.Equal(t, account{3*1_000_000 - 3*6, 0}, w.provider("prov"), "5 % of 120, three times")
	require.Equal(t, [3]uint64{}, w.rewards())
}

// What the owner has withdrawn is not there for the next attempt: it goes to nodes at the price that is left.
func TestRequeueHasWhatTheOwnerLeft(t *testing.T) {
	w := newWorld(t)
	first := w.addNode("prov", 1, 7200)
	same := w.addNode("other", 2, 7200)
	dear := w.addNode("dear", 3, 7201)
	job := w.submit(w.jobMsg("dev", "a", 2))
	w.matchAll(job.Id, 0, 2, first)
	w.NextBlock()
	w.withdraw(job.Id, 2*(305-202))
	w.down(first)
	w.end(testGrace)
	w.check()
	require.Equal(t, account{404, 404}, w.jobAccount(job.Id))
	require.EqualValues(t, 206, w.job(job.Id).Refunded)
	require.EqualValues(t, 1, w.match(item(job.Id, 1, 2, dear)).Stale)
	w.matchAll(job.Id, 1, 2, same)
	w.NextBlock()
	w.check()
}

// A deposit of somebody into a job's account is not the job's budget.
func TestForeignMoneyIsNotReclaimed(t *testing.T) {
	w := newWorld(t)
	first := w.addNode("prov", 1, 10_801)
	job := w.submit(w.jobMsg("dev", "a", 2))
	w.matchAll(job.Id, 0, 2, first)
	w.NextBlock()
	w.Fund(fixture.Address("friend"), 1000)
	require.NoError(t, w.Tx(func(ctx sdk.Context) error {
		return w.Escrow.Deposit(ctx, fixture.Address("friend"), jobAccountID(w, job.Id), 1000)
	}))
	w.down(first)
	w.end(testGrace)
	w.check()
	require.Equal(t, account{1610, 610}, w.jobAccount(job.Id))
}

func TestLossesAreBoundedPerBlock(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 5))
	for range 4 {
		w.matchAll(job.Id, 0, 1, node)
	}
	w.setParams(func(p *types.Params) { p.MaxSlicesPerBlock = 3 })
	w.down(node)
	w.after(testGrace)
	w.NextBlock()
	require.EqualValues(t, 1, w.job(job.Id).Counts.Matched, "three of four in the first block")
	w.check()
	w.NextBlock()
	require.Zero(t, w.job(job.Id).Counts.Matched)
	w.check()
}

func TestCondemnedNodeCompensatesTheJobsItHarmed(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	a := w.submit(w.jobMsg("dev", "a", 2))
	b := w.submit(w.jobMsg("dev", "b", 1))
	w.matchAll(a.Id, 0, 1, node)
	w.matchAll(a.Id, 0, 1, node)
	w.matchAll(b.Id, 0, 1, node)
	provider := escrowtypes.ProviderAccountID(addressOf("prov"))
	require.NoError(t, w.Escrow.Lock(w.Ctx, provider, 1001)) // the deposit
	id, err := nodestypes.ParseNodeID(node.Id)
	require.NoError(t, err)
	used, err := w.k.AfterNodeCondemned(w.Ctx, id, 1001)
	require.NoError(t, err)
	require.EqualValues(t, 1000, used, "in equal parts; what is left of the division is burned by x/nodes")
	require.Equal(t, account{1_000_000 - 1000, 1}, w.provider("prov"), "no loss slash")
	require.Equal(t, account{610 + 500, 610}, w.jobAccount(a.Id))
	require.Equal(t, account{305 + 500, 305}, w.jobAccount(b.Id))
	require.Equal(t, types.TaskCounts{Pending: 2}, w.job(a.Id).Counts)
	w.NextBlock()
	w.check()

	used, err = w.k.AfterNodeCondemned(w.Ctx, id, 1)
	require.NoError(t, err)
	require.Zero(t, used, "nobody is harmed any more")
}

func TestCondemnedNodeWithMuchWorkIsClearedByEndBlock(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 80))
	items := make([]types.MatchItem, 70)
	for i := range items {
		items[i] = item(job.Id, 0, 1, node)
	}
	require.EqualValues(t, 70, w.match(items...).Matched)
	id, err := nodestypes.ParseNodeID(node.Id)
	require.NoError(t, err)
	_, err = w.k.AfterNodeCondemned(w.Ctx, id, 0)
	require.NoError(t, err)
	require.EqualValues(t, 6, w.job(job.Id).Counts.Matched)
	require.NoError(t, w.k.AfterNodeUp(w.Ctx, id), "being up does not save a condemned node")
	w.NextBlock()
	require.Zero(t, w.job(job.Id).Counts.Matched)
	require.Equal(t, account{1_000_000, 0}, w.provider("prov"), "no loss slash")
	w.check()
}
