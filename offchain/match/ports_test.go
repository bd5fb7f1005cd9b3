//go:build amd64 || arm64

package match

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// serve makes services of what is pending and gives nodes ports and grades; static says what kind of ports, so that what the chain will do is known.
func serve(t *rapid.T, s *Snapshot, static bool) {
	for i := range s.Nodes {
		n := &s.Nodes[i]
		n.Grade = rapid.SampledFrom([]byte{0, 'C', 'B', 'A'}).Draw(t, "grade")
		if rapid.IntRange(0, 3).Draw(t, "ports") > 0 {
			ports := Ports{From: 2000, To: 2000 + rapid.Uint32Range(0, 3).Draw(t, "more")}
			if rapid.Bool().Draw(t, "used") {
				ports.Used = []uint32{ports.From}
			}
			s.Ports = append(s.Ports, NodePorts{Node: n.ID, Ports: ports})
		}
	}
	for i := range s.Pending {
		p := &s.Pending[i]
		p.Count, p.Service = 1, true
		p.MinGrade = rapid.SampledFrom([]byte{0, 0, 'C', 'B', 'A'}).Draw(t, "min grade")
		port := rapid.Just(uint32(0))
		if static {
			port = rapid.Uint32Range(1999, 2003)
		}
		p.Ports = rapid.SliceOfNDistinct(port, 0, 3, func(port uint32) uint32 { return port }).Draw(t, "wanted")
	}
	s.Params.ServiceCollateral = 86_400
}

var chainGrades = map[byte]nodestypes.NetworkGrade{
	'A': nodestypes.NETWORK_GRADE_A, 'B': nodestypes.NETWORK_GRADE_B, 'C': nodestypes.NETWORK_GRADE_C,
}

func chainServing(s Snapshot, p Pending, n Node, ports Ports) (jobstypes.Params, jobstypes.Job, nodestypes.Node) {
	params, job, node := chainParams(s.Params), chainJob(p), chainNode(n)
	params.ProfileGrades = nil
	job.Service = &jobstypes.Service{}
	for _, port := range p.Ports {
		job.Service.Ports = append(job.Service.Ports, jobstypes.Port{HostPort: port})
	}
	job.Constraints.MinGrade = chainGrades[p.MinGrade]
	node.Grade, node.Address = chainGrades[n.Grade], "a"
	node.Ports, node.PortsInUse = nodestypes.PortRange{From: ports.From, To: ports.To}, ports.Used
	return params, job, node
}

// Free ports and grades are the chain's rules too.
func TestRulesOfServicesAreTheChains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := generate(t)
		serve(t, &s, rapid.Bool().Draw(t, "static"))
		st, err := newState(s)
		require.NoError(t, err)
		for _, p := range s.Pending {
			for i := range st.nodes {
				n := &st.nodes[i]
				params, job, node := chainServing(s, p, n.Node, n.ports)
				_, reason := st.rules(n, &p, st.shapeOf(p.Task).quotes[i])
				_, err := jobstypes.CheckMatch(params, job, chainSlice(p), node, s.Time)
				require.Equal(t, err == nil, reason == 0, "%v / %v", reason, err)
				broken := st.obstacles(n, &p)
				if reason == ReasonPorts || reason == ReasonGrade {
					require.NotEmpty(t, broken)
					require.NotEmpty(t, advice(reason, broken[0].text, 0))
				}
			}
		}
	})
}

// What a batch gives away, the chain has to give: the ports of its items are there one after another.
func TestBatchGivesNoPortTwice(t *testing.T) {
	placed := 0
	rapid.Check(t, func(t *rapid.T) {
		s := generate(t)
		serve(t, &s, rapid.Bool().Draw(t, "static"))
		for i := range s.Pending {
			s.Pending[i].PriceCap, s.Pending[i].TaskBudget = 1<<40, 1<<40
		}
		st, err := newState(s)
		require.NoError(t, err)
		nodes := map[ID]*nodestypes.Node{}
		for i := range st.nodes {
			_, _, node := chainServing(s, Pending{}, st.nodes[i].Node, st.nodes[i].ports)
			nodes[st.nodes[i].ID] = &node
		}
		batch, err := Learned{Config: DefaultConfig()}.Match(s, drawSeed(t))
		require.NoError(t, err)
		again, err := newState(s)
		require.NoError(t, err)
		require.Equal(t, st.nodes, again.nodes, "the snapshot stays as it is")
		for _, item := range batch.Items {
			for _, p := range s.Pending {
				if p.Job != item.Job || p.Slice != item.Slice {
					continue
				}
				nodes[item.Node].PortsInUse = slices.Clone(nodes[item.Node].PortsInUse)
				ports, err := nodes[item.Node].AssignPorts(p.Ports, 0)
				require.NoError(t, err)
				require.NoError(t, nodes[item.Node].TakePorts(ports))
				placed += len(ports)
			}
		}
	})
	require.NotZero(t, placed)
	_, err := newState(Snapshot{Params: Params{MaxItems: 1, MaxSliceTasks: 1}, Ports: make([]NodePorts, 2)})
	require.ErrorContains(t, err, "are given twice")
}

// A service locks a part of the price of a day, whatever its slice holds.
func TestCollateralOfAService(t *testing.T) {
	p := Params{Fee: 100, Collateral: 3000, ServiceCollateral: 86_400}
	got, ok := p.termsOf(7200, &Pending{MaxDuration: 360, Service: true})
	require.True(t, ok)
	require.Equal(t, terms{need: 720 + 8, collateral: 51_840}, got)
}
