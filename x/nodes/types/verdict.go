package types

import (
	"slices"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// Verdict is what measured figures say of a declaration.
type Verdict string

// The verdicts.
const (
	// VerdictPass: every figure is reached.
	VerdictPass Verdict = "pass"
	// VerdictLower: no figure is far below; those below are lowered.
	VerdictLower Verdict = "lowered"
	// VerdictBelow: a figure is far below.
	VerdictBelow Verdict = "below"
	// VerdictUnreachable: too few oracles could measure.
	VerdictUnreachable Verdict = "unreachable"
)

// Medians returns the lower median of each figure over the observations that measured; n is how many did.
func Medians(observations []BenchmarkObservation) (medians Benchmark, n int) {
	var columns [8][]uint64
	for i := range observations {
		if observations[i].Unreachable {
			continue
		}
		n++
		m := observations[i].Measured
		for c, f := range m.figures() {
			columns[c] = append(columns[c], *f.value)
		}
		for c, f := range m.measuredOnly() {
			columns[c+6] = append(columns[c+6], *f.value) //nolint:gosec // the table has a column for each field
		}
	}
	if n == 0 {
		return Benchmark{}, 0
	}
	for c := range columns {
		slices.Sort(columns[c])
	}
	for c, f := range medians.figures() {
		*f.value = columns[c][(n-1)/2]
	}
	for c, f := range medians.measuredOnly() {
		*f.value = columns[c+6][(n-1)/2] //nolint:gosec // the table has a column for each field
	}
	return medians, n
}

// Judge compares measured with declared figures. lowered is the declaration with the figures that were not reached set to what was
// measured; detail names the figure that decided. Figures that are not declared are not compared.
func Judge(declared, measured Benchmark, p Params) (verdict Verdict, lowered Benchmark, detail string) {
	verdict, lowered = VerdictPass, declared
	names, got, low := declared.figures(), measured.figures(), lowered.figures()
	for i := range names {
		want, have := *names[i].value, *got[i].value
		switch {
		case atLeastPercent(have, want, p.PassPercent):
			continue
		case atLeastPercent(have, want, p.LowerPercent):
			*low[i].value = have
			if verdict == VerdictPass {
				verdict, detail = VerdictLower, names[i].name
			}
		default:
			return VerdictBelow, declared, names[i].name
		}
	}
	return verdict, lowered, detail
}

// atLeastPercent says whether have ≥ percent/100 of want, without overflow for the figures that Validate allows.
func atLeastPercent(have, want uint64, percent uint32) bool {
	return have >= want || have*100 >= want*uint64(percent)
}

// Credit is what a benchmark says of a node beside what is known: the speeds of one that works are credited with the share of its CPU that the
// work has reserved, up to what was measured before, and a bandwidth that was not measured stays.
func Credit(measured Benchmark, n Node) Benchmark {
	if measured.BandwidthKbit == 0 {
		measured.BandwidthKbit = n.Measured.BandwidthKbit
	}
	free := n.Capacity.CpuMilli - min(n.Reserved.CpuMilli, n.Capacity.CpuMilli)
	if n.RunningTasks == 0 || free == n.Capacity.CpuMilli {
		return measured
	}
	known := n.Measured.speeds()
	for i, f := range measured.speeds() {
		whole := *known[i].value
		if free > 0 {
			// Overflow only says that it is more than was ever measured.
			if v, err := escrowtypes.MulDiv(*f.value, n.Capacity.CpuMilli, free); err == nil {
				whole = min(whole, v)
			}
		}
		*f.value = max(*f.value, whole)
	}
	return measured
}
