package classify

import (
	"fmt"
	"math"
	"strconv"
)

// Limits of what is fitted.
const (
	MaxDim    = 256
	MaxK      = 4096
	MaxLevels = 1024
)

// Data is a table of Rows rows: Dim numbers each, and one value of each categorical column.
type Data struct {
	Rows, Dim  int
	X          []float64 // row-major; NaN is a missing value
	Categories []Category
}

// Category is a categorical column: of each row a level below Levels, or -1 where it is missing.
type Category struct {
	Name   string
	Levels []string
	Values []int32
}

// Validate tells what is wrong with the table.
func (d *Data) Validate() error {
	if d.Rows < 1 {
		return fmt.Errorf("there are no rows; give at least one")
	}
	if d.Dim < 1 || d.Dim > MaxDim {
		return fmt.Errorf("there are %d columns of numbers; give 1 to %d", d.Dim, MaxDim)
	}
	if len(d.X) != d.Rows*d.Dim {
		return fmt.Errorf("%d rows of %d columns need %d values, not %d", d.Rows, d.Dim, d.Rows*d.Dim, len(d.X))
	}
	for i, x := range d.X {
		if math.Abs(x) > 1e150 {
			return fmt.Errorf("row %d, column %d holds %g; the largest size allowed is 1e150", i/d.Dim+1, i%d.Dim+1, x)
		}
	}
	for _, c := range d.Categories {
		if len(c.Levels) < 1 || len(c.Levels) > MaxLevels {
			return fmt.Errorf("category %q has %d levels; give 1 to %d", c.Name, len(c.Levels), MaxLevels)
		}
		if len(c.Values) != d.Rows {
			return fmt.Errorf("category %q has %d values for %d rows", c.Name, len(c.Values), d.Rows)
		}
		for i, v := range c.Values {
			if v < -1 || int(v) >= len(c.Levels) {
				return fmt.Errorf("row %d of category %q holds level %d; it must be -1 (missing) to %d", i+1, c.Name, v, len(c.Levels)-1)
			}
		}
	}
	return nil
}

// row is the numbers of row i.
func (d *Data) row(i int) []float64 { return d.X[i*d.Dim : (i+1)*d.Dim : (i+1)*d.Dim] }

// sample is n rows, one drawn from each of n equal stretches of the table, in their order. Of n ≥ Rows it is the table itself.
func (d *Data) sample(n int, src Source) *Data {
	if n >= d.Rows {
		return d
	}
	s := &Data{Rows: n, Dim: d.Dim, X: make([]float64, 0, n*d.Dim)}
	for _, c := range d.Categories {
		s.Categories = append(s.Categories, Category{c.Name, c.Levels, make([]int32, 0, n)})
	}
	for i := range n {
		from, to := int(int64(i)*int64(d.Rows)/int64(n)), int(int64(i+1)*int64(d.Rows)/int64(n))
		at := from + below(src, to-from)
		s.X = append(s.X, d.row(at)...)
		for c := range s.Categories {
			s.Categories[c].Values = append(s.Categories[c].Values, d.Categories[c].Values[at])
		}
	}
	return s
}

// moments are, of each column, the mean and the variance of the values that are there and their number; the variance of a constant is 0.
func (d *Data) moments() (mean, variance []float64, present []int) {
	cut := divide(d.Rows)
	dim := d.Dim
	sums := make([]float64, cut.count*dim)
	counts := make([]int, cut.count*dim)
	cut.each(func(chunk, from, to int) {
		s, n := sums[chunk*dim:(chunk+1)*dim], counts[chunk*dim:(chunk+1)*dim]
		for i := from; i < to; i++ {
			for j, x := range d.row(i) {
				if x == x {
					s[j] += x
					n[j]++
				}
			}
		}
	})
	mean, variance, present = make([]float64, dim), make([]float64, dim), make([]int, dim)
	for chunk := range cut.count {
		for j := range dim {
			mean[j] += sums[chunk*dim+j]
			present[j] += counts[chunk*dim+j]
		}
	}
	for j := range dim {
		if present[j] > 0 {
			mean[j] /= float64(present[j])
		}
	}
	clear(sums)
	cut.each(func(chunk, from, to int) {
		s := sums[chunk*dim : (chunk+1)*dim]
		for i := from; i < to; i++ {
			for j, x := range d.row(i) {
				if x == x {
					r := x - mean[j]
					s[j] += float64(r * r)
				}
			}
		}
	})
	for chunk := range cut.count {
		for j := range dim {
			variance[j] += sums[chunk*dim+j]
		}
	}
	for j := range dim {
		if present[j] > 0 {
			variance[j] /= float64(present[j])
		}
	}
	return mean, variance, present
}

// checkK tells whether rows can be put into k classes.
func checkK(k, rows int) error {
	if k < 1 || k > MaxK || k > rows {
		return fmt.Errorf("%s classes of %d rows: ask for 1 to %d", strconv.Itoa(k), rows, min(MaxK, rows))
	}
	return nil
}
