package types_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

const day = 86_400

func developer(n byte) escrowtypes.ID { return escrowtypes.ID{n + 1} }

func outcomes(n byte, successes ...uint64) []types.Outcome {
	out := make([]types.Outcome, len(successes))
	for i, s := range successes {
		out[i] = types.Outcome{Developer: developer(n), Success: s * types.RatingOne}
	}
	return out
}

func TestRatingFades(t *testing.T) {
	r := types.Rating{Successes: 1 << 20, Trials: 1 << 21, Speed: 1 << 19, SpeedTrials: 1 << 18}
	require.Equal(t, r, r.Idle(day-1), "whole days count")
	week := r.Idle(7*day + 5)
	require.Equal(t, types.Rating{Successes: 1 << 19, Trials: 1 << 20, Speed: 1 << 18, SpeedTrials: 1 << 17}, week)
	require.Equal(t, r.Idle(14*day), week.Idle(7*day))
	require.Zero(t, r.Idle(1<<50))
	r.Doubt = 1 << 31
	require.InDelta(t, 1<<32/3, r.Idle(1800).Doubt, 1, "the odds halve every half hour")
	require.Equal(t, r, r.Idle(449), "whole quarters of it count")
	require.Equal(t, r, r.Idle(-5), "nothing comes back")
	r = types.Rating{Successes: 8 << 16, Trials: 10 << 16, Suspects: 1 << 16}
	require.Equal(t, r, r.Idle(5399), "whole quarters of six hours count")
	require.InDelta(t, 1<<15, r.Idle(6*3600).Suspects, 1, "suspects of an idle node halve in six hours")
	require.InDelta(t, 19<<15, r.Idle(6*3600).Trials, 1, "and leave the trials")
	require.Equal(t, uint64(8<<16), r.Idle(6*3600).Successes)
	r.Successes = 0
	require.Equal(t, r, r.Idle(day-1), "what was never good has nothing to come back to")

	var rs types.Ratings
	rs.Add(types.Outcome{Developer: developer(0), Success: types.RatingOne})
	for i := range 40 { // of many others, so that the share does not bind
		rs.Add(types.Outcome{Developer: developer(byte(1 + i%10))})
	}
	require.InDelta(t, types.RatingOne/2, rs.Developers[0].Rating.Successes, 40, "half after forty later outcomes")
}

// A lone developer has a window of its newest outcomes; with company it counts for at most a fifth.
func TestOneDeveloperCountsForAFifth(t *testing.T) {
	var rs types.Ratings
	for range 1_000 {
		rs.Add(types.Outcome{Developer: developer(0), Success: types.RatingOne})
	}
	require.InDelta(t, 5*types.RatingOne, rs.Sum().Trials, 1)
	for _, o := range outcomes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) {
		rs.Add(o)
	}
	require.Less(t, rs.Sum().Successes, rs.Sum().Trials/7, "the newest outcomes count")

	rs = types.Ratings{}
	for i := range 2_000 {
		rs.Add(types.Outcome{Developer: developer(byte(1 + i%9)), Success: types.RatingOne})
		rs.Add(types.Outcome{Developer: developer(0)})
		rs.Add(types.Outcome{Developer: developer(0)})
	}
	sum := rs.Sum()
	require.Greater(t, sum.Trials, uint64(24*types.RatingOne))
	require.InDelta(t, float64(sum.Trials)*0.2, float64(sum.Trials-sum.Successes), 65_536)
}

func TestRatingsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rs types.Ratings
		for range rapid.IntRange(1, 300).Draw(t, "outcomes") {
			rs.Age(rapid.Int64Range(0, 20*day).Draw(t, "idle"))
			o := types.Outcome{
				Developer: developer(rapid.ByteMax(30).Draw(t, "developer")),
				Success:   rapid.Uint64Range(0, types.RatingOne).Draw(t, "success"),
				Speed:     rapid.Uint64Range(0, types.MaxRatedSpeed*types.RatingOne).Draw(t, "speed"),
			}
			before := rs.Sum().Trials
			rs.Add(o)
			require.NoError(t, rs.Validate())
			sum := rs.Sum()
			require.NoError(t, sum.Validate())
			require.LessOrEqual(t, sum.Trials, before+types.RatingOne)
			for _, d := range rs.Developers {
				if string(d.Developer) == string(o.Developer[:]) {
					others := sum.Trials - d.Rating.Trials
					require.LessOrEqual(t, d.Rating.Trials, max(5*types.RatingOne, others/4))
					require.NotZero(t, d.Rating.Trials)
				}
			}
		}
	})
}

func TestRatingsValidate(t *testing.T) {
	require.ErrorContains(t, types.Rating{Trials: 9, Successes: 7, Suspects: 3}.Validate(), "suspects: 3 of 2 failures")
	var rs types.Ratings
	rs.Add(types.Outcome{Developer: developer(0), Success: types.RatingOne, Speed: types.RatingOne})
	for name, spoil := range map[string]func(*types.Ratings){
		"developers: 17":               func(r *types.Ratings) { r.Developers = make([]types.DeveloperRating, 17) },
		"developers[1].developer":      func(r *types.Ratings) { r.Developers = append(r.Developers, r.Developers[0]) },
		"developers[0].developer":      func(r *types.Ratings) { r.Developers[0].Developer = []byte{1} },
		"developers[0].rating: trials": func(r *types.Ratings) { r.Developers[0].Rating.Trials = 1 << 40 },
		"others: successes":            func(r *types.Ratings) { r.Others.Successes = 1 },
		"others: speed_trials":         func(r *types.Ratings) { r.Others.SpeedTrials = 1 << 40 },
		"others: speed:":               func(r *types.Ratings) { r.Others.Speed = 1 << 40 },
		"others: doubt":                func(r *types.Ratings) { r.Others.Doubt = 1 },
		"others: suspects: 1; they":    func(r *types.Ratings) { r.Others = types.Rating{Trials: 1, Suspects: 1} },
		"doubt: 4294967295":            func(r *types.Ratings) { r.Doubt = 1<<32 - 1 },
		"suspects":                     func(r *types.Ratings) { r.Suspects = 1 << 40 },
		"witnesses: 5":                 func(r *types.Ratings) { r.Witnesses = make([][]byte, 5) },
		"witnesses[1]":                 func(r *types.Ratings) { r.Witnesses = append(r.Witnesses, r.Witnesses[0]) },
		"witnesses[0]":                 func(r *types.Ratings) { r.Witnesses[0] = []byte{1} },
	} {
		bad := types.Ratings{
			Developers: slices.Clone(rs.Developers), Others: rs.Others, Doubt: rs.Doubt, Suspects: rs.Suspects, Witnesses: slices.Clone(rs.Witnesses),
		}
		require.NoError(t, bad.Validate())
		spoil(&bad)
		require.ErrorContains(t, bad.Validate(), name)
	}
}
