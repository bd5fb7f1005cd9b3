package match

// A node that did well may go bad, and one that is bad may recover. Doubt is the chance that it is bad now, by Bayes' rule
// over the two states (Shiryaev, On optimum methods in quickest detection problems, 1963): between two outcomes a node goes
// bad with the chance onset and recovers as believed has it, and an outcome weighs the states by how likely it is in each.
// So a record of many successes is not worn down failure by failure, and comes back when the node does. Failures that began
// a doubt leave the counts as far as the doubt proves right, and for those who choose nodes they fade while the node is idle.

const (
	// onset is the chance in Q32 that a node goes bad between two outcomes, one in 8,192.
	onset = oneP >> 13
	// fault: a node that has gone bad finishes one part in so many of the work that it finished before.
	fault = 8
	// surest bounds the doubt, in Q32: 1,023 to one, so that it is never long until a node is tried again.
	surest = oneP - oneP>>10
	// Half of the bad nodes are taken to recover within a day. For those who choose nodes, the odds of the doubt halve every half
	// hour: what a trial costs is little beside never hearing that the node is well again. In seconds, a quarter of each.
	recoveryQuarter = 21_600
	retryQuarter    = 450
	// For them the suspects of an idle node halve every six hours, or a node that was left after a failure or two would not be heard of
	// again. In seconds, a quarter.
	forgetQuarter = 5_400
	// doubtful nodes, a tenth in Q32 and more, take one task at a time, and that not before the doubt is less for those who choose.
	doubtful = oneP / 10
)

// perQuarter is 2^(-k/4) in Q32.
var perQuarter = [4]uint64{1 << 32, 3_611_622_603, 3_037_000_500, 2_553_802_834}

// quarters is x·2^(-k/4).
func quarters(x, k uint64) uint64 { return mulQ32(x, perQuarter[k%4]) >> min(k/4, 63) }

// believed is the doubt as the next outcome finds it at a Unix second.
func (s Stats) believed(at int64) uint64 {
	return quarters(s.Doubt, uint64(max(at-s.Last, 0))/recoveryQuarter)
}

// retried is a doubt as choices take it some seconds after the last outcome.
func retried(doubt, seconds uint64) uint64 {
	doubt = min(doubt, surest)
	left := quarters(doubt, seconds/retryQuarter)
	return mulDiv(left, oneP, oneP-doubt+left)
}

// LongestRetry is after how many idle seconds even the surest doubt keeps nobody from a node.
func LongestRetry() int64 {
	var seconds uint64
	for retried(surest, seconds) > doubtful {
		seconds += retryQuarter
	}
	return int64(seconds)
}

// judge moves the doubt by an outcome that is not counted yet. What a well node does is its record without the suspects, which would wear
// it down before the doubt is sure.
func (s Stats) judge(success bool) Stats {
	p := mulDiv(s.Successes+One, oneP, s.Trials-s.excused()+2*One)
	well, bad := p, p/fault
	if !success {
		well, bad = oneP-well, oneP-bad
	}
	before := s.Doubt + mulQ32(oneP-s.Doubt, onset)
	well, bad = mulQ32(well, oneP-before), mulQ32(bad, before)
	s.Doubt = min(mulDiv(bad, oneP, well+bad), surest)
	return s
}

// excused are the suspects that a good record speaks for: what was never good has nothing to come back to.
func (s Stats) excused() uint64 { return min(s.Suspects, s.Trials-s.Successes, s.Successes) }

// forget takes out the suspects that those who choose nodes have forgotten some seconds after the last outcome.
func (s Stats) forget(seconds uint64) Stats {
	gone := s.excused()
	gone -= quarters(gone, seconds/forgetQuarter)
	s.Suspects -= gone
	s.Trials -= gone
	return s
}

// forgive takes the suspects out of the counts as far as they are believed to be of a node gone bad.
func (s Stats) forgive() Stats {
	s.Suspects = min(s.Suspects, s.Trials-s.Successes)
	gone := mulQ32(s.Suspects, s.Doubt)
	s.Suspects -= gone
	s.Trials -= gone
	return s
}

// doubted is the chance of success whose odds are the mean of the odds in the two states, for a chance p of a node that is
// well. Odds are what the loss is linear in, so a little doubt weighs much: it is the failures to come that cost. A doubtful
// node has the least chance there is, however cheap it is: the time between two trials bounds their number.
func (s Stats) doubted(p uint64) uint64 {
	if s.Doubt > doubtful {
		return min(p, minP)
	}
	return mulDiv(p, oneP, oneP+(fault-1)*s.Doubt)
}

// untried reports whether the next task is a trial of the node.
func (s Stats) untried() bool { return s.Trials == 0 || s.Doubt > doubtful }
