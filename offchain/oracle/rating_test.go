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
		often := 9
		for i := range rapid.IntRange(1, 60).Draw(t, "outcomes") {
			// Mostly hours, so that a node has a record, and a bad time in between, so that there is doubt of it.
			idle := rapid.Int64Range(0, 86_400).Draw(t, "idle")
			if rapid.IntRange(0, 19).Draw(t, "long") == 0 {
				idle *= 30
			}
			if rapid.IntRange(0, 14).Draw(t, "change") == 0 {
				often = 10 - often
			}
			now += idle
			success := rapid.IntRange(0, 9).Draw(t, "success") < often
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

			// The chain rounds each developer's part down, and the doubt follows from the sum; by a good record it decides which failures
			// are forgiven, so a rounding may come back as several. All in all less than a twentieth of an outcome.
			sum := chain.Sum()
			const parts = nodestypes.RatingOne / 20
			require.InDelta(t, engine.Doubt, sum.Doubt, 1<<32/200)
			require.InDelta(t, engine.Suspects, chain.Suspects, parts)
			require.InDelta(t, engine.Trials, sum.Trials, parts)
			require.InDelta(t, engine.Successes, sum.Successes, parts)
			require.InDelta(t, engine.Speed, sum.Speed, parts)
			require.InDelta(t, engine.SpeedTrials, sum.SpeedTrials, parts)

			seconds := rapid.Int64Range(0, 400*86_400).Draw(t, "later")
			later := match.Stats{
				Successes: sum.Successes, Trials: sum.Trials, Speed: sum.Speed, SpeedTrials: sum.SpeedTrials, Doubt: sum.Doubt, Suspects: sum.Suspects, Last: now,
			}.Idle(now + seconds)
			faded := sum.Idle(seconds)
			require.Equal(t, []uint64{faded.Successes, faded.Trials, faded.Speed, faded.SpeedTrials, faded.Doubt, faded.Suspects},
				[]uint64{later.Successes, later.Trials, later.Speed, later.SpeedTrials, later.Doubt, later.Suspects})
		}
	})
}
