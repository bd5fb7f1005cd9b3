package types_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/x/nodes/types"
)

// provenBy is a node that did well for so many developers in turn.
func provenBy(developers byte) types.Ratings {
	var rs types.Ratings
	for i := range 100 {
		rs.Add(types.Outcome{Developer: developer(byte(i) % developers), Success: types.RatingOne})
	}
	return rs
}

func certain(part float64) uint64 { return uint64(part * (1 << 32)) }

func TestDoubtOfANodeThatGoesBad(t *testing.T) {
	rs := provenBy(10)
	before := rs.Sum()
	for i := range byte(6) {
		rs.Add(types.Outcome{Developer: developer(i)})
	}
	sum := rs.Sum()
	require.Greater(t, sum.Doubt, certain(0.9))
	require.Less(t, sum.Trials-sum.Successes, uint64(types.RatingOne), "the record is that of the time before")
	require.Greater(t, sum.Trials, before.Trials*8/10)

	rs.Age(6 * 3600)
	require.InDelta(t, float64(sum.Doubt)*math.Exp2(-0.25), float64(rs.Doubt), 2, "half of the bad nodes recover within a day")
	for i := range byte(4) {
		rs.Add(types.Outcome{Developer: developer(6 + i%4), Success: types.RatingOne})
	}
	require.Less(t, rs.Doubt, certain(0.01), "successes of others dispel it")
}

// Of five outcomes that move the doubt no two are of one developer.
func TestOneDeveloperAloneRaisesNoDoubt(t *testing.T) {
	rs := provenBy(10)
	for range 1_000 {
		rs.Add(types.Outcome{Developer: developer(20)})
	}
	require.Less(t, rs.Doubt, certain(0.005))

	// Nor while others go on with success.
	rs = provenBy(10)
	for i := range 1_000 {
		rs.Add(types.Outcome{Developer: developer(20)})
		rs.Add(types.Outcome{Developer: developer(byte(i % 10)), Success: types.RatingOne})
		require.Less(t, rs.Doubt, certain(0.02))
	}

	// Nor does one alone dispel a doubt that others have.
	rs = provenBy(10)
	for i := range byte(8) {
		rs.Add(types.Outcome{Developer: developer(i)})
	}
	rs.Add(types.Outcome{Developer: developer(20), Success: types.RatingOne})
	for range 5 {
		rs.Add(types.Outcome{Developer: developer(20), Success: types.RatingOne})
	}
	require.Greater(t, rs.Doubt, certain(0.7))
}

func TestDoubtProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rs types.Ratings
		for range rapid.IntRange(1, 200).Draw(t, "outcomes") {
			aged := rs.Doubt
			rs.Age(rapid.Int64Range(0, 200_000).Draw(t, "idle"))
			require.LessOrEqual(t, rs.Doubt, aged)
			o := types.Outcome{
				Developer: developer(rapid.ByteMax(8).Draw(t, "developer")),
				Success:   rapid.SampledFrom([]uint64{0, 1, types.RatingOne / 2, types.RatingOne}).Draw(t, "success"),
			}
			before := rs.Doubt
			rs.Add(o)
			require.NoError(t, rs.Validate())
			sum := rs.Sum()
			require.NoError(t, sum.Validate())
			require.Equal(t, rs.Doubt, sum.Doubt)
			require.LessOrEqual(t, sum.Suspects, rs.Suspects)
			if o.Success == types.RatingOne {
				require.LessOrEqual(t, rs.Doubt, before+1<<19, "a success adds no more than the chance of going bad")
			}
			later := rapid.Int64Range(0, 1_000_000).Draw(t, "later")
			require.LessOrEqual(t, sum.Idle(later).Doubt, sum.Doubt)
			require.NoError(t, sum.Idle(later).Validate())
			require.LessOrEqual(t, sum.Idle(later).Trials, sum.Trials)
		}
	})
}

func TestDoubtTable(t *testing.T) {
	full := types.Ratings{Doubt: types.MaxDoubt}
	for k := range 9 {
		rs := full
		rs.Age(int64(k) * 21_600)
		require.InDelta(t, types.MaxDoubt*math.Exp2(-float64(k)/4), float64(rs.Doubt), 1)
	}
}
