//go:build amd64 || arm64

package match

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Announced hours are the chain's rule too: what a snapshot says of a node that leaves is what the chain makes of its announcements.
func TestHoursAreTheChains(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		s := generate(t)
		s.Time = 1_700_000_000
		if rapid.Bool().Draw(t, "services") {
			serve(t, &s, true)
		}
		absences := map[ID][]nodestypes.Absence{}
		params := jobstypes.DefaultParams()
		for _, n := range s.Nodes {
			if rapid.IntRange(0, 3).Draw(t, "leaves") == 0 {
				continue
			}
			span := nodestypes.Span{From: s.Time + rapid.SampledFrom([]int64{-10, 0, 301, 3_600, 14_399, 14_400}).Draw(t, "from"), To: s.Time + 20_000}
			list := []nodestypes.Absence{{Span: span}}
			if rapid.Bool().Draw(t, "weekly") {
				list = append(list, nodestypes.Absence{Weekly: nodestypes.WeeklyHours{
					Start: rapid.Uint32Range(0, 10_079).Draw(t, "start"), Minutes: rapid.SampledFrom([]uint32{60, 2_520, 2_521}).Draw(t, "minutes"),
				}})
			}
			absences[n.ID] = list
			node := nodestypes.Node{Absences: list}
			if from, leaves := node.NextAbsence(s.Time); leaves {
				s.Leaving = append(s.Leaving, Leaving{Node: n.ID, In: uint64(from - s.Time), NoServices: !params.TakesServices(node)})
			}
		}
		for i := range s.Pending {
			p := &s.Pending[i]
			job := chainJob(*p)
			if p.Service {
				job.Service = &jobstypes.Service{}
			}
			p.Stay = params.Stay(job, p.MaxDuration)
		}
		st, err := newState(s)
		require.NoError(t, err)
		for _, p := range s.Pending {
			for i := range st.nodes {
				n := &st.nodes[i]
				params, job, node := chainServing(s, p, n.Node, n.ports)
				if !p.Service {
					job.Service = nil
				}
				node.Absences = absences[n.ID]
				_, reason := st.rules(n, &p, st.shapeOf(p.Task).quotes[i])
				_, err := jobstypes.CheckMatch(params, job, chainSlice(p), node, s.Time)
				require.Equal(t, err == nil, reason == 0, "%v / %v", reason, err)
				if reason == ReasonHours {
					refused++
					shorter := p
					shorter.MaxDuration = n.leaving.longest(&p)
					if !p.Service && shorter.MaxDuration > 0 {
						shorter.Stay = params.Stay(job, shorter.MaxDuration)
						require.True(t, n.leaving.stays(&shorter), "the advice helps")
						shorter.Stay++
						require.False(t, n.leaving.stays(&shorter), "and says no less than it could")
					}
				}
			}
		}
	})
	require.NotZero(t, refused)
	_, err := newState(Snapshot{Params: Params{MaxItems: 1, MaxSliceTasks: 1}, Leaving: make([]Leaving, 2)})
	require.ErrorContains(t, err, "offline twice")
}

func TestAdviceOnHours(t *testing.T) {
	require.Equal(t, "lower max_duration to 60 s: the nodes are announced to be offline afterwards", advice(ReasonHours, "", 60))
	require.Contains(t, advice(ReasonHours, "", 0), "wait")
}
