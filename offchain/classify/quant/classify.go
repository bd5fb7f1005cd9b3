package quant

import (
	"fmt"
	"math"
)

// Result is where a row belongs.
type Result struct {
	Class  uint32 // the id of the component of the highest score, of equals the first
	Index  int    // of that component
	Score  int64  // its weighted log density, Q32 nats
	Margin int64  // by which the score is above the next one's; math.MaxInt64 if there is none
}

// Scale is the scaled row in Q24, with Missing where a value is missing.
func (m *Model) Scale(values []int64) ([]int64, error) {
	if len(values) != len(m.Features) {
		return nil, fmt.Errorf("the row has %d values and the model %d features", len(values), len(m.Features))
	}
	z := make([]int64, len(values))
	for i := range values {
		z[i] = m.Features[i].scale(values[i])
	}
	return z, nil
}

func (f *Feature) scale(v int64) int64 {
	if v == Missing {
		return Missing
	}
	if f.Log {
		v = log2Q32(uint64(max(0, v))+uint64(f.Unit)) - log2Q32(uint64(f.Unit))
	}
	return clamp(mulShift(subSat(v, f.Center), f.Scale, uint(f.Shift)), Clip)
}

func subSat(a, b int64) int64 {
	if b == math.MinInt64 {
		return addSat(addSat(a, math.MaxInt64), 1)
	}
	return addSat(a, -b)
}

// Classify finds the class of a row: a value of each feature and a level of each category.
func (m *Model) Classify(values []int64, levels []int) (Result, error) {
	z, err := m.Scale(values)
	if err != nil {
		return Result{}, err
	}
	if len(levels) != len(m.Categories) {
		return Result{}, fmt.Errorf("the row has %d levels and the model %d categories", len(levels), len(m.Categories))
	}
	for i, v := range levels {
		if v >= len(m.Categories[i].Levels) {
			return Result{}, fmt.Errorf("category %q has no level %d; it has %d", m.Categories[i].Name, v, len(m.Categories[i].Levels))
		}
	}
	missing := false
	for _, v := range z {
		missing = missing || v == Missing
	}
	r := Result{Index: -1, Margin: math.MaxInt64}
	var second int64
	for i := range m.Components {
		c := &m.Components[i]
		score := c.Constant
		if missing {
			score = addSat(score, c.marginal(z))
		} else {
			score -= c.halfDistance(z)
		}
		for j, v := range levels {
			if v >= 0 {
				score = addSat(score, c.LogP[j][v])
			}
		}
		switch {
		case r.Index < 0:
			r.Index, r.Class, r.Score, second = i, c.ID, score, math.MinInt64
		case score > r.Score:
			r.Index, r.Class, r.Score, second = i, c.ID, score, r.Score
		case score > second:
			second = score
		}
	}
	if len(m.Components) > 1 {
		r.Margin = subSat(r.Score, second)
	}
	return r, nil
}

// Bits of the deviations, and of what the factor makes of them, in halfDistance: with 32 features of at most 12 units and factors of at most 1024, sums of products stay below
// 2^63; a deviation of over 256 standard ones counts as that.
const (
	deviationBits = 20
	maxStandard   = 256 << deviationBits
)

// halfDistance is half the squared Mahalanobis distance in Q32.
func (c *Component) halfDistance(z []int64) int64 {
	var q int64
	at := 0
	for i := range z {
		var sum int64
		for j, f := range c.Factor[at : at+i+1] {
			sum += f * ((z[j] - c.Mean[j]) >> (ScaledBits - deviationBits))
		}
		at += i + 1
		y := clamp(sum>>FactorBits, maxStandard)
		q += y * y
	}
	return q >> (2*deviationBits - ScoreBits + 1)
}

// marginal is what stands in place of -halfDistance where values are missing: they are integrated out, one after another, of the
// precision matrix, which leaves its Schur complement and gains ½ log 2π - ½ log of the pivot.
func (c *Component) marginal(z []int64) int64 {
	d := len(z)
	p := make([]int64, d*d) // Q24
	for i := range d {
		for j := range i + 1 {
			var sum int64
			for r := i; r < d; r++ {
				row := r * (r + 1) / 2
				sum = addSat(sum, mulShift(c.Factor[row+i], c.Factor[row+j], FactorBits))
			}
			p[i*d+j], p[j*d+i] = sum, sum
		}
	}
	var gain int64
	for m := range d {
		if z[m] != Missing {
			continue
		}
		pivot := max(1, p[m*d+m])
		gain = addSat(gain, halfLogTau-lnQ32(uint64(pivot), FactorBits)/2)
		for i := range d {
			for j := range d {
				if i != m && j != m {
					p[i*d+j] = subSat(p[i*d+j], mulDiv(p[i*d+m], p[m*d+j], pivot))
				}
			}
		}
		for i := range d {
			p[i*d+m], p[m*d+i] = 0, 0
		}
	}
	var q int64 // Q24
	for i := range d {
		if z[i] == Missing {
			continue
		}
		var sum int64
		for j := range d {
			if z[j] != Missing {
				sum = addSat(sum, mulShift(p[i*d+j], z[j]-c.Mean[j], ScaledBits))
			}
		}
		q = addSat(q, mulShift(sum, z[i]-c.Mean[i], ScaledBits))
	}
	return subSat(gain, mulShift(max(0, q), 1<<(ScoreBits-ScaledBits-1), 0))
}
