package match

import (
	"math/big"
	"math/bits"
)

// features of a node that its prior is regressed on, within owner and class: the logarithms to base 2 of the price of
// the typical task and of the speed that it delivers, in Q10.
type features [2]int32

const featureBits = 10

// featuresOf reads them from what a node shows and its aged counts.
func featuresOf(n *Node, s Stats) features {
	price, ok := TaskHourPrice(n.Prices, Resources{
		CPUMilli: typical[colCPU], MemoryMiB: typical[colMemory], StorageMiB: typical[colStorage],
	})
	if !ok {
		price = ^uint64(0)
	}
	return features{log2(max(price, 1)), log2(max(mulDiv(min(n.CPUSingle, 1<<40), s.delivered(), One), 1))}
}

// log2 of a number above zero, in Q10, rounded down: the binary digits of the fraction come by squaring.
func log2(v uint64) int32 {
	whole := bits.Len64(v) - 1
	out := int32(whole) << featureBits
	x := v << (63 - whole) // in [1, 2) as Q63
	for bit := int32(1) << (featureBits - 1); bit > 0; bit >>= 1 {
		hi, _ := bits.Mul64(x, x) // in [1, 4) as Q62
		digit := hi >> 63
		out |= bit & -int32(digit) // without a branch: the digits are not to be predicted
		x = hi << (1 - digit)
	}
	return out
}

// slopes are the changes of the chance of success in Q32 by an octave of each feature.
type slopes [2]int64

// at is the change of the chance by a difference of features.
func (s slopes) at(x, from features) int64 {
	return s[0]*int64(x[0]-from[0])>>featureBits + s[1]*int64(x[1]-from[1])>>featureBits
}

// centre sums features with weights.
type centre struct {
	weight uint64 // outcomes, Q16
	sums   [2]int64
}

func (c *centre) add(weight uint64, x features) {
	c.weight += weight
	for i := range x {
		c.sums[i] += int64(weight>>8) * int64(x[i])
	}
}

// mean is the weighted mean, drawn towards another with a weight.
func (c *centre) mean(towards features, weight uint64) features {
	total := int64((c.weight + weight) >> 8)
	if total == 0 {
		return towards
	}
	var out features
	for i := range out {
		out[i] = int32((c.sums[i] + int64(weight>>8)*int64(towards[i])) / total)
	}
	return out
}

// normal are the sums of a weighted regression of deviations p − p̄ on deviations x − x̄.
type normal struct {
	xx [3]int64 // 00, 01, 11; Q20 of octaves² times Q8 of outcomes
	xp [2]int64 // Q24 of octaves times Q8 of outcomes
}

// add takes a node's deviations in: p in Q32.
func (n *normal) add(weight uint64, x, centre features, p int64) {
	w := int64(weight >> 8)
	a, b, dp := int64(x[0]-centre[0]), int64(x[1]-centre[1]), p>>18
	n.xx[0] += w * a * a
	n.xx[1] += w * a * b
	n.xx[2] += w * b * b
	n.xp[0] += w * a * dp
	n.xp[1] += w * b * dp
}

// ridge is the evidence against a slope, in outcomes at a distance of one octave.
const ridge = 20

// solve returns the slopes of least squares, drawn to zero by the ridge and held to half of the unit interval an octave.
func (n *normal) solve() slopes {
	const r = ridge << (2*featureBits + 8)
	a, b, c := big.NewInt(n.xx[0]), big.NewInt(n.xx[1]), big.NewInt(n.xx[2])
	a.Add(a, big.NewInt(r))
	c.Add(c, big.NewInt(r))
	d, e := big.NewInt(n.xp[0]), big.NewInt(n.xp[1])
	product := func(x, y *big.Int) *big.Int { return new(big.Int).Mul(x, y) }
	det := product(a, c)
	det.Sub(det, product(b, b)) // above zero: the ridge makes the matrix positive definite
	var out slopes
	for i, numerator := range [...]*big.Int{
		new(big.Int).Sub(product(c, d), product(b, e)), new(big.Int).Sub(product(a, e), product(b, d)),
	} {
		numerator.Lsh(numerator, 32+2*featureBits-featureBits-14) // from Q14 of p and Q10 of x to Q32 an octave
		numerator.Quo(numerator, det)
		out[i] = oneP / 2
		if numerator.IsInt64() {
			out[i] = min(max(numerator.Int64(), -oneP/2), oneP/2)
		} else if numerator.Sign() < 0 {
			out[i] = -oneP / 2
		}
	}
	return out
}
