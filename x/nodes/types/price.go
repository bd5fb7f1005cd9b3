package types

import (
	"math/bits"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// Units of resources in which prices are given.
const (
	milliPerCPU = 1000
	mibPerGib   = 1024
	// priceUnit is the common denominator of a thousandth and a 1024th.
	priceUnit = milliPerCPU * mibPerGib / 8
)

// TaskHourPrice is what resources cost for one hour in ufog: ⌊Σ amount · price⌋, rounded down once, in 128-bit arithmetic; ErrOverflow if it does not
// fit in 64 bits.
func TaskHourPrice(p Prices, r Resources) (uint64, error) {
	var hi, lo uint64 // the sum in units of 1/priceUnit ufog
	for _, t := range [...]struct{ amount, price, weight uint64 }{
		{r.CpuMilli, p.Cpu, priceUnit / milliPerCPU},
		{r.MemoryMib, p.Memory, priceUnit / mibPerGib},
		{r.StorageMib, p.Storage, priceUnit / mibPerGib},
		{r.Gpus, p.Gpu, priceUnit},
	} {
		termHi, termLo := bits.Mul64(t.amount, t.price)
		over, weighedHi := bits.Mul64(termHi, t.weight)
		carryHi, weighedLo := bits.Mul64(termLo, t.weight)
		weighedHi, carry := bits.Add64(weighedHi, carryHi, 0)
		if over != 0 || carry != 0 {
			return 0, escrowtypes.ErrOverflow.Wrap("price of a task-hour")
		}
		lo, carry = bits.Add64(lo, weighedLo, 0)
		if hi, carry = bits.Add64(hi, weighedHi, carry); carry != 0 {
			return 0, escrowtypes.ErrOverflow.Wrap("price of a task-hour")
		}
	}
	if hi >= priceUnit { // the quotient needs more than 64 bits
		return 0, escrowtypes.ErrOverflow.Wrap("price of a task-hour")
	}
	price, _ := bits.Div64(hi, lo, priceUnit)
	return price, nil
}
