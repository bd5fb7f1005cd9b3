package classify

import (
	"math"
	"math/bits"
)

// seedCentres draws k rows as centres by greedy k-means++: each next one is the best of 2+⌊ln k⌋ candidates drawn with a chance in proportion to the squared
// distance from the centres so far (Arthur and Vassilvitskii, "k-means++", SODA 2007, section 6). x has no missing values.
func seedCentres(x []float64, dim, k int, src Source) []float64 {
	rows := len(x) / dim
	centres := make([]float64, 0, k*dim)
	first := below(src, rows)
	centres = append(centres, x[first*dim:(first+1)*dim]...)

	nearest := make([]float64, rows)
	for i := range nearest {
		nearest[i] = math.Inf(1)
	}
	total := lower(nearest, nearest, x, centres)
	tries := 2 + bits.Len(uint(k))*7/10 // ln 2 is about 7/10
	candidate, best := make([]float64, rows), make([]float64, rows)
	for c := 1; c < k; c++ {
		chosen, least := -1, math.Inf(1)
		for range tries {
			at := draw(nearest, total, src)
			if sum := lower(candidate, nearest, x, x[at*dim:(at+1)*dim]); sum < least || chosen < 0 {
				chosen, least = at, sum
				candidate, best = best, candidate
			}
		}
		centres = append(centres, x[chosen*dim:(chosen+1)*dim]...)
		nearest, best, total = best, nearest, least
	}
	return centres
}

// lower writes into to the lesser of from and the squared distance of each row from the centre, and returns the sum.
func lower(to, from, x, centre []float64) float64 {
	dim := len(centre)
	var total float64
	if dim == 8 {
		c := (*[8]float64)(centre)
		for i := range to {
			r := (*[8]float64)(x[i*8:])
			to[i] = min(from[i], distance8(r, c))
			total += to[i]
		}
		return total
	}
	for i := range to {
		to[i] = min(from[i], distance(x[i*dim:(i+1)*dim], centre))
		total += to[i]
	}
	return total
}

// draw picks an index with a chance in proportion to its weight; where all weights are 0, any.
func draw(weights []float64, total float64, src Source) int {
	if !(total > 0) {
		return below(src, len(weights))
	}
	at := float64(uniform(src) * total)
	last := 0
	var sum float64
	for i, w := range weights {
		if w > 0 {
			last = i
			if sum += w; sum > at {
				return i
			}
		}
	}
	return last
}

// distance is the squared Euclidean one.
func distance(a, b []float64) float64 {
	var sum float64
	b = b[:len(a)]
	for j, x := range a {
		r := x - b[j]
		sum += float64(r * r)
	}
	return sum
}

// distance8 is distance in eight dimensions, added up in pairs.
func distance8(a, b *[8]float64) float64 {
	r0, r1, r2, r3 := a[0]-b[0], a[1]-b[1], a[2]-b[2], a[3]-b[3]
	r4, r5, r6, r7 := a[4]-b[4], a[5]-b[5], a[6]-b[6], a[7]-b[7]
	return ((float64(r0*r0) + float64(r1*r1)) + (float64(r2*r2) + float64(r3*r3))) +
		((float64(r4*r4) + float64(r5*r5)) + (float64(r6*r6) + float64(r7*r7)))
}
