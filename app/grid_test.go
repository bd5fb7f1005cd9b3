package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/app/testapp/grid"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// A job from submission to the last payment, through transactions only, with every balance checked to the ufog.
func TestJobIsPaid(t *testing.T) {
	g := grid.New(t, grid.Config{Providers: 2, Nodes: func(p *nodestypes.Params) { p.ProbationTasks = 0 }, SliceTasks: 10})
	g.AddNodes(2, 16)
	developer := g.Developers[0]
	wallet := g.Balance(developer.Address)

	msg := g.JobMsg(developer, 25)
	id := g.Submit(developer, msg)
	part, err := jobstypes.TermsOf(msg.PriceCap, msg.MaxDuration, 100)
	require.NoError(t, err)
	funded := 25 * (part.Budget + part.Fee)
	require.Equal(t, wallet-int64(funded)-2_000, g.Balance(developer.Address))
	g.CheckInvariants()

	g.Work = func(s jobstypes.Slice) (jobstypes.Outcome, uint64, bool) {
		return grid.Success(s), 600_000, g.Last().Time.Unix()-s.MatchedTime >= 600
	}
	g.Turn() // the batch
	slices := g.Slices(id)
	require.Len(t, slices, 3)
	for _, s := range slices {
		require.Equal(t, jobstypes.SLICE_STATUS_MATCHED, s.Status)
		require.Len(t, s.MatchedBy, 3)
	}
	g.CheckInvariants()

	g.NextBlockAfter(600 * time.Second)
	g.Turn() // the outcomes
	for _, s := range g.Slices(id) {
		require.Equal(t, jobstypes.SLICE_STATUS_REPORTED, s.Status)
		require.EqualValues(t, 600_000, s.MeteredMs)
	}
	g.Succeed(g.Tx(developer, &jobstypes.MsgAcceptResult{Owner: developer.String(), JobId: id.Bech32(jobstypes.JobHRP)}))
	g.CheckInvariants()

	job := g.Job(id)
	require.Equal(t, jobstypes.CLOSE_REASON_COMPLETED, job.CloseReason)
	var paid, fees uint64
	for _, s := range g.Slices(id) {
		require.Equal(t, uint64(s.TaskCount)*600*grid.TaskPrice/3_600, s.Paid)
		require.Equal(t, s.Paid/100, s.Fee)
		paid, fees = paid+s.Paid, fees+s.Fee
	}
	require.Equal(t, []uint64{paid, fees, funded - paid - fees}, []uint64{job.Paid, job.Fees, job.Refunded})

	account, err := g.App.EscrowKeeper.Account(g.Context(), escrowtypes.JobAccountID(id))
	require.NoError(t, err)
	require.Equal(t, job.Refunded, account.Balance)
	require.Zero(t, account.Locked)
	g.Succeed(g.Tx(developer, &escrowtypes.MsgWithdraw{
		Owner: developer.String(), Account: job.Account, Amount: escrowtypes.Coin(job.Refunded),
	}))
	require.Equal(t, wallet-int64(paid+fees)-3*2_000, g.Balance(developer.Address))
	g.CheckInvariants()
	require.Zero(t, g.Burned())
}
