package pricing

import "math"

// The prior of the logit of demand f over x = ln(price): a line that falls, with wide normal uncertainty of its level and slope, and a
// squared-exponential process around it.
const (
	levelMean, levelSigma = -0.5, 2.0
	slopeMean, slopeSigma = -3.0, 1.5
	bendSigma, bendLength = 0.8, 0.5
	jitter                = 1e-3
	maxNewton             = 50
	newtonTolerance       = 1e-4
)

// curve is the posterior of f on a grid.
type curve struct {
	n         int
	mean      []float64 // of the prior
	precision []float64 // of the prior, n×n
	mode      []float64
	factor    []float64 // Cholesky factor of the posterior's precision, lower, n×n
	scratch   []float64
}

func newCurve(x []float64) curve {
	n := len(x)
	c := curve{
		n: n, mean: make([]float64, n), mode: make([]float64, n), precision: make([]float64, n*n), factor: make([]float64, n*n),
		scratch: make([]float64, n),
	}
	// The level is that in the middle of the range.
	middle := (x[0] + x[n-1]) / 2
	covariance := make([]float64, n*n)
	for i := range n {
		c.mean[i] = levelMean + slopeMean*(x[i]-middle)
		for j := range n {
			d := (x[i] - x[j]) / bendLength
			covariance[i*n+j] = levelSigma*levelSigma + slopeSigma*slopeSigma*(x[i]-middle)*(x[j]-middle) + bendSigma*bendSigma*math.Exp(-d*d/2)
		}
		covariance[i*n+i] += jitter
	}
	copy(c.mode, c.mean)
	factor := make([]float64, n*n)
	cholesky(factor, covariance, n)
	column := make([]float64, n)
	for j := range n {
		for i := range column {
			column[i] = 0
		}
		column[j] = 1
		forward(factor, column, n)
		backward(factor, column, n)
		for i, v := range column {
			c.precision[i*n+j] = v
		}
	}
	return c
}

// fit finds the mode of the posterior by Newton's method, from the last one, and the factor of its precision there.
func (c *curve) fit(counts []Count) {
	n := c.n
	right := make([]float64, n)
	matrix := make([]float64, n*n)
	for range maxNewton {
		copy(matrix, c.precision)
		for i := range n {
			p := logistic(c.mode[i])
			w := counts[i].Offers * p * (1 - p)
			matrix[i*n+i] += w
			right[i] = w*c.mode[i] + counts[i].Accepted - counts[i].Offers*p
			for j := range n {
				right[i] += c.precision[i*n+j] * c.mean[j]
			}
		}
		cholesky(c.factor, matrix, n)
		forward(c.factor, right, n)
		backward(c.factor, right, n)
		// A step of more than 2 in the logit leaves the part where the quadratic is any good.
		largest := 0.0
		for i, v := range right {
			largest = max(largest, math.Abs(v-c.mode[i]))
		}
		part := min(1, 2/max(largest, 2))
		for i, v := range right {
			c.mode[i] += part * (v - c.mode[i])
		}
		if largest < newtonTolerance {
			return
		}
	}
}

// draw returns a curve of the posterior with its deviations scaled, made to fall where it rises: a lower price never sells less.
func (c *curve) draw(source Source, scale float64) []float64 {
	for i := range c.scratch {
		c.scratch[i] = normal(source) * scale
	}
	backward(c.factor, c.scratch, c.n)
	for i := range c.scratch {
		c.scratch[i] += c.mode[i]
		if i > 0 {
			c.scratch[i] = min(c.scratch[i], c.scratch[i-1])
		}
	}
	return c.scratch
}

// deviations are the posterior's standard deviations.
func (c *curve) deviations() []float64 {
	out, column := make([]float64, c.n), make([]float64, c.n)
	for j := range out {
		for i := range column {
			column[i] = 0
		}
		column[j] = 1
		forward(c.factor, column, c.n)
		for _, v := range column {
			out[j] += v * v
		}
		out[j] = math.Sqrt(out[j])
	}
	return out
}

// cholesky sets lower to the factor of the symmetric positive definite a.
func cholesky(lower, a []float64, n int) {
	for i := range n {
		for j := range i + 1 {
			sum := a[i*n+j]
			for k := range j {
				sum -= lower[i*n+k] * lower[j*n+k]
			}
			if i == j {
				lower[i*n+i] = math.Sqrt(max(sum, 1e-12))
			} else {
				lower[i*n+j] = sum / lower[j*n+j]
			}
		}
	}
}

// forward solves lower·x = b in place.
func forward(lower, b []float64, n int) {
	for i := range n {
		for k := range i {
			b[i] -= lower[i*n+k] * b[k]
		}
		b[i] /= lower[i*n+i]
	}
}

// backward solves lowerᵀ·x = b in place.
func backward(lower, b []float64, n int) {
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			b[i] -= lower[k*n+i] * b[k]
		}
		b[i] /= lower[i*n+i]
	}
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func uniform(s Source) float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// normal is a standard normal number (Box and Muller).
func normal(s Source) float64 {
	u, v := 1-uniform(s), uniform(s)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
