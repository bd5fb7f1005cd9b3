package cmd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/jobclient"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

func TestWhyForPeople(t *testing.T) {
	near := jobclient.Candidate{Node: "node1b", Loss: 1500, Run: 900, Failure: 600, Reliability: 981}
	best := jobclient.Candidate{Node: "node1a", Taken: true, Loss: 1300, Run: 1000, Failure: 300, Reliability: 995}
	matched := jobclient.Why{
		Slice: 2, Tasks: 1, Status: "SLICE_STATUS_MATCHED", Policy: "greedy/1", Height: 40, Round: 9, Nodes: 3,
		Decision: &jobclient.WhyDecision{Node: "node1a", Identical: true, Propensity: 980_000, Considered: []jobclient.Candidate{best, near}},
		Asked: []jobclient.Candidate{near, {
			Node: "node1c", Reason: "breaks the job's condition", Conditions: []string{`region == "eu"`}, Changes: []string{`drop the condition region == "eu"`},
		}},
	}
	waiting := jobclient.Why{
		Slice: 3, Tasks: 2, Status: "SLICE_STATUS_PENDING", Policy: "greedy/1", Height: 41, Nodes: 3,
		Waiting: &jobclient.WhyWaiting{
			Tasks: 2, Excluded: []jobclient.Exclusion{{Reason: "asks more than the price cap", Nodes: 3}},
			Conditions: []jobclient.Exclusion{{Reason: "tasks < 1", Nodes: 1}},
			Changes:    []jobclient.Advice{{Change: "raise the price cap to 7 ufog per task-hour", Nodes: 2}},
		},
	}
	var out strings.Builder
	require.NoError(t, printWhy(&out, whyView{Slices: []jobclient.Why{matched, waiting}, Omitted: 4}))
	require.Equal(t, `slice 2 (1 task) went to node1a
  by policy greedy/1 in round 9, on the state at height 40 with 3 active nodes
  it promised the least loss (a chance of 98.00 %)
  node1b was nearest: its run costs 0.0001 FOG less, its failures cost 0.0003 FOG more
  not node1c: breaks the job's condition
    does not meet: region == "eu"
    what would let it in: drop the condition region == "eu"
  NODE           LOSS        = RUN       + FAILURES  + DISTANCE  + WISHES  RELIABILITY
  node1a  taken  0.0013 FOG  0.001 FOG   0.0003 FOG  0 FOG       0 FOG     99.5 %
  node1b         0.0015 FOG  0.0009 FOG  0.0006 FOG  0 FOG       0 FOG     98.1 %

slice 3 (2 tasks) waits, by policy greedy/1 on the state at height 41 with 3 active nodes
  2 tasks of it would find no node:
    3 nodes: asks more than the price cap
  of constraints.where, not met:
    1 node: tasks < 1
  what would let nodes in, each by itself:
    2 nodes: raise the price cap to 7 ufog per task-hour

4 slices more; name one with --slice
`, out.String())
}

func TestWhyOfExploration(t *testing.T) {
	d := &jobclient.WhyDecision{Identical: true, Explored: true, Propensity: 6_666}
	require.Equal(t, "it was taken to learn about it, though another promised less loss (a chance of 0.66 %)", chosen(d))
	d.Redraws = 200
	require.Contains(t, chosen(d), "0.66 % of 200 draws")
	require.Contains(t, chosen(&jobclient.WhyDecision{}), "fog oracle replay")
}

func TestWhichSlicesAreExplained(t *testing.T) {
	var all []jobstypes.Slice
	for i := range uint32(12) {
		s := jobstypes.Slice{Number: i, Status: jobstypes.SLICE_STATUS_SETTLED, NodeId: "node1a"}
		switch i {
		case 3:
			s.Status = jobstypes.SLICE_STATUS_MATCHED
		case 5, 7:
			s.Status, s.NodeId = jobstypes.SLICE_STATUS_PENDING, ""
		case 11:
			s.Status, s.NodeId = jobstypes.SLICE_STATUS_EXPIRED, ""
		}
		all = append(all, s)
	}
	numbers := func(number int64) (out []uint32) {
		wanted, err := whySlices(all, number)
		require.NoError(t, err)
		for _, s := range wanted {
			out = append(out, s.Number)
		}
		return out
	}
	require.Equal(t, []uint32{5, 7, 3, 10, 9, 8, 6, 4}, numbers(-1))
	require.Equal(t, []uint32{11}, numbers(11))
	_, err := whySlices(all, 12)
	require.ErrorIs(t, err, jobclient.ErrNoSuchSlice)
}
