package devnettest

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// classify waits until the oracles have agreed on a model and the node has its class by it.
func (g *grid) classify(t *testing.T) {
	queries := nodestypes.NewQueryClient(g.chain.Latest())
	var model nodestypes.Model
	until(t, "a model of the classes", func() bool {
		resp, err := queries.Model(t.Context(), &nodestypes.QueryModelRequest{})
		if status.Code(err) == codes.NotFound {
			return false
		}
		require.NoError(t, err)
		model = resp.Model
		return true
	})
	require.NotEmpty(t, model.Classes)
	require.EqualValues(t, 1, g.nodeNow(t).Class)
}

// learnt checks that a job's matches came from the learning policy, that anybody can compute them again, and that the node's rating
// grew by its runs.
func (g *grid) learnt(t *testing.T) {
	slices := g.slices(t, g.lastJob)
	require.NotEmpty(t, slices)
	for _, s := range slices {
		require.Equal(t, "greedy/1", s.MatchPolicy)
		require.Positive(t, s.SnapshotHeight)
		require.NotZero(t, s.CpuSingle)
		var replay struct {
			Identical  bool   `json:"identical"`
			Difference string `json:"difference"`
		}
		g.developer(t, &replay, "oracle", "replay", "--round", strconv.FormatUint(s.MatchRound, 10))
		require.True(t, replay.Identical, replay.Difference)
	}
	g.whyThere(t, slices)
	rating := g.nodeNow(t).Rating
	require.GreaterOrEqual(t, rating.Trials, uint64(len(slices)*nodestypes.RatingOne*9/10))
	require.Equal(t, rating.Trials, rating.Successes)
}
