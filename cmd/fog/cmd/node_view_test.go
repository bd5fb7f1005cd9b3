package cmd

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/match"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestNodeShowsClassAndRating(t *testing.T) {
	const week = 7 * 86_400
	n := nodestypes.Node{
		Id: "node1a", Class: 3, ClassCandidate: 5, RatedTime: 1000, Location: &nodestypes.Location{Latitude: -33_868_800, Longitude: 151_000_000},
		Measured: nodestypes.Benchmark{BandwidthKbit: 94_271},
		Rating:   nodestypes.Rating{Successes: 19 * match.One, Trials: 20 * match.One, Speed: 9 * match.One, SpeedTrials: 10 * match.One},
	}
	model := nodestypes.Model{Version: 12, Classes: []nodestypes.Class{{Id: 3, Profile: "fast CPU, little memory"}}}
	v := nodeView{node: n, Class: classOf(n, model), Rating: ratingOf(n, 1000+week)}
	require.Equal(t, nodeRating{Outcomes: 10_000, Reliability: 950, SpeedRuns: 5_000, Speed: 900, Newest: 1000}, v.Rating, "half as much after a week")
	require.Equal(t, uint64(20_000), ratingOf(n, 1000).Outcomes)
	bad := n
	bad.Rating.Doubt = 1 << 31
	require.Equal(t, uint64(500), ratingOf(bad, 1000).Doubt)
	require.Equal(t, uint64(333), ratingOf(bad, 1000+1800).Doubt)
	require.Contains(t, ratingOf(bad, 1000).doubt(), "50.0 % that it has gone bad")
	require.Empty(t, v.Rating.doubt())

	var out strings.Builder
	require.NoError(t, printNode(&out, v))
	require.Regexp(t, `class +3: fast CPU, little memory \(model 12\); may become 5: no longer in the model\n`, out.String())
	require.Regexp(t, `reliability +95.0 % of 10.0 outcomes that count, the newest \d{4}-`, out.String())
	require.Regexp(t, `delivers +90.0 % of the measured speed, over 5.0 runs that count`, out.String())
	require.Regexp(t, `location +-33.8688,151\n`, out.String())

	require.Regexp(t, `bandwidth +94.2 +Mbit/s`, out.String())

	raw, err := json.Marshal(v)
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, map[string]any{
		"id": 3.0, "profile": "fast CPU, little memory", "model_version": 12.0, "candidate": 5.0, "candidate_profile": "",
	}, back["class"])
	require.Equal(t, 950.0, back["rating"].(map[string]any)["reliability_thousandths"])

	out.Reset()
	require.NoError(t, printNode(&out, nodeView{Class: classOf(nodestypes.Node{}, model)}))
	require.Regexp(t, `class +none yet\n`, out.String())
	require.Regexp(t, `reliability +no outcomes that count yet`, out.String())
	require.Regexp(t, `bandwidth +not measured`, out.String())
	require.NotContains(t, out.String(), "delivers")
	require.Contains(t, out.String(), "distances count as the farthest")
}
