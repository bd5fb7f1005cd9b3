package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/jobs/types"
)

func TestCancelledWhilePendingAllBack(t *testing.T) {
	w := newWorld(t)
	job := w.submit(w.jobMsg("dev", "a", 300))
	require.ErrorIs(t, w.tryCancel("stranger", job.Id), types.ErrNotOwner)
	w.cancel(job.Id)
	require.ErrorIs(t, w.tryCancel("dev", job.Id), types.ErrJobClosed)
	w.NextBlock()
	closed := w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_CANCELLED, closed.CloseReason)
	require.Equal(t, types.TaskCounts{Cancelled: 300}, closed.Counts)
	require.Equal(t, account{300 * 305, 0}, w.jobAccount(job.Id))
	require.ErrorIs(t, w.tryCancel("dev", job.Id), types.ErrJobClosed)
	w.check()
}

func TestCancelledWhileRunning(t *testing.T) {
	for name, c := range map[string]struct {
		ran        int64
		paid, fees uint64
	}{
		"at once: 60 s":           {1, 120, 1},
		"after 70 s":              {70, 140, 1},
		"never over max_duration": {150, 200, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			node := w.addNode("prov", 1, 7200)
			job := w.submit(w.jobMsg("dev", "a", 2))
			w.matchAll(job.Id, 0, 1, node)
			w.after(c.ran)
			w.cancel(job.Id)
			w.NextBlock()
			s := w.slice(job.Id, 1)
			require.Equal(t, types.SLICE_STATUS_CANCELLED, s.Status)
			require.Equal(t, account{1_000_000 + c.paid, 0}, w.provider("prov"))
			require.Equal(t, account{610 - c.paid - c.fees, 0}, w.jobAccount(job.Id))
			got := w.rewards()
			require.Equal(t, c.fees, got[0]+got[1]+got[2])
			require.Equal(t, types.TaskCounts{Cancelled: 2}, w.job(job.Id).Counts)
			require.Zero(t, w.nodes.get(w.Ctx, node.Id).Reserved.CpuMilli)
			require.ErrorIs(t, w.tryReport(job.Id, 1, 1, 1000), types.ErrSliceState)
			w.check()
		})
	}
}

func TestCancelSettlesWhatIsReportedAsAccepted(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 3))
	w.matchAll(job.Id, 0, 2, node)
	w.after(60)
	w.report(job.Id, 1, 50_000)
	w.cancel(job.Id)
	w.NextBlock()
	closed := w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_CANCELLED, closed.CloseReason)
	require.Equal(t, types.TaskCounts{Succeeded: 2, Cancelled: 1}, closed.Counts)
	require.Equal(t, account{1_000_200, 0}, w.provider("prov"))
	w.check()
}

// A job with more slices than a block may end is cancelled in several blocks; until then an outcome that comes in counts, and
// nothing of it is matched or queued again.
func TestCancelOfALargeJobIsCarriedOver(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 9))
	for range 4 {
		w.matchAll(job.Id, 0, 2, node)
	}
	w.setParams(func(p *types.Params) { p.MaxSlicesPerBlock = 2 })
	height := w.snapshot()
	w.after(60)
	w.cancel(job.Id)
	require.EqualValues(t, 1, w.recordMatches(height, item(job.Id, 0, 1, node)).Stale)
	w.NextBlock()
	require.EqualValues(t, 2, w.job(job.Id).CancelCursor)
	require.EqualValues(t, 3, w.job(job.Id).OpenSlices)
	w.check()
	w.report(job.Id, 4, 50_000, failure(6, types.FAILURE_REASON_NODE))
	require.Equal(t, types.SLICE_STATUS_SETTLED, w.slice(job.Id, 4).Status)
	w.report(job.Id, 3, 50_000, exit(4, 1))
	require.EqualValues(t, 5, w.job(job.Id).NextSlice, "no rerun")
	w.NextBlock()
	w.NextBlock()
	closed := w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_CANCELLED, closed.CloseReason)
	require.Equal(t, types.TaskCounts{Succeeded: 2, Failed: 1, Cancelled: 6}, closed.Counts)
	w.check()
}

func TestCancelGasGrowsWithTheSlices(t *testing.T) {
	w := newWorld(t)
	gas := func(tasks uint32) uint64 {
		job := w.submit(w.jobMsg("dev", string(rune('a'+tasks%26)), tasks))
		var used uint64
		require.NoError(t, w.Tx(func(ctx sdk.Context) error {
			ctx = ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
			_, err := w.server().CancelJob(ctx, &types.MsgCancelJob{Owner: job.Owner, JobId: job.Id})
			used = ctx.GasMeter().GasConsumed()
			return err
		}))
		return used
	}
	require.GreaterOrEqual(t, gas(256*10), gas(1)+9*1000)
}
