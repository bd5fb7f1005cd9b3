package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/app/testapp/grid"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// serviceGrid judges services each minute and loses nodes after 40 s.
func serviceGrid(t *testing.T) *grid.Grid {
	g := grid.New(t, grid.Config{
		Jobs: func(p *jobstypes.Params) {
			p.ServiceEpoch, p.ServiceWindow, p.ServiceStart = 60, 20, 200
		},
		Nodes: func(p *nodestypes.Params) { p.ProbationTasks, p.LivenessEpoch, p.LostGrace = 0, 20, 40 },
	})
	g.AddNodes(3, 4)

	return g
}

// until lets blocks of five seconds pass, with all votes, until something is true.
func until(t *testing.T, g *grid.Grid, what string, done func() bool) {
	t.Helper()

	for range 200 {
		if done() {
			return
		}
		g.NextBlockAfter(5*time.Second, g.Votes()...)
		g.CheckInvariants()
	}
	require.FailNow(t, "it never came to this", what)
}

// From submission to the end through signed transactions: match, epochs, an update, a drain with its hand-over, a lost node, and the last ufog back.
func TestLifeOfAService(t *testing.T) {
	g := serviceGrid(t)
	developer := g.Developers[0]
	id := g.Submit(developer, g.ServiceMsg(developer, 2, 3_600))
	name := id.Bech32(jobstypes.JobHRP)
	slices := func() (out []jobstypes.Slice) {
		for _, s := range g.Slices(id) {
			if s.Status == jobstypes.SLICE_STATUS_MATCHED {
				out = append(out, s)
			}
		}

		return out
	}
	until(t, g, "both serve", func() bool {
		running := slices()

		return len(running) == 2 && running[0].Serving.PaidEpochs > 1 && running[1].Serving.PaidEpochs > 1
	})
	s := slices()[0]
	require.EqualValues(t, s.AgreedPrice*s.Serving.PaidEpochs*60/3_600, s.Paid)
	require.EqualValues(t, s.Paid/100, s.Fee)
	require.Len(t, s.Serving.Ports, 1)
	require.NotZero(t, s.Serving.Ports[0].HostPort)

	spec := "sha256:" + strings.Repeat("1", 64)
	g.Succeed(g.Tx(developer, &jobstypes.MsgUpdateService{Owner: developer.String(), JobId: name, SpecDigest: spec, ImageDigest: spec}))
	until(t, g, "the update is through", func() bool { return g.Job(id).Service.Stable.Number == 2 })
	for _, s := range slices() {
		require.Equal(t, spec, s.Serving.Revision.SpecDigest)
	}

	nodeID, err := nodestypes.ParseNodeID(slices()[0].NodeId)
	require.NoError(t, err)
	var node *grid.Node
	for _, n := range g.Nodes {
		if n.ID == nodeID {
			node = n
		}
	}
	nodeName := nodeID.Bech32(nodestypes.NodeHRP)
	g.Succeed(g.Tx(node.Owner, &nodestypes.MsgDrainNode{Owner: node.Owner.String(), NodeId: nodeName}))
	until(t, g, "it is handed over", func() bool { return g.Node(node).RunningTasks == 0 })
	require.Equal(t, nodestypes.NODE_STATUS_DRAINING, g.Node(node).Status)
	require.Empty(t, g.Node(node).PortsInUse)
	g.Succeed(g.Tx(node.Owner, &nodestypes.MsgRetireNode{Owner: node.Owner.String(), NodeId: nodeName}))

	lost := slices()[0]
	nodeID, err = nodestypes.ParseNodeID(lost.NodeId)
	require.NoError(t, err)
	for _, n := range g.Nodes {
		n.Down = n.Down || n.ID == nodeID
	}
	burned := g.Burned()
	until(t, g, "the node is lost", func() bool {
		s, err := g.App.JobsKeeper.Slice(g.Context(), id, lost.Number)
		require.NoError(t, err)
		lost = s

		return s.Status.Final()
	})
	require.Equal(t, jobstypes.SLICE_STATUS_LOST, lost.Status)
	require.EqualValues(t, lost.Collateral/20, lost.CollateralBurned)
	require.GreaterOrEqual(t, g.Burned(), burned+lost.CollateralBurned)

	g.Succeed(g.Tx(developer, &jobstypes.MsgCancelJob{Owner: developer.String(), JobId: name}))
	until(t, g, "it has ended", func() bool { return g.Job(id).Status == jobstypes.JOB_STATUS_CLOSED })
	job := g.Job(id)
	require.Equal(t, jobstypes.CLOSE_REASON_CANCELLED, job.CloseReason)
	require.Equal(t, job.Funded, job.Paid+job.Fees+job.Refunded+job.Service.Burned)
	account, err := g.App.EscrowKeeper.Account(g.Context(), escrowtypes.JobAccountID(id))
	require.NoError(t, err)
	require.Equal(t, job.Refunded, account.Free())
}
