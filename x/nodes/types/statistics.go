package types

import (
	"math"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// Add counts more work. A counter that is full stays full: statistics must not stop a settlement.
func (s *Statistics) Add(d Statistics) {
	for _, c := range [...]struct {
		sum   *uint64
		delta uint64
	}{
		{&s.Tasks, d.Tasks}, {&s.Successes, d.Successes}, {&s.Failures, d.Failures},
		{&s.Lost, d.Lost}, {&s.Paid, d.Paid}, {&s.WorkMs, d.WorkMs},
	} {
		sum, err := escrowtypes.AddChecked(*c.sum, c.delta)
		if err != nil {
			sum = math.MaxUint64
		}
		*c.sum = sum
	}
}
