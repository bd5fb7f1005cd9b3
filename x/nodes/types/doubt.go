package types

import (
	"bytes"
	"slices"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// A node that did well may go bad, and one that is bad may recover. The doubt of a node is the chance that it is bad now, by
// Bayes' rule over the two states (Shiryaev, On optimum methods in quickest detection problems, 1963). Failures that began a
// doubt leave the counts as far as the doubt proves right, so the record comes back when the node does; for those who choose
// nodes they fade while the node is idle. offchain/match has the same for one node without developers.

const (
	// onset is the chance in units of 2^-32 that a node goes bad between two outcomes, one in 8,192.
	onset = 1 << 32 >> 13
	// fault: a node that has gone bad finishes one part in so many of the work that it finished before.
	fault = 8
	// MaxDoubt bounds the doubt: 1,023 to one, so that it is never long until a node is tried again.
	MaxDoubt = 1<<32 - 1<<22
	// recoverySeconds are a quarter of the day in which half of the bad nodes are taken to recover, retrySeconds of the half hour in
	// which the odds of the doubt halve for those who choose nodes: a trial costs little beside never hearing that a node is well.
	recoverySeconds = 21_600
	retrySeconds    = 450
	// forgetSeconds are a quarter of the six hours in which the suspects of an idle node halve for them.
	forgetSeconds = 5_400
	// Witnesses is the number of newest outcomes that moved the doubt whose developers do not move it again: of any five no
	// two are of one developer, so that none counts for more than a fifth.
	Witnesses = 4
)

// perQuarter is 2^(-k/4) in units of 2^-32.
var perQuarter = [4]uint64{1 << 32, 3_611_622_603, 3_037_000_500, 2_553_802_834}

// quarters is x·2^(-k/4).
func quarters(x, k uint64) uint64 { return mulQ32(x, perQuarter[k%4]) >> min(k/4, 63) }

// retried is a doubt as those who choose nodes take it some seconds after the newest outcome.
func retried(doubt, seconds uint64) uint64 {
	doubt = min(doubt, MaxDoubt)
	left := quarters(doubt, seconds/retrySeconds)
	return mulDiv(left, 1<<32, 1<<32-doubt+left)
}

// excused are the suspects that a good record speaks for: what was never good has nothing to come back to.
func (r Rating) excused() uint64 { return min(r.Suspects, r.Trials-r.Successes, r.Successes) }

// forget takes out the suspects that those who choose nodes have forgotten some seconds after the newest outcome.
func (r Rating) forget(seconds uint64) Rating {
	gone := r.excused()
	gone -= quarters(gone, seconds/forgetSeconds)
	r.Suspects -= gone
	r.Trials -= gone
	return r
}

// heeds reports whether an outcome of a developer moves the doubt, and remembers that it did.
func (rs *Ratings) heeds(developer []byte) bool {
	if slices.ContainsFunc(rs.Witnesses, func(w []byte) bool { return bytes.Equal(w, developer) }) {
		return false
	}
	if len(rs.Witnesses) == Witnesses {
		rs.Witnesses = slices.Delete(rs.Witnesses, 0, 1)
	}
	rs.Witnesses = append(rs.Witnesses, developer)
	return true
}

// judge moves the doubt by an outcome that is not counted yet: the part of the work that was finished. What a well node does is its
// record without the suspects, which would wear it down before the doubt is sure.
func (rs *Ratings) judge(success uint64) {
	const one = 1 << 32
	sum := rs.Sum()
	p := mulDiv(sum.Successes+RatingOne, one, sum.Trials-sum.excused()+2*RatingOne)
	likely := func(p uint64) uint64 { return (success*p + (RatingOne-success)*(one-p)) / RatingOne }
	before := rs.Doubt + mulQ32(one-rs.Doubt, onset)
	well, bad := mulQ32(likely(p), one-before), mulQ32(likely(p/fault), before)
	rs.Doubt = min(mulDiv(bad, one, well+bad), MaxDoubt)
}

// forgive takes the suspects out of the counts as far as they are believed to be of a node gone bad.
func (rs *Ratings) forgive() {
	sum := rs.Sum()
	failures := sum.Trials - sum.Successes
	rs.Suspects = sum.Suspects
	gone := mulQ32(rs.Suspects, rs.Doubt)
	if gone == 0 {
		return
	}
	rs.Suspects -= gone
	rs.each(func(r Rating) Rating {
		r.Trials -= mulDiv(r.Trials-r.Successes, gone, failures)
		return r
	})
}

func (rs Ratings) validateDoubt() error {
	if rs.Doubt > MaxDoubt {
		return ErrInvalidField.Wrapf("doubt: %d; at most %d", rs.Doubt, uint64(MaxDoubt))
	}
	if rs.Suspects > maxTrials {
		return ErrInvalidField.Wrapf("suspects: %d; at most %d", rs.Suspects, maxTrials)
	}
	if len(rs.Witnesses) > Witnesses {
		return ErrInvalidField.Wrapf("witnesses: %d; at most %d", len(rs.Witnesses), Witnesses)
	}
	for i, w := range rs.Witnesses {
		if len(w) != len(escrowtypes.ID{}) || slices.ContainsFunc(rs.Witnesses[:i], func(o []byte) bool { return bytes.Equal(o, w) }) {
			return ErrInvalidField.Wrapf("witnesses[%d]: %x is no id of 20 bytes, or is there twice", i, w)
		}
	}
	return nil
}
