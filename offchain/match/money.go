package match

import "math/bits"

const (
	milliPerCPU    = 1000
	mibPerGiB      = 1024
	priceUnit      = milliPerCPU * mibPerGiB / 8 // least common multiple of the two
	secondsPerHour = 3600
	basisPoints    = 10_000
)

// TaskHourPrice is ⌊Σ amount · price⌋ in ufog, rounded down once; ok is false if it does not fit in 64 bits.
// It is the same number as nodestypes.TaskHourPrice.
func TaskHourPrice(p Prices, r Resources) (price uint64, ok bool) {
	var hi, lo uint64 // the sum in units of 1/priceUnit ufog
	for _, t := range [...]struct{ amount, price, weight uint64 }{
		{r.CPUMilli, p.CPU, priceUnit / milliPerCPU},
		{r.MemoryMiB, p.Memory, priceUnit / mibPerGiB},
		{r.StorageMiB, p.Storage, priceUnit / mibPerGiB},
		{r.GPUs, p.GPU, priceUnit},
	} {
		termHi, termLo := bits.Mul64(t.amount, t.price)
		over, weighedHi := bits.Mul64(termHi, t.weight)
		up, weighedLo := bits.Mul64(termLo, t.weight)
		weighedHi, carry := bits.Add64(weighedHi, up, 0)
		if over != 0 || carry != 0 {
			return 0, false
		}
		lo, carry = bits.Add64(lo, weighedLo, 0)
		if hi, carry = bits.Add64(hi, weighedHi, carry); carry != 0 {
			return 0, false
		}
	}
	if hi >= priceUnit {
		return 0, false
	}
	price, _ = bits.Div64(hi, lo, priceUnit)
	return price, true
}

// mulDivUp is ⌈a·b/c⌉; ok is false if it does not fit in 64 bits. c is a constant above zero.
func mulDivUp(a, b, c uint64) (quo uint64, ok bool) {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return 0, false
	}
	quo, rem := bits.Div64(hi, lo, c)
	if rem != 0 {
		quo++
	}
	return quo, quo != 0 || rem == 0
}

// terms are the money of one task at a price.
type terms struct {
	need       uint64 // budget and fee, from the job
	collateral uint64 // from the provider
}

func (p Params) terms(price, seconds uint64) (terms, bool) {
	budget, ok := mulDivUp(price, seconds, secondsPerHour)
	if !ok {
		return terms{}, false
	}
	fee, ok := mulDivUp(budget, uint64(p.Fee), basisPoints)
	if !ok {
		return terms{}, false
	}
	need, carry := bits.Add64(budget, fee, 0)
	if carry != 0 {
		return terms{}, false
	}
	collateral, ok := mulDivUp(budget, uint64(p.Collateral), basisPoints)
	return terms{need: need, collateral: collateral}, ok
}

// termsOf is the money of one task of p at a price.
func (p Params) termsOf(price uint64, task *Pending) (terms, bool) {
	t, ok := p.terms(price, task.MaxDuration)
	if !ok || !task.Service {
		return t, ok
	}
	long, ok := p.terms(price, p.ServiceCollateral)
	t.collateral = long.collateral
	return t, ok
}

// cost is the expected cost of getting a task done, price over speed: a task takes time in inverse proportion to the
// speed of the core. Costs are compared as exact fractions.
type cost struct{ price, speed uint64 }

// compare is -1, 0 or 1 as a is lower than, equal to or higher than b.
func (a cost) compare(b cost) int {
	leftHi, leftLo := bits.Mul64(a.price, b.speed)
	rightHi, rightLo := bits.Mul64(b.price, a.speed)
	switch {
	case leftHi != rightHi:
		return order(leftHi < rightHi)
	case leftLo != rightLo:
		return order(leftLo < rightLo)
	default:
		return 0
	}
}

func order(less bool) int {
	if less {
		return -1
	}
	return 1
}
