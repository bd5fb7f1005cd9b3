package match

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// proven is a node that did well so often.
func proven(successes int, at int64) Stats {
	var s Stats
	for range successes {
		s = s.Add(Outcome{Success: true, At: at})
	}
	return s
}

func TestDoubtOfANodeThatGoesBad(t *testing.T) {
	const now, hour = 1_000_000, 3600
	s := proven(60, now)
	before := s.Trials
	require.Less(t, s.Doubt, uint64(onset))
	s = s.Add(Outcome{At: now})
	require.Less(t, s.Doubt, uint64(oneP/100), "one failure is bad luck")
	require.False(t, s.untried())
	for range 4 {
		s = s.Add(Outcome{At: now})
	}
	require.Greater(t, s.Doubt, uint64(oneP/10*9), "five are not")
	require.True(t, s.untried(), "one task at a time")
	require.Less(t, s.Trials-s.Successes, uint64(One), "its record is that of the time before")
	for range 20 {
		s = s.Add(Outcome{At: now})
	}
	require.Equal(t, uint64(surest), s.Doubt)
	require.Less(t, s.doubted(oneP/10*9), uint64(minP+1))

	s = proven(60, now)
	for range 10 {
		s = s.Add(Outcome{At: now})
	}
	require.Greater(t, s.Trials, before*3/4)
	require.Less(t, s.Idle(now+9*hour).Doubt, uint64(oneP/100), "who chooses nodes comes back to it within hours")
	again := s.Add(Outcome{At: now + 9*hour})
	require.Greater(t, again.Doubt, uint64(oneP/10*8), "a trial that fails puts an end to that")
	well := s.Add(Outcome{Success: true, At: now + 9*hour})
	for range 2 {
		well = well.Add(Outcome{Success: true, At: now + 9*hour})
	}
	require.Less(t, well.Doubt, uint64(oneP/100), "three that do not, to the doubt")
	require.Greater(t, well.Successes*20, well.Trials*19, "and the record is back")
}

// A node that never did well has a bad record, which does not fade by the hour.
func TestNoDoubtOfANodeThatWasNeverGood(t *testing.T) {
	var s Stats
	for range 20 {
		s = s.Add(Outcome{At: 5})
	}
	require.Less(t, s.Doubt, uint64(oneP/100))
	require.Greater(t, s.Trials, uint64(15*One))
}

// A node that was left after two failures is, hours later, what it was before for those who choose; a failed trial brings both back.
func TestSuspectsAreForgotten(t *testing.T) {
	const now, hour = 1_000_000, 3600
	before := proven(20, now)
	s := before.Add(Outcome{At: now}).Add(Outcome{At: now})
	require.InDelta(t, 2*One, float64(s.Suspects), One/10)
	require.Equal(t, s.Trials, s.Idle(now+forgetQuarter-1).Trials, "whole quarters count")
	half := s.Idle(now + 6*hour)
	require.InDelta(t, float64(s.Suspects)/2, float64(half.Suspects), 1)
	require.Equal(t, s.Trials-s.Suspects, half.Trials-half.Suspects, "they are not among the trials any more")
	day := s.Idle(now + 24*hour - 1)
	require.Greater(t, day.Successes*100, day.Trials*99)
	again := s.Add(Outcome{At: now + 23*hour})
	require.Greater(t, again.Doubt, uint64(oneP/10), "it is the third failure, not the first")

	var bad Stats
	for range 20 {
		bad = bad.Add(Outcome{At: now})
	}
	require.Equal(t, bad.Trials, bad.Idle(now+23*hour).Trials, "a node that was never good has nothing to come back to")
}

func TestLongestRetry(t *testing.T) {
	s := Stats{Successes: 40 * One, Trials: 40 * One, Doubt: surest}
	require.True(t, s.Idle(LongestRetry()-1).untried())
	require.False(t, s.Idle(LongestRetry()).untried())
}

func TestDoubtProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Stats
		at := int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "outcomes") {
			at += rapid.Int64Range(0, 200_000).Draw(t, "idle")
			success := rapid.Bool().Draw(t, "success")
			judged := s.judge(success)
			if success {
				require.LessOrEqual(t, judged.Doubt, s.Doubt+onset)
			} else {
				require.GreaterOrEqual(t, judged.Doubt, s.Doubt)
			}
			s = s.Add(Outcome{Success: success, At: at})
			require.LessOrEqual(t, s.Successes, s.Trials)
			require.LessOrEqual(t, s.Suspects, s.Trials-s.Successes)
			require.LessOrEqual(t, s.Doubt, uint64(surest))
			idle := rapid.Int64Range(0, 1_000_000).Draw(t, "later")
			require.LessOrEqual(t, s.Idle(at+idle).Doubt, s.Doubt)
			require.LessOrEqual(t, s.Idle(at+idle).Doubt, s.believed(at+idle), "who chooses is more hopeful than the rule")
			require.LessOrEqual(t, s.Idle(at+idle).Successes, s.Idle(at+idle).Trials)
			require.LessOrEqual(t, s.Idle(at+idle).Trials, s.Trials, "nothing is added by waiting")
			p := rapid.Uint64Range(minP, oneP).Draw(t, "p")
			require.LessOrEqual(t, s.doubted(p), p)
		}
	})
}
