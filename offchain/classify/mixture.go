package classify

import (
	"fmt"
	"math"
)

// Covariance is the shape of a mixture's covariance matrices.
type Covariance int

// Full: one matrix a component. Diagonal: variances only. Tied: one matrix for all.
const (
	Full Covariance = iota
	Diagonal
	Tied
)

var covarianceNames = [...]string{"full", "diag", "tied"}

// String is the name that ParseCovariance reads.
func (c Covariance) String() string {
	if c < 0 || int(c) >= len(covarianceNames) {
		return fmt.Sprintf("Covariance(%d)", int(c))
	}
	return covarianceNames[c]
}

// ParseCovariance reads full, diag or tied.
func ParseCovariance(s string) (Covariance, error) {
	for i, name := range covarianceNames {
		if s == name {
			return Covariance(i), nil
		}
	}
	return 0, fmt.Errorf("covariance %q is not known; it must be full, diag or tied", s)
}

// Mixture is a density over rows: Σ weight·N(x; mean, covariance)·Π probability of the row's categories. Categories are independent of each
// other and of the numbers, given the component.
type Mixture struct {
	Covariance  Covariance
	K, Dim      int
	Weights     []float64           // K, sum to 1
	Means       []float64           // K·Dim
	Covariances []float64           // packed by rows of the lower triangle: K matrices if full, one if tied; K·Dim variances if diagonal
	Categories  []CategoryParameter // one a categorical column
}

// CategoryParameter is the distribution of a categorical column in each component.
type CategoryParameter struct {
	Name   string
	Levels []string
	P      []float64 // K·len(Levels)
}

// Validate tells what is wrong with the parameters.
func (m *Mixture) Validate() error {
	if m.K < 1 || m.K > MaxK || m.Dim < 1 || m.Dim > MaxDim {
		return fmt.Errorf("a mixture of %d components in %d dimensions; allowed are 1 to %d in 1 to %d", m.K, m.Dim, MaxK, MaxDim)
	}
	if m.Covariance < Full || m.Covariance > Tied {
		return fmt.Errorf("%v is not a shape of covariances", m.Covariance)
	}
	if len(m.Weights) != m.K || len(m.Means) != m.K*m.Dim || len(m.Covariances) != m.covarianceLen() {
		return fmt.Errorf("%d weights, %d means and %d covariances do not make %d components in %d dimensions",
			len(m.Weights), len(m.Means), len(m.Covariances), m.K, m.Dim)
	}
	var total float64
	for _, w := range m.Weights {
		if !(w >= 0) {
			return fmt.Errorf("a component has weight %g; it must be 0 or more", w)
		}
		total += w
	}
	if !(math.Abs(total-1) < 1e-6) {
		return fmt.Errorf("the weights sum to %g, not to 1", total)
	}
	for _, v := range m.Means {
		if !(math.Abs(v) <= 1e150) {
			return fmt.Errorf("a mean is %g; the largest size allowed is 1e150", v)
		}
	}
	for _, c := range m.Categories {
		if len(c.Levels) < 1 || len(c.Levels) > MaxLevels || len(c.P) != m.K*len(c.Levels) {
			return fmt.Errorf("category %q has %d probabilities for %d levels in %d components", c.Name, len(c.P), len(c.Levels), m.K)
		}
		for _, p := range c.P {
			if !(p > 0 && p <= 1) {
				return fmt.Errorf("category %q has a probability %g; it must be above 0 and at most 1", c.Name, p)
			}
		}
	}
	if newKernel(m) == nil {
		return fmt.Errorf("a covariance is not positive definite; fit the mixture anew")
	}
	return nil
}

// size is the number of values in one packed covariance.
func (m *Mixture) size() int {
	if m.Covariance == Diagonal {
		return m.Dim
	}
	return packedLen(m.Dim)
}

func (m *Mixture) covarianceLen() int {
	if m.Covariance == Tied {
		return m.size()
	}
	return m.K * m.size()
}

// covariance is the packed matrix, or the variances, of component c.
func (m *Mixture) covariance(c int) []float64 {
	if m.Covariance == Tied {
		c = 0
	}
	return m.Covariances[c*m.size() : (c+1)*m.size()]
}

func (m *Mixture) mean(c int) []float64 { return m.Means[c*m.Dim : (c+1)*m.Dim] }

// Variance of column j in component c.
func (m *Mixture) Variance(c, j int) float64 {
	if m.Covariance == Diagonal {
		return m.covariance(c)[j]
	}
	return m.covariance(c)[packedAt(j, j)]
}

// Parameters is the number of free parameters, categorical ones included.
func (m *Mixture) Parameters() int { return m.parameters(m.Dim) }

// parameters are those of a mixture like m in dim dimensions.
func (m *Mixture) parameters(dim int) int {
	like := Mixture{Covariance: m.Covariance, K: m.K, Dim: dim}
	n := m.K - 1 + m.K*dim + like.covarianceLen()
	for _, c := range m.Categories {
		n += m.K * (len(c.Levels) - 1)
	}
	return n
}

// Clone is a deep copy.
func (m *Mixture) Clone() *Mixture {
	c := *m
	c.Weights = append([]float64(nil), m.Weights...)
	c.Means = append([]float64(nil), m.Means...)
	c.Covariances = append([]float64(nil), m.Covariances...)
	c.Categories = append([]CategoryParameter(nil), m.Categories...)
	for i := range c.Categories {
		c.Categories[i].P = append([]float64(nil), m.Categories[i].P...)
	}
	return &c
}

// fits tells whether the rows of d are of the kind that the mixture describes.
func (m *Mixture) fits(d *Data) error {
	if d.Dim != m.Dim {
		return fmt.Errorf("the rows have %d columns and the model %d; give the columns that it was fitted on", d.Dim, m.Dim)
	}
	if len(d.Categories) != len(m.Categories) {
		return fmt.Errorf("the rows have %d categories and the model %d; give the columns that it was fitted on", len(d.Categories), len(m.Categories))
	}
	for i, c := range d.Categories {
		if len(c.Levels) != len(m.Categories[i].Levels) {
			return fmt.Errorf("category %q has %d levels and the model's %q has %d; number them as it does", c.Name, len(c.Levels),
				m.Categories[i].Name, len(m.Categories[i].Levels))
		}
	}
	return nil
}
