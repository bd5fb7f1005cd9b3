package grid

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/app/testapp"
	jobskeeper "github.com/foggrid/fogd/x/jobs/keeper"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Health is how a slice of a service does.
type Health int

// The ways a slice of a service can do.
const (
	Well Health = iota
	Unhealthy
	NotRunning
)

// ServiceMsg submits a service of replicas of one vCPU and one GiB each, with one port, paid for a time.
func (g *Grid) ServiceMsg(owner *testapp.Account, replicas uint32, funded uint64) *jobstypes.MsgSubmitJob {
	msg := g.JobMsg(owner, 0)
	msg.Type, msg.MaxDuration, msg.Replicas, msg.FundedTime = jobstypes.JOB_TYPE_SERVICE, 0, replicas, funded
	msg.Ports = []jobstypes.Port{{Name: "http", ContainerPort: 80, Protocol: jobstypes.PROTOCOL_TCP}}

	return msg
}

// services is what an honest oracle saw of the epoch that ended last: of a slice that waits to be seen, that it does well; of another one, that it does
// not.
func (g *Grid) services() jobstypes.ServiceObservation {
	g.tb.Helper()

	answer, err := g.jobs.Services(g.Context(), &jobstypes.QueryServicesRequest{
		Pagination: &query.PageRequest{Limit: jobskeeper.MaxPageLimit},
	})
	require.NoError(g.tb, err)
	var seen jobstypes.ServiceObservation
	for _, s := range answer.Services {
		item := jobstypes.ServiceItem{JobId: s.Job.Id, Slice: s.Slice.Number, Attempt: s.Slice.Attempt}
		switch waits := s.Slice.Serving.StartedTime == 0; g.health(s.Slice) {
		case NotRunning:
			seen.NotRunning = append(seen.NotRunning, item)
		case Unhealthy:
			seen.Unhealthy = append(seen.Unhealthy, item)
		default:
			if waits {
				seen.Started = append(seen.Started, item)
			}
		}
	}
	for _, list := range [][]jobstypes.ServiceItem{seen.NotRunning, seen.Unhealthy, seen.Started} {
		slices.SortFunc(list, jobstypes.CompareServiceItems)
	}

	return seen
}

func (g *Grid) health(slice jobstypes.Slice) Health {
	id, err := nodestypes.ParseNodeID(slice.NodeId)
	require.NoError(g.tb, err)
	switch {
	case g.nodes[id].Down:
		return NotRunning
	case g.Serve == nil:
		return Well
	default:
		return g.Serve(slice)
	}
}
