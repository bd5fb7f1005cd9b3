package types

import (
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// Final tells whether nothing more happens to a slice in this state.
func (s SliceStatus) Final() bool {
	switch s {
	case SLICE_STATUS_PENDING, SLICE_STATUS_MATCHED, SLICE_STATUS_REPORTED:
		return false
	default:
		return true
	}
}

// TaskTerms is the part of the budget of each task of a slice whose tasks have not ended.
func (s Slice) TaskTerms() (Terms, error) {
	n := uint64(s.TaskCount)
	if n == 0 || s.Budget%n != 0 || s.FeeBudget%n != 0 {
		return Terms{}, ErrSliceState.Wrapf("slice %d of %s: budget %d and fee %d are not equal parts of %d tasks",
			s.Number, s.JobId, s.Budget, s.FeeBudget, n)
	}
	return Terms{Budget: s.Budget / n, Fee: s.FeeBudget / n}, nil
}

// WithheldSum is what is kept back for a first run.
func (s Slice) WithheldSum() (Terms, error) {
	var sum Terms
	if s.Rerun == nil {
		return sum, nil
	}
	return SumWithheld(s.Rerun.Withheld)
}

// SumWithheld adds up pay and fees.
func SumWithheld(withheld []Withheld) (Terms, error) {
	var sum Terms
	var err error
	for _, w := range withheld {
		if sum.Budget, err = escrowtypes.AddChecked(sum.Budget, w.Pay); err != nil {
			return Terms{}, err
		}
		if sum.Fee, err = escrowtypes.AddChecked(sum.Fee, w.Fee); err != nil {
			return Terms{}, err
		}
	}
	return sum, nil
}

// Held is what an open slice holds locked in the job's account.
func (s Slice) Held() (uint64, error) {
	if s.Status.Final() {
		return 0, nil
	}
	withheld, err := s.WithheldSum()
	if err != nil {
		return 0, err
	}
	held := s.Budget
	for _, part := range []uint64{s.FeeBudget, withheld.Budget, withheld.Fee} {
		if held, err = escrowtypes.AddChecked(held, part); err != nil {
			return 0, err
		}
	}
	return held, nil
}

// Sum of the tasks in all states.
func (c TaskCounts) Sum() uint64 {
	return uint64(c.Pending) + uint64(c.Matched) + uint64(c.Reported) + uint64(c.Succeeded) + uint64(c.Failed) + uint64(c.Lost) +
		uint64(c.Cancelled) + uint64(c.Expired)
}
