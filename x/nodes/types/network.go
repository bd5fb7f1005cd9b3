package types

import "slices"

const (
	million = 1_000_000
	// maxMicros bounds a round trip: an hour.
	maxMicros = 3600 * million
)

// Allows tells whether figures are within the limits.
func (l GradeLimits) Allows(n Network) bool {
	return n.RttUs <= l.RttUs && n.JitterUs <= l.JitterUs && n.LossPpm <= l.LossPpm
}

// Grade of a network by the params; unspecified if it was not measured.
func (p Params) Grade(n Network) NetworkGrade {
	switch {
	case n.RttUs == 0:
		return NETWORK_GRADE_UNSPECIFIED
	case p.GradeA.Allows(n):
		return NETWORK_GRADE_A
	case p.GradeB.Allows(n):
		return NETWORK_GRADE_B
	}
	return NETWORK_GRADE_C
}

// Letter of a grade, as people and conditions write it; empty if the network was not measured.
func (g NetworkGrade) Letter() string {
	switch g {
	case NETWORK_GRADE_A:
		return "A"
	case NETWORK_GRADE_B:
		return "B"
	case NETWORK_GRADE_C:
		return "C"
	}
	return ""
}

func (l GradeLimits) validate(field string) error {
	if l.RttUs == 0 || l.RttUs > maxMicros || l.JitterUs > maxMicros || l.LossPpm > million {
		return ErrInvalidField.Wrapf("%s: rtt_us %d, jitter_us %d, loss_ppm %d; at most %d, %d and %d, and rtt_us not zero", field,
			l.RttUs, l.JitterUs, l.LossPpm, uint32(maxMicros), uint32(maxMicros), uint32(million))
	}
	return nil
}

// Validate names the first figure that is out of range.
func (n Network) Validate() error {
	if n.RttUs > maxMicros || n.JitterUs > maxMicros || n.LossPpm > million || (n.RttUs == 0) != (n == Network{}) {
		return ErrInvalidField.Wrapf("network: rtt_us %d, jitter_us %d, loss_ppm %d; at most %d, %d and %d, and nothing at all without rtt_us",
			n.RttUs, n.JitterUs, n.LossPpm, uint32(maxMicros), uint32(maxMicros), uint32(million))
	}
	return nil
}

// Differs tells whether a network is seen so much otherwise than it was before that it is worth a report: by a quarter of the figure and at least
// by what pings vary without a reason. The first sight of a network always is.
func (n Network) Differs(from Network) bool {
	const rtt, jitter, loss = 2_000, 1_000, 5_000 // µs, µs, millionths
	return (n.RttUs == 0) != (from.RttUs == 0) || apart(n.RttUs, from.RttUs, rtt) || apart(n.JitterUs, from.JitterUs, jitter) || apart(n.LossPpm, from.LossPpm, loss)
}

func apart(a, b, least uint32) bool {
	low, high := min(a, b), max(a, b)
	return high-low > max(least, low/4)
}

// MedianNetwork is the lower median of each figure.
func MedianNetwork(seen []NetworkObservation) Network {
	median := func(figure func(NetworkObservation) uint32) uint32 {
		all := make([]uint32, len(seen))
		for i, o := range seen {
			all[i] = figure(o)
		}
		slices.Sort(all)
		return all[(len(all)-1)/2]
	}
	return Network{
		RttUs:    median(func(o NetworkObservation) uint32 { return o.RttUs }),
		JitterUs: median(func(o NetworkObservation) uint32 { return o.JitterUs }),
		LossPpm:  median(func(o NetworkObservation) uint32 { return o.LossPpm }),
	}
}
