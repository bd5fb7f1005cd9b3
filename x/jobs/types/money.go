package types

import (
	"math/bits"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

const (
	// BasisPoints make a whole.
	BasisPoints = 10_000
	// SecondsPerHour and MillisPerHour turn prices per task-hour into pay.
	SecondsPerHour = 3_600
	MillisPerHour  = 3_600_000
)

// Terms are the money of tasks: what a provider can earn at most and the oracles' fee on it.
type Terms struct {
	Budget uint64
	Fee    uint64
}

// TermsOf returns the terms of one task that may run for seconds at a price per task-hour; both parts are rounded up, so that what is paid
// (rounded down) never exceeds them.
func TermsOf(price, seconds uint64, feePart uint32) (Terms, error) {
	budget, err := escrowtypes.MulDivCeil(price, seconds, SecondsPerHour)
	if err != nil {
		return Terms{}, err
	}
	fee, err := PartUp(budget, feePart)
	return Terms{Budget: budget, Fee: fee}, err
}

// Times returns the terms of n such tasks.
func (t Terms) Times(n uint32) (Terms, error) {
	budget, err := escrowtypes.MulDiv(t.Budget, uint64(n), 1)
	if err != nil {
		return Terms{}, err
	}
	fee, err := escrowtypes.MulDiv(t.Fee, uint64(n), 1)
	return Terms{Budget: budget, Fee: fee}, err
}

// Sum is the budget with the fee.
func (t Terms) Sum() (uint64, error) { return escrowtypes.AddChecked(t.Budget, t.Fee) }

// PartUp is ⌈amount · part/10000⌉.
func PartUp(amount uint64, part uint32) (uint64, error) {
	return escrowtypes.MulDivCeil(amount, uint64(part), BasisPoints)
}

// PartDown is ⌊amount · part/10000⌋.
func PartDown(amount uint64, part uint32) (uint64, error) {
	return escrowtypes.MulDiv(amount, uint64(part), BasisPoints)
}

// Pay is what n tasks of ms milliseconds each earn at a price per task-hour: ⌊n · ms · price / 3600000⌋.
func Pay(n uint32, ms, price uint64) (uint64, error) {
	hi, all := bits.Mul64(uint64(n), ms)
	if hi != 0 {
		return 0, escrowtypes.ErrOverflow.Wrapf("%d tasks · %d ms", n, ms)
	}
	return escrowtypes.MulDiv(all, price, MillisPerHour)
}

// Afford returns for how many seconds, at most maxSeconds, a task can run at a price within an amount that includes the fee,
// and the terms of that, which together never exceed the amount.
func Afford(amount, price, maxSeconds uint64, feePart uint32) (uint64, Terms, error) {
	budget, err := escrowtypes.MulDiv(amount, BasisPoints, BasisPoints+uint64(feePart))
	if err != nil {
		return 0, Terms{}, err
	}
	seconds := maxSeconds
	if most, err := escrowtypes.MulDiv(budget, SecondsPerHour, price); err == nil && most < seconds {
		seconds = most
	}
	terms, err := TermsOf(price, seconds, feePart)
	return seconds, terms, err
}

// Within returns the terms, or the largest ones whose sum an amount covers if that is less.
func (t Terms) Within(amount uint64, feePart uint32) (Terms, error) {
	if sum, err := t.Sum(); err == nil && sum <= amount {
		return t, nil
	}
	budget, err := escrowtypes.MulDiv(amount, BasisPoints, BasisPoints+uint64(feePart))
	if err != nil {
		return Terms{}, err
	}
	budget = min(budget, t.Budget)
	fee, err := PartUp(budget, feePart)
	return Terms{Budget: budget, Fee: min(fee, amount-budget)}, err
}
