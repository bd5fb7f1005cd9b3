package classify

import (
	"math"

	"pgregory.net/rapid"
)

// cloud is rows around k centres, made of sums and exact products only, so that it is the same on every machine.
func cloud(rows, dim, k int, seed uint64) (*Data, []int) {
	src := SplitMix64(seed)
	normal := func() float64 {
		var s float64
		for range 12 {
			s += uniform(&src)
		}
		return s - 6
	}
	centres := make([]float64, k*dim)
	for i := range centres {
		centres[i] = 16*uniform(&src) - 8
	}
	d := &Data{Rows: rows, Dim: dim, X: make([]float64, rows*dim)}
	truth := make([]int, rows)
	for i := range rows {
		c := below(&src, k)
		truth[i] = c
		shared := normal()
		for j := range dim {
			d.X[i*dim+j] = centres[c*dim+j] + normal() + float64(shared*float64((c+j)%3-1))
		}
	}
	return d, truth
}

// withHoles leaves out about one value in every n, and adds a category that tells something of the truth.
func withHoles(d *Data, truth []int, n int, seed uint64) *Data {
	src := SplitMix64(seed)
	out := &Data{Rows: d.Rows, Dim: d.Dim, X: append([]float64(nil), d.X...)}
	for i := range out.X {
		if below(&src, n) == 0 {
			out.X[i] = math.NaN()
		}
	}
	c := Category{Name: "kind", Levels: []string{"a", "b", "c"}}
	for _, t := range truth {
		v := int32(t % 3)
		switch below(&src, 6) {
		case 0:
			v = int32(below(&src, 3))
		case 1:
			v = -1
		}
		c.Values = append(c.Values, v)
	}
	out.Categories = []Category{c}
	return out
}

// drawData is a small table of any kind: lattices with ties and duplicates, constants, holes.
func drawData(t *rapid.T, holes bool) *Data {
	rows, dim := rapid.IntRange(1, 60).Draw(t, "rows"), rapid.SampledFrom([]int{1, 2, 3, 8}).Draw(t, "dim")
	value := rapid.Custom(func(t *rapid.T) float64 {
		if holes && rapid.IntRange(0, 9).Draw(t, "hole") == 0 {
			return math.NaN()
		}
		if rapid.Bool().Draw(t, "lattice") {
			return float64(rapid.IntRange(-3, 3).Draw(t, "x"))
		}
		return rapid.Float64Range(-100, 100).Draw(t, "x")
	})
	return &Data{Rows: rows, Dim: dim, X: rapid.SliceOfN(value, rows*dim, rows*dim).Draw(t, "values")}
}

// permuted is the rows in another order, and where each went.
func permuted(d *Data, seed uint64) (*Data, []int) {
	src := SplitMix64(seed)
	at := make([]int, d.Rows)
	for i := range at {
		at[i] = i
	}
	for i := len(at) - 1; i > 0; i-- {
		j := below(&src, i+1)
		at[i], at[j] = at[j], at[i]
	}
	out := &Data{Rows: d.Rows, Dim: d.Dim}
	for _, i := range at {
		out.X = append(out.X, d.row(i)...)
	}
	for _, c := range d.Categories {
		moved := Category{Name: c.Name, Levels: c.Levels}
		for _, i := range at {
			moved.Values = append(moved.Values, c.Values[i])
		}
		out.Categories = append(out.Categories, moved)
	}
	return out, at
}
