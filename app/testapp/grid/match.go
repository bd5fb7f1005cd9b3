package grid

import (
	"github.com/stretchr/testify/require"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// place is what a node has left while a batch is made.
type place struct {
	node     nodestypes.Node
	reserved nodestypes.Resources
	running  uint64
	// free ufog of the owner for collateral, shared by the owner's nodes.
	free *uint64
}

// batch gives the tasks of the queue to the nodes in turn, as far as the rules of a match, capacity, probation and collateral allow.
func (g *Grid) batch(height int64) jobstypes.MatchBatch {
	g.tb.Helper()

	ctx := g.Context()
	jobs, err := g.App.JobsKeeper.Params(ctx)
	require.NoError(g.tb, err)
	nodes, err := g.App.NodesKeeper.Params.Get(ctx)
	require.NoError(g.tb, err)

	places := g.places()
	batch := jobstypes.MatchBatch{Height: height}
	next := 0
	for _, p := range g.pending(int(jobs.MaxBatchItems)) {
		left := p.Slice.TaskCount
		for tried := 0; tried < len(places) && left > 0; tried++ {
			if len(batch.Items) == int(jobs.MaxBatchItems) {
				return batch
			}
			at := &places[next%len(places)]
			next++
			price, err := jobstypes.CheckMatch(jobs, p.Job, p.Slice, at.node, ctx.BlockTime().Unix())
			if err != nil {
				continue
			}
			count := min(left, g.sliceTasks)
			if at.node.Statistics.Tasks < uint64(nodes.ProbationTasks) {
				count = 1
				if at.running > 0 {
					continue
				}
			}
			if !at.take(jobs, p, price, count) {
				continue
			}
			batch.Items = append(batch.Items, jobstypes.MatchItem{
				JobId: p.Job.Id, Slice: p.Slice.Number, Count: count, NodeIndex: at.node.Index, Price: price,
			})
			left -= count
			tried = -1
		}
	}

	return batch
}

// places are the nodes that were once ACTIVE, by index.
func (g *Grid) places() []place {
	g.tb.Helper()

	ctx := g.Context()
	free := make(map[string]*uint64)
	var places []place
	for index := uint32(1); index <= uint32(len(g.Nodes)); index++ {
		node := g.Node(g.Nodes[index])
		if free[node.Owner] == nil {
			amount, err := g.App.NodesKeeper.FreeOf(ctx, g.Nodes[index].Owner.Address)
			require.NoError(g.tb, err)
			free[node.Owner] = &amount
		}
		places = append(places, place{
			node: node, reserved: node.Reserved, running: uint64(node.RunningTasks), free: free[node.Owner],
		})
	}

	return places
}

// take reserves count tasks, if there is room and collateral.
func (at *place) take(p jobstypes.Params, s jobstypes.PendingSlice, price uint64, count uint32) bool {
	reserved, err := at.reserved.Add(jobstypes.TotalResources(s.Job.Resources, count))
	if err != nil || reserved.FitsIn(at.node.Capacity) != nil {
		return false
	}
	seconds := s.Slice.MaxDuration
	if s.Job.IsService() {
		seconds = p.ServiceCollateral
	}
	part, err := jobstypes.TermsOf(price, seconds, p.Fee)
	if err != nil {
		return false
	}
	terms, err := part.Times(count)
	if err != nil {
		return false
	}
	collateral, err := jobstypes.PartUp(terms.Budget, p.Collateral)
	if err != nil || collateral > *at.free {
		return false
	}
	if s.Job.IsService() {
		ports, err := at.node.AssignPorts(jobstypes.HostPorts(s.Job.Service.Ports), 0)
		if err != nil || at.node.TakePorts(ports) != nil {
			return false
		}
	}
	*at.free -= collateral
	at.reserved = reserved
	at.running += uint64(count)

	return true
}
