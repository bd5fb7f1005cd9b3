package jobclient

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/match"
	"github.com/foggrid/fogd/offchain/oracle"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// whyQuestion is a grid of four nodes with one slice of three tasks (8 to 10) in the queue: nodes 1 to 3 can take a task each, 1 for
// the least; node 4 is in another region.
func whyQuestion(version string) (oracle.Question, match.ID, jobstypes.Slice) {
	job := match.ID{1}
	q := oracle.Question{Height: 20, Version: version}
	for i := byte(1); i <= 4; i++ {
		region := "eu"
		if i == 4 {
			region = "us"
		}
		q.Snapshot.Nodes = append(q.Snapshot.Nodes, match.Node{
			ID: match.ID{i}, Index: uint32(i), Owner: match.ID{i, 1}, Free: match.Resources{CPUMilli: 1000, MemoryMiB: 100, StorageMiB: 100},
			Region: region, Prices: match.Prices{CPU: 1000 * uint64(i)}, CPUSingle: 100,
		})
		q.Snapshot.Funds = append(q.Snapshot.Funds, match.Funds{Owner: match.ID{i, 1}, Available: 1_000_000})
	}
	q.Snapshot.Params = match.Params{MaxItems: 10, MaxSliceTasks: 256, Fee: 100, Collateral: 3000}
	q.Snapshot.Pending = []match.Pending{{
		Job: job, Slice: 4, Owner: match.ID{9}, First: 8, Count: 3, Task: match.Resources{CPUMilli: 1000, MemoryMiB: 1},
		PriceCap: 10_000, MaxDuration: 3600, TaskBudget: 20_000, Where: `region == "eu" && cpu_single >= 50`,
	}}
	return q, job, jobstypes.Slice{
		JobId: escrowtypes.ID(job).Bech32(jobstypes.JobHRP), Number: 4, FirstTask: 8, TaskCount: 1, Status: jobstypes.SLICE_STATUS_MATCHED,
		NodeId: nodeText(match.ID{1}), MatchRound: 7, SnapshotHeight: 20,
	}
}

func TestWhyOfAMatch(t *testing.T) {
	for version, exact := range map[string]bool{"greedy/1": true, "lowest-cost": true, "thompson/1": false} {
		t.Run(version, func(t *testing.T) {
			q, job, slice := whyQuestion(version)
			q.Snapshot.Pending[0].Wishes.FailureCost = 1 // else the posterior's noise outweighs the prices
			why, err := whyOf(q, job, slice, []match.ID{{4}, {2}, {77}})
			require.NoError(t, err)
			require.Equal(t, version, why.Policy)
			require.Equal(t, int64(20), why.Height)
			require.Equal(t, uint64(7), why.Round)
			require.Nil(t, why.Waiting)
			d := why.Decision
			require.True(t, d.Identical)
			require.False(t, d.Preview)
			require.False(t, d.Explored)
			require.Equal(t, nodeText(match.ID{1}), d.Node)
			require.Equal(t, nodeText(match.ID{1}), d.Considered[0].Node)
			require.True(t, d.Considered[0].Taken)
			require.Equal(t, nodeText(match.ID{2}), d.Considered[1].Node)
			require.Greater(t, d.Considered[1].Run, d.Considered[0].Run)
			if exact {
				require.Zero(t, d.Redraws)
				require.Equal(t, map[string]uint32{"greedy/1": 980_000, "lowest-cost": 1_000_000}[version], d.Propensity)
			} else {
				require.Equal(t, mostRedraws, d.Redraws)
				require.Greater(t, d.Propensity, uint32(900_000))
			}
			require.Len(t, why.Asked, 3)
			require.Equal(t, match.ReasonWhere.String(), why.Asked[0].Reason)
			require.Equal(t, []string{`region == "eu"`}, why.Asked[0].Conditions)
			require.Equal(t, []string{`drop the condition region == "eu"`}, why.Asked[0].Changes)
			require.Empty(t, why.Asked[1].Reason)
			require.Equal(t, d.Considered[1], why.Asked[1])
			require.Contains(t, why.Asked[2].Reason, "was not active")
		})
	}
}

// A slice that was split off is found by its first task, whatever its number was when it was matched.
func TestWhyFindsTheTask(t *testing.T) {
	q, job, slice := whyQuestion("greedy/1")
	slice.Number, slice.FirstTask, slice.NodeId = 6, 10, nodeText(match.ID{3})
	why, err := whyOf(q, job, slice, nil)
	require.NoError(t, err)
	require.True(t, why.Decision.Identical)
	require.Equal(t, nodeText(match.ID{3}), why.Decision.Node)

	slice.NodeId = nodeText(match.ID{2}) // not what this state and seed lead to
	why, err = whyOf(q, job, slice, nil)
	require.NoError(t, err)
	require.False(t, why.Decision.Identical)

	slice.FirstTask = 11
	_, err = whyOf(q, job, slice, nil)
	require.ErrorIs(t, err, ErrNotExplained)
	q.Version = "clairvoyant/1"
	_, err = whyOf(q, job, slice, nil)
	require.ErrorContains(t, err, "upgrade fog")
}

// Every policy heeds a job's wishes, the off switch too.
func TestWhyHeedsWishes(t *testing.T) {
	for _, version := range match.Versions() {
		q, job, slice := whyQuestion(version)
		q.Snapshot.Pending[0].Wishes = match.Wishes{Prefer: []match.Preference{{Where: "price > 1000", Weight: 1_000_000}}}
		why, err := whyOf(q, job, slice, nil)
		require.NoError(t, err)
		require.False(t, why.Decision.Identical, "%s: with wishes another node is better", version)
	}
}

func TestWhyOfAWaitingSlice(t *testing.T) {
	q, job, slice := whyQuestion("greedy/1")
	slice.Status, slice.NodeId, slice.TaskCount = jobstypes.SLICE_STATUS_PENDING, "", 3
	why, err := whyOf(q, job, slice, nil)
	require.NoError(t, err)
	require.True(t, why.Decision.Preview, "the next match takes it")
	require.Nil(t, why.Waiting)

	q.Snapshot.Pending[0].PriceCap = 500
	q.Snapshot.Pending[0].Where = "cpu_single >= 200"
	for i := range q.Snapshot.Nodes[:2] {
		q.Snapshot.Nodes[i].CPUSingle = 300
	}
	why, err = whyOf(q, job, slice, []match.ID{{2}, {3}})
	require.NoError(t, err)
	require.Nil(t, why.Decision)
	require.Equal(t, &WhyWaiting{
		Tasks: 3, Excluded: []Exclusion{{match.ReasonPrice.String(), 4}}, Conditions: []Exclusion{{"cpu_single >= 200", 2}},
		Changes: []Advice{{"raise the price cap to 1000 ufog per task-hour", 2}},
	}, why.Waiting)
	require.Equal(t, []string{"raise the price cap to 2000 ufog per task-hour"}, why.Asked[0].Changes)
	require.Equal(t, match.ReasonPrice.String(), why.Asked[1].Reason)
	require.Empty(t, why.Asked[1].Changes, "no single change lets it in")
	require.Equal(t, []string{"cpu_single >= 200"}, why.Asked[1].Conditions)
}

// A node that earlier slices filled is no riddle.
func TestWhyNotAFullNode(t *testing.T) {
	q, job, slice := whyQuestion("greedy/1")
	first := q.Snapshot.Pending[0]
	first.Job, first.Count, first.Height = match.ID{2}, 1, -1
	q.Snapshot.Pending = append(q.Snapshot.Pending, first)
	slice.NodeId = nodeText(match.ID{2})
	why, err := whyOf(q, job, slice, []match.ID{{1}})
	require.NoError(t, err)
	require.True(t, why.Decision.Identical)
	require.Contains(t, why.Asked[0].Reason, "slices before this one")
}

type prunedServer struct {
	*jobstypes.UnimplementedQueryServer
}

func (prunedServer) Params(context.Context, *jobstypes.QueryParamsRequest) (*jobstypes.QueryParamsResponse, error) {
	return nil, status.Error(codes.InvalidArgument, "failed to load state at height 20")
}

func TestWhyNeedsTheState(t *testing.T) {
	node := chaintest.Start(t, func(s *grpc.Server) { jobstypes.RegisterQueryServer(s, prunedServer{}) })
	_, _, slice := whyQuestion("greedy/1")
	reasons := NewReasons(node.Client())
	_, err := reasons.Of(t.Context(), slice)
	require.ErrorIs(t, err, chain.ErrPruned)
	require.ErrorContains(t, err, "--pruning nothing")

	slice.SnapshotHeight = 0
	_, err = reasons.Of(t.Context(), slice)
	require.ErrorIs(t, err, ErrNotExplained)
	slice.NodeId = ""
	_, err = reasons.Of(t.Context(), slice)
	require.ErrorIs(t, err, ErrNotExplained)
	_, err = reasons.Of(t.Context(), slice, "node1x")
	require.ErrorContains(t, err, "is not the id of a node")
}

func TestWhyTellsExploration(t *testing.T) {
	q, job, slice := whyQuestion("greedy/1")
	q.Snapshot.Pending[0].Count = 1
	for i := range 10_000 {
		q.Seed = otherSeed(match.Seed{}, i)
		why, err := whyOf(q, job, slice, nil)
		require.NoError(t, err)
		if why.Decision.Identical {
			continue
		}
		require.True(t, why.Decision.Explored)
		slice.NodeId = nodeText(match.ID{2})
		why, err = whyOf(q, job, slice, nil)
		require.NoError(t, err)
		if why.Decision.Identical {
			require.Equal(t, uint32(9_999), why.Decision.Propensity, "one of two runners-up, at 2 %%")
			require.True(t, why.Decision.Considered[1].Taken)
			return
		}
		slice.NodeId = nodeText(match.ID{1})
	}
	t.Fatal("never explored")
}
