package oracle

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/match"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// What the chain counts for a node is what matching counts in the simulator, as long as no developer's share binds.
func TestTheChainAndTheEngineCountAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var chain nodestypes.Ratings
		var engine match.Stats
		now := int64(1_700_000_000)
		for i := range rapid.IntRange(1, 16).Draw(t, "outcomes") {
			idle := rapid.Int64Range(0, 30*86_400).Draw(t, "idle")
			now += idle
			success := rapid.Bool().Draw(t, "success")
			speed := rapid.Uint32Range(0, nodestypes.MaxRatedSpeed*nodestypes.RatingOne).Draw(t, "speed")
			if i > 0 {
				chain.Age(idle)
			}
			o := nodestypes.Outcome{Developer: escrowtypes.ID{byte(i + 1)}, Speed: uint64(speed)}
			if success {
				o.Success = nodestypes.RatingOne
			}
			chain.Add(o)
			engine = engine.Add(match.Outcome{Success: success, Speed: speed, At: now})

			// The chain rounds each developer's part down.
			sum := chain.Sum()
			const parts = 16 * 4
			require.InDelta(t, engine.Trials, sum.Trials, parts)
			require.InDelta(t, engine.Successes, sum.Successes, parts)
			require.InDelta(t, engine.Speed, sum.Speed, parts)
			require.InDelta(t, engine.SpeedTrials, sum.SpeedTrials, parts)

			seconds := rapid.Int64Range(0, 400*86_400).Draw(t, "later")
			later := match.Stats{Successes: sum.Successes, Trials: sum.Trials, Speed: sum.Speed, SpeedTrials: sum.SpeedTrials, Last: now}.Idle(now + seconds)
			faded := sum.Idle(seconds)
			require.Equal(t, []uint64{faded.Successes, faded.Trials, faded.Speed, faded.SpeedTrials},
				[]uint64{later.Successes, later.Trials, later.Speed, later.SpeedTrials})
		}
	})
}
