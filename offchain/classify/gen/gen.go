// Package gen makes the data sets on which the classifier is measured. They are defined to the bit, and known by their SHA-256.
package gen

import "math"

// Set is a table of rows with the component that each was drawn from.
type Set struct {
	X      []float64 // row-major, Dim values a row
	Labels []int
	Dim    int
}

// source is splitmix64, written out here so that the data do not change with the classifier.
type source uint64

func (s *source) uniform() float64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) * 0x1p-53
}

// normal is the cosine half of Box and Muller's pair; the other half is not kept.
func (s *source) normal() float64 {
	u1, u2 := s.uniform(), s.uniform()
	return math.Sqrt(-2*math.Log(1-u1)) * math.Cos(2*math.Pi*u2)
}

// A is n rows around k centres in dim dimensions, uniform in [-10, 10), that take turns; the spread is the unit normal.
func A(n, k, dim int, seed uint64) Set {
	s := source(seed)
	centres := make([]float64, k*dim)
	for i := range centres {
		centres[i] = -10 + 20*s.uniform()
	}
	set := Set{X: make([]float64, n*dim), Labels: make([]int, n), Dim: dim}
	for i := range n {
		c := i % k
		set.Labels[i] = c
		for j := range dim {
			set.X[i*dim+j] = centres[c*dim+j] + s.normal()
		}
	}
	return set
}

// B is n rows of a mixture of k normals in dim dimensions with centres uniform in [-4, 4), covariances LLᵀ and weights that rise as 1…k; L is
// lower triangular, 0.6 times a unit normal off the diagonal and uniform in [0.5, 2) on it.
func B(n, k, dim int, seed uint64) Set {
	s := source(seed)
	centres := make([]float64, k*dim)
	for i := range centres {
		centres[i] = -4 + 8*s.uniform()
	}
	factors := make([]float64, k*dim*dim)
	for c := range k {
		for i := range dim {
			for j := range i + 1 {
				f := &factors[(c*dim+i)*dim+j]
				if i == j {
					*f = 0.5 + 1.5*s.uniform()
				} else {
					*f = 0.6 * s.normal()
				}
			}
		}
	}
	set := Set{X: make([]float64, n*dim), Labels: make([]int, n), Dim: dim}
	z := make([]float64, dim)
	total := float64(k*(k+1)) / 2
	for i := range n {
		u, c, sum := s.uniform(), 0, 1/total
		for u >= sum && c < k-1 {
			c++
			sum += float64(c+1) / total
		}
		set.Labels[i] = c
		for j := range z {
			z[j] = s.normal()
		}
		for r := range dim {
			x := centres[c*dim+r]
			for j := range r + 1 {
				x += factors[(c*dim+r)*dim+j] * z[j]
			}
			set.X[i*dim+r] = x
		}
	}
	return set
}
