package sim

import (
	"fmt"
	"math"
)

// books are the money of a run in ufog, by the rules of the ledger: a budget is locked at the match, a success pays metered time at the
// agreed price and a fee of 1 %, the rest goes back; a failed or lost run is unpaid, and a lost one costs the provider 5 % of its
// collateral, which is 30 % of the budget.
type books struct {
	Locked, Paid, Fees, Refunded               uint64
	Collateral, CollateralReturned, Slashed    uint64
	funded, collateralLocked, runs, settlement uint64
}

// terms of one run.
type terms struct{ price, budget, collateral uint64 }

const (
	feeBasis        = 100
	collateralBasis = 3000
	slashBasis      = 500
	wholeBasis      = 10_000
	// overtime bounds a run: its longest time over that by the declared speed.
	overtime = 4
)

// match locks the money of a run that takes hours by the declared speed.
func (b *books) match(dollarsHour, hours float64) terms {
	t := terms{price: uint64(dollarsHour * 1e6)}
	most := uint64(math.Ceil(float64(t.price) * hours * overtime))
	t.budget = most + (most*feeBasis+wholeBasis-1)/wholeBasis
	t.collateral = most * collateralBasis / wholeBasis
	b.Locked += t.budget
	b.funded += t.budget
	b.Collateral += t.collateral
	b.collateralLocked += t.collateral
	b.runs++
	return t
}

// settle ends a run of some milliseconds.
func (b *books) settle(t terms, millis int64, ok, lost bool) (paid uint64) {
	fee := uint64(0)
	if ok {
		paid = uint64(float64(t.price) * float64(millis) / hour)
		paid = min(paid, t.budget*wholeBasis/(wholeBasis+feeBasis))
		fee = min(paid*feeBasis/wholeBasis, t.budget-paid)
	}
	slash := uint64(0)
	if lost {
		slash = t.collateral * slashBasis / wholeBasis
	}
	b.Paid += paid
	b.Fees += fee
	b.Refunded += t.budget - paid - fee
	b.Slashed += slash
	b.CollateralReturned += t.collateral - slash
	b.Locked -= t.budget
	b.Collateral -= t.collateral
	b.settlement++
	return paid
}

// check tells whether all money is where it should be.
func (b *books) check() error {
	if b.funded != b.Locked+b.Paid+b.Fees+b.Refunded {
		return fmt.Errorf("sim: of %d ufog funded %d are accounted for", b.funded, b.Locked+b.Paid+b.Fees+b.Refunded)
	}
	if b.collateralLocked != b.Collateral+b.CollateralReturned+b.Slashed {
		return fmt.Errorf("sim: of %d ufog of collateral %d are accounted for", b.collateralLocked, b.Collateral+b.CollateralReturned+b.Slashed)
	}
	if b.settlement == b.runs && b.Locked+b.Collateral != 0 {
		return fmt.Errorf("sim: all runs are settled, and %d ufog are locked", b.Locked+b.Collateral)
	}
	return nil
}
