package classify

import (
	"fmt"
	"math"
	"slices"

	"github.com/foggrid/fogd/offchain/classify/quant"
)

// Feature says how a column is scaled.
type Feature struct {
	Name  string
	Log   bool    // by log1p of value/Unit, for what spans orders of magnitude; values are 0 or more
	Unit  int64   // what 1 is, of values that are counted in integers: 1 if 0. In Data values are counted in units already
	Floor float64 // least interquartile range after the transform, for columns that are nearly constant; above 0
}

// Scaled is a feature with its scaling: (t - Center)/Range, clipped at ±Clip, where t is the value or its log1p.
type Scaled struct {
	Feature
	Center, Range float64
}

// Clip is the largest size of a scaled value, and ScaledNoise the least deviation of a class that is fitted to scaled values: where many values
// are equal, as losses are, a class of just these would otherwise be worth more than any that means something.
const (
	Clip        = 4
	ScaledNoise = 0.1
)

// Scaler puts columns of different kinds on one scale, robustly: by median and interquartile range.
type Scaler []Scaled

func (f *Feature) transform(x float64) float64 {
	if f.Log {
		return log(1 + max(0, x))
	}
	return x
}

// FitScaler measures the columns of d. An error says which column cannot be scaled.
func FitScaler(d *Data, features []Feature) (Scaler, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if len(features) != d.Dim {
		return nil, fmt.Errorf("%d features are described and the rows have %d columns", len(features), d.Dim)
	}
	s := make(Scaler, d.Dim)
	column := make([]float64, 0, d.Rows)
	for j, f := range features {
		if !(f.Floor > 0) {
			return nil, fmt.Errorf("feature %q has floor %g; it must be above 0", f.Name, f.Floor)
		}
		if f.Unit < 0 {
			return nil, fmt.Errorf("feature %q has unit %d; it must be above 0", f.Name, f.Unit)
		}
		f.Unit = max(1, f.Unit)
		column = column[:0]
		for i := range d.Rows {
			x := d.X[i*d.Dim+j]
			if f.Log && x < 0 {
				return nil, fmt.Errorf("feature %q is on a logarithmic scale and row %d holds %g; it must be 0 or more", f.Name, i+1, x)
			}
			if x == x {
				column = append(column, f.transform(x))
			}
		}
		slices.Sort(column)
		s[j] = Scaled{Feature: f, Range: f.Floor}
		if len(column) > 0 {
			s[j].Center = quantile(column, 2)
			s[j].Range = max(f.Floor, quantile(column, 3)-quantile(column, 1))
		}
	}
	return s, nil
}

// quantile is the given quarter of sorted values, between two of them by the line through both.
func quantile(sorted []float64, quarters int) float64 {
	at := quarters * (len(sorted) - 1)
	i := at / 4
	if at%4 == 0 {
		return sorted[i]
	}
	part := float64(at%4) / 4
	return float64(sorted[i]*(1-part)) + float64(sorted[i+1]*part)
}

// Apply returns the scaled table; it shares the categories of d.
func (s Scaler) Apply(d *Data) (*Data, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if len(s) != d.Dim {
		return nil, fmt.Errorf("the scaler has %d columns and the rows %d; give the columns that it was fitted on", len(s), d.Dim)
	}
	out := &Data{Rows: d.Rows, Dim: d.Dim, X: make([]float64, len(d.X)), Categories: d.Categories}
	for i, x := range d.X {
		f := &s[i%d.Dim]
		if f.Log && x < 0 {
			return nil, fmt.Errorf("feature %q is on a logarithmic scale and row %d holds %g; it must be 0 or more", f.Name, i/d.Dim+1, x)
		}
		out.X[i] = math.NaN()
		if x == x {
			out.X[i] = max(-Clip, min(Clip, (f.transform(x)-f.Center)/f.Range))
		}
	}
	return out, nil
}

// Integers is a table as the chain holds it: counts of the features' units, quant.Missing where there is none.
type Integers struct {
	Rows, Dim  int
	Values     []int64
	Categories []Category
}

// Validate tells what is wrong with the table.
func (n *Integers) Validate() error {
	if len(n.Values) != n.Rows*n.Dim {
		return fmt.Errorf("%d rows of %d columns need %d values, not %d", n.Rows, n.Dim, n.Rows*n.Dim, len(n.Values))
	}
	return nil
}

// Data is the table in units of the features.
func (n *Integers) Data(features []Feature) (*Data, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	if len(features) != n.Dim {
		return nil, fmt.Errorf("%d features are described and the rows have %d columns", len(features), n.Dim)
	}
	d := &Data{Rows: n.Rows, Dim: n.Dim, X: make([]float64, len(n.Values)), Categories: n.Categories}
	for i, v := range n.Values {
		d.X[i] = math.NaN()
		if v != quant.Missing {
			d.X[i] = float64(v) / float64(max(1, features[i%n.Dim].Unit))
		}
	}
	return d, d.Validate()
}
