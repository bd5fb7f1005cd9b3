package devnettest

import (
	"testing"

	"github.com/stretchr/testify/require"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// whyWaits checks that a job which no node can take is told what would let the node in.
func (g *grid) whyWaits(t *testing.T, id, condition, change string) {
	t.Helper()
	var why struct {
		Slices []struct {
			Policy  string `json:"policy"`
			Waiting *struct {
				Conditions []struct {
					Reason string `json:"reason"`
				} `json:"conditions"`
				Changes []struct {
					Change string `json:"change"`
					Nodes  int    `json:"nodes"`
				} `json:"changes"`
			} `json:"waiting"`
			Asked []struct {
				Changes []string `json:"changes"`
			} `json:"asked"`
		} `json:"slices"`
	}
	g.developer(t, &why, "job", "why", id, "--node", g.node)
	require.Len(t, why.Slices, 1)
	require.Equal(t, "greedy/1", why.Slices[0].Policy)
	require.NotNil(t, why.Slices[0].Waiting)
	require.Len(t, why.Slices[0].Waiting.Conditions, 1)
	require.Equal(t, condition, why.Slices[0].Waiting.Conditions[0].Reason)
	require.Len(t, why.Slices[0].Waiting.Changes, 1)
	require.Equal(t, change, why.Slices[0].Waiting.Changes[0].Change)
	require.Equal(t, 1, why.Slices[0].Waiting.Changes[0].Nodes)
	require.Equal(t, []string{change}, why.Slices[0].Asked[0].Changes)
}

// whyThere checks that each match of a job comes out again, from the state that the oracles had, and that the node shows its class.
func (g *grid) whyThere(t *testing.T, slices []jobstypes.Slice) {
	t.Helper()
	var why struct {
		Slices []struct {
			Height   int64 `json:"snapshot_height"`
			Decision struct {
				Node       string `json:"node_id"`
				Identical  bool   `json:"identical"`
				Propensity int    `json:"propensity_millionths"`
				Considered []struct {
					Loss, Run uint64
					Taken     bool
				} `json:"considered"`
			} `json:"decision"`
		} `json:"slices"`
	}
	g.developer(t, &why, "job", "why", slices[0].JobId)
	require.Len(t, why.Slices, len(slices))
	for _, s := range why.Slices {
		require.Positive(t, s.Height)
		require.Equal(t, g.node, s.Decision.Node)
		require.True(t, s.Decision.Identical)
		require.Equal(t, 1_000_000, s.Decision.Propensity, "there is no other node")
		require.Len(t, s.Decision.Considered, 1)
		require.True(t, s.Decision.Considered[0].Taken)
		require.Positive(t, s.Decision.Considered[0].Run)
		require.GreaterOrEqual(t, s.Decision.Considered[0].Loss, s.Decision.Considered[0].Run)
	}
	require.Equal(t, &nodestypes.Location{Latitude: 50_110_000, Longitude: -8_680_000}, g.nodeNow(t).Location)
	var status struct {
		Class *struct {
			ID      int    `json:"id"`
			Profile string `json:"profile"`
		} `json:"class"`
		Rating struct {
			Reliability int `json:"reliability_thousandths"`
		} `json:"rating"`
	}
	g.developer(t, &status, "node", "status", g.node)
	require.NotNil(t, status.Class)
	require.Equal(t, 1, status.Class.ID)
	require.NotEmpty(t, status.Class.Profile)
	require.Equal(t, 1000, status.Rating.Reliability)
}
