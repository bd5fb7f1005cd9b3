package match

import "math/bits"

// One is an outcome, and a speed as claimed, in the fixed point of Stats.
const One = 1 << 16

const (
	daySeconds = 86_400
	// maxTrials keeps counts far from overflow; decay keeps them below 60 anyway.
	maxTrials = 1 << 14 * One
)

// Stats are the rated outcomes of a node with their decay: an outcome weighs half after forty later ones of the same
// node and half again for every seven days without any. That follows slow change; the doubt sees what is sudden. All values
// are integers, so that every oracle gets the same from the same outcomes.
type Stats struct {
	// Successes of Trials, in units of 1/One outcomes.
	Successes, Trials uint64
	// Speed is the decayed sum of delivered over claimed speed of SpeedTrials measured runs, in units of 1/One.
	Speed, SpeedTrials uint64
	// Doubt is the chance in Q32 that the node has gone bad; the counts are of the time before.
	Doubt uint64
	// Suspects are those failures among the counts that may be the beginning of that.
	Suspects uint64
	// Last is the Unix second of the newest outcome.
	Last int64
}

// Outcome is how one task ended.
type Outcome struct {
	// Success is false if the node lost the task; a task's own fault is no outcome of the node.
	Success bool
	// Speed is the delivered over the claimed speed in units of 1/One; zero if it was not measured.
	Speed uint32
	// At is the Unix second.
	At int64
}

// perOutcome is 2^(-1/40) in Q32.
const perOutcome = 4_221_182_329

// perIdleDay is 2^(-k/7) in Q32 for k days.
var perIdleDay = [7]uint64{1 << 32, 3_890_053_517, 3_523_313_526, 3_191_148_437, 2_890_298_656, 2_617_811_889, 2_371_014_177}

// Add returns the counts with one more outcome.
func (s Stats) Add(o Outcome) Stats {
	doubt := s.believed(o.At)
	s = s.fade(uint64(max(o.At-s.Last, 0)))
	s.Doubt = mulQ32(doubt, perOutcome)
	s = s.scale(perOutcome)
	s = s.judge(o.Success)
	s.Trials += One
	if o.Success {
		s.Successes += One
		s.Suspects /= fault
	} else {
		s.Suspects += One
	}
	s = s.forgive()
	if o.Speed > 0 {
		s.Speed += uint64(o.Speed)
		s.SpeedTrials += One
	}
	s.Last = max(s.Last, o.At)
	return s
}

// Idle returns the counts as they weigh at a Unix second, after the whole days that have passed since the last outcome, with
// the doubt and the suspects as those who choose nodes take them. The result is for reading: it is not to be aged again.
func (s Stats) Idle(at int64) Stats {
	if at <= s.Last {
		return s
	}
	seconds := uint64(at - s.Last)
	s.Doubt = retried(s.Doubt, seconds)
	return s.forget(seconds).fade(seconds)
}

// fade is the counts as they weigh after so many seconds.
func (s Stats) fade(seconds uint64) Stats {
	days := seconds / daySeconds
	if days == 0 {
		return s
	}
	if days >= 7*48 {
		return Stats{Last: s.Last}
	}
	out := s.scale(perIdleDay[days%7])
	halvings := days / 7
	out.Successes >>= halvings
	out.Trials >>= halvings
	out.Speed >>= halvings
	out.SpeedTrials >>= halvings
	out.Suspects >>= halvings
	return out
}

// delivered is the expected speed over the claimed one, in units of 1/One, between an eighth and eight.
func (s Stats) delivered() uint64 {
	ratio := mulDiv(min(s.Speed, 8*s.SpeedTrials)+speedEvidence, One, s.SpeedTrials+speedEvidence)
	return min(max(ratio, One/8), 8*One)
}

// scale multiplies the counts by f/2³².
func (s Stats) scale(f uint64) Stats {
	s.Trials = mulQ32(min(s.Trials, maxTrials), f)
	s.Successes = min(mulQ32(s.Successes, f), s.Trials)
	s.SpeedTrials = mulQ32(min(s.SpeedTrials, maxTrials), f)
	s.Speed = mulQ32(s.Speed, f)
	s.Suspects = mulQ32(s.Suspects, f)
	return s
}

// mulQ32 is ⌊a·f/2³²⌋ for f of at most 2³².
func mulQ32(a, f uint64) uint64 {
	hi, lo := bits.Mul64(a, f)
	return hi<<32 | lo>>32
}
