package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

func TestNoNodeBeforeTheDeadlineAllBack(t *testing.T) {
	w := newWorld(t)
	job := w.submit(w.jobMsg("dev", "a", 300))
	w.after(3599)
	w.NextBlock()
	require.Equal(t, types.JOB_STATUS_OPEN, w.job(job.Id).Status)
	w.NextBlock()
	closed := w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_EXPIRED, closed.CloseReason)
	require.Equal(t, types.TaskCounts{Expired: 300}, closed.Counts)
	require.Equal(t, account{300 * 305, 0}, w.jobAccount(job.Id))
	require.Equal(t, types.SLICE_STATUS_EXPIRED, w.slice(job.Id, 1).Status)
	w.check()
}

func TestUnattestedWorkIsHalfPaid(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7201)
	job := w.submit(w.jobMsg("dev", "a", 3))
	w.matchAll(job.Id, 0, 3, node)
	w.after(100 + 7*24*3600 - 1)
	w.NextBlock()
	require.Equal(t, types.SLICE_STATUS_MATCHED, w.slice(job.Id, 0).Status)
	w.NextBlock()
	s := w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_SETTLED, s.Status)
	require.EqualValues(t, 300, s.Paid, "⌊3 · 100 s · 7201/3600 / 2⌋")
	require.Zero(t, s.Fee)
	require.Equal(t, account{1_000_300, 0}, w.provider("prov"))
	require.Equal(t, account{915 - 300, 0}, w.jobAccount(job.Id))
	require.Equal(t, [3]uint64{}, w.rewards())
	require.Equal(t, types.TaskCounts{Lost: 3}, w.job(job.Id).Counts)
	require.Equal(t, types.CLOSE_REASON_FAILED, w.job(job.Id).CloseReason)
	require.Zero(t, w.nodes.get(w.Ctx, node.Id).Reserved.CpuMilli)
	w.check()
}

func TestDeadlinesAreBoundedPerBlockInOrder(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *types.Params) { p.MaxSlicesPerBlock = 2 })
	early := w.jobMsg("dev", "early", 300)
	early.Deadline = 100
	first := w.submit(early)
	second := w.submit(w.jobMsg("dev", "late", 300))
	w.after(3600)
	w.NextBlock()
	require.Equal(t, types.JOB_STATUS_CLOSED, w.job(first.Id).Status)
	require.Equal(t, types.JOB_STATUS_OPEN, w.job(second.Id).Status)
	w.check()
	w.NextBlock()
	require.Equal(t, types.JOB_STATUS_CLOSED, w.job(second.Id).Status)
	w.check()
}

func TestClaimTimeoutEndsWhatTheQueueHasNotReached(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 4))
	w.matchAll(job.Id, 0, 2, node)
	w.after(50)
	w.report(job.Id, 1, 50_000)
	claim := func(sender string, slices ...uint64) error {
		return w.Tx(func(ctx sdk.Context) error {
			_, err := w.server().ClaimTimeout(ctx, &types.MsgClaimTimeout{Sender: w.Text(addressOf(sender)), JobId: job.Id, Slices: slices})
			return err
		})
	}
	require.ErrorIs(t, claim("prov", 1), types.ErrNotDue)
	w.after(4000) // EndBlock of the block that is 4,000 s later has not run yet
	require.ErrorIs(t, claim("stranger", 1), types.ErrNotOwner)
	require.ErrorIs(t, claim("prov", 0), types.ErrNotOwner, "a pending slice has no provider")
	require.NoError(t, claim("prov", 1))
	require.ErrorIs(t, claim("prov", 1), types.ErrSliceState)
	require.NoError(t, claim("dev", 0))
	require.Equal(t, types.TaskCounts{Succeeded: 2, Expired: 2}, w.job(job.Id).Counts)
	require.Equal(t, account{1_000_200, 0}, w.provider("prov"))
	w.NextBlock()
	w.check()
}

// A slice that cannot be settled, because the ledger disagrees, does not hold up the others.
func TestBrokenSliceIsPostponed(t *testing.T) {
	w := newWorld(t)
	broken := w.submit(w.jobMsg("dev", "a", 1))
	fine := w.submit(w.jobMsg("dev", "b", 1))
	account := escrowtypes.JobAccountID(w.id(broken.Id))
	require.NoError(t, w.Escrow.Unlock(w.Ctx, account, 305))
	w.after(3600)
	w.NextBlock()
	require.Equal(t, types.JOB_STATUS_CLOSED, w.job(fine.Id).Status)
	require.Equal(t, types.JOB_STATUS_OPEN, w.job(broken.Id).Status)
	require.Equal(t, w.Ctx.BlockTime().Unix()-1+600, w.slice(broken.Id, 0).Due)
	require.NotEmpty(t, w.Events)

	require.NoError(t, w.Escrow.Lock(w.Ctx, account, 305))
	w.end(600)
	require.Equal(t, types.JOB_STATUS_CLOSED, w.job(broken.Id).Status)
	w.check()
}
