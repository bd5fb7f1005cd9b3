package classify

import "math"

// kernel is a mixture made ready to be evaluated. The quadratic form of component c is |W(x-mean)|² with W the inverse of the covariance's
// Cholesky factor.
type kernel struct {
	*Mixture
	constant []float64   // log weight - ½ log det(2π covariance), of each component
	w        []float64   // of each component: W packed, or the reciprocal deviations
	stride   int         // length of one W
	logP     [][]float64 // of each category: the logarithm of P

	packed8 [][36]float64 // w and means in eight dimensions
	mean8   [][8]float64
}

const (
	logTau = 1.8378770664093454835606594728112 // log 2π
	// never is the logarithm of the weight of a component without rows.
	never = -1e300
	// negligible is how far below the best a component's log density must be to be left out: its responsibility is below 1e-13.
	negligible = 30
)

var negInf = math.Inf(-1)

// newKernel is nil where a covariance is not positive definite.
func newKernel(m *Mixture) *kernel {
	k := &kernel{Mixture: m, constant: make([]float64, m.K), stride: m.size()}
	k.w = make([]float64, m.K*k.stride)
	l := make([]float64, k.stride)
	for c := range m.K {
		w := k.w[c*k.stride : (c+1)*k.stride]
		switch {
		case m.Covariance == Diagonal:
			for j, v := range m.covariance(c) {
				if !(v > 0) || math.IsInf(v, 1) {
					return nil
				}
				w[j] = 1 / math.Sqrt(v)
			}
		case m.Covariance == Tied && c > 0:
			copy(w, k.w[:k.stride])
		default:
			if !cholesky(l, m.covariance(c), m.Dim) {
				return nil
			}
			invertLower(w, l, m.Dim)
		}
		k.constant[c] = k.logWeight(c) + k.logNorm(w, m.Dim)
	}
	if m.Dim == 8 && m.Covariance != Diagonal {
		k.packed8, k.mean8 = make([][36]float64, m.K), make([][8]float64, m.K)
		for c := range m.K {
			copy(k.packed8[c][:], k.w[c*36:])
			copy(k.mean8[c][:], m.mean(c))
		}
	}
	for _, p := range m.Categories {
		logs := make([]float64, len(p.P))
		for i, v := range p.P {
			logs[i] = log(v)
		}
		k.logP = append(k.logP, logs)
	}
	return k
}

func (k *kernel) logWeight(c int) float64 {
	if !(k.Weights[c] > 0) {
		return never
	}
	return log(k.Weights[c])
}

// logNorm is -½ log det(2π covariance), of dim dimensions, from W.
func (k *kernel) logNorm(w []float64, dim int) float64 {
	sum := float64(-0.5 * float64(float64(dim)*logTau))
	for j := range dim {
		if k.Covariance == Diagonal {
			sum += log(w[j])
		} else {
			sum += log(w[packedAt(j, j)])
		}
	}
	return sum
}

// quadratic is the quadratic form of component c at x, or something above limit if it is above that.
func (k *kernel) quadratic(c int, x []float64, limit float64) float64 {
	mean, w := k.mean(c), k.w[c*k.stride:(c+1)*k.stride]
	var q float64
	if k.Covariance == Diagonal {
		for j, v := range x {
			y := float64((v - mean[j]) * w[j])
			q += float64(y * y)
		}
		return q
	}
	at := 0
	for i := range x {
		row := w[at : at+i+1]
		at += i + 1
		var y float64
		for j, f := range row {
			y += float64(f * (x[j] - mean[j]))
		}
		q += float64(y * y)
		if q > limit {
			return q
		}
	}
	return q
}

// quadratic8 is quadratic with a matrix in eight dimensions.
func quadratic8(mean, x *[8]float64, w *[36]float64, limit float64) float64 {
	x0, x1, x2, x3 := x[0]-mean[0], x[1]-mean[1], x[2]-mean[2], x[3]-mean[3]
	y0 := float64(w[0] * x0)
	y1 := float64(w[1]*x0) + float64(w[2]*x1)
	y2 := float64(w[3]*x0) + float64(w[4]*x1) + float64(w[5]*x2)
	y3 := (float64(w[6]*x0) + float64(w[7]*x1)) + (float64(w[8]*x2) + float64(w[9]*x3))
	q := (float64(y0*y0) + float64(y1*y1)) + (float64(y2*y2) + float64(y3*y3))
	if q > limit {
		return q
	}
	x4, x5 := x[4]-mean[4], x[5]-mean[5]
	y4 := (float64(w[10]*x0) + float64(w[11]*x1)) + (float64(w[12]*x2) + float64(w[13]*x3)) + float64(w[14]*x4)
	y5 := (float64(w[15]*x0) + float64(w[16]*x1)) + (float64(w[17]*x2) + float64(w[18]*x3)) + (float64(w[19]*x4) + float64(w[20]*x5))
	q += float64(y4*y4) + float64(y5*y5)
	if q > limit {
		return q
	}
	x6, x7 := x[6]-mean[6], x[7]-mean[7]
	y6 := (float64(w[21]*x0) + float64(w[22]*x1)) + (float64(w[23]*x2) + float64(w[24]*x3)) + (float64(w[25]*x4) + float64(w[26]*x5)) +
		float64(w[27]*x6)
	y7 := (float64(w[28]*x0) + float64(w[29]*x1)) + (float64(w[30]*x2) + float64(w[31]*x3)) + (float64(w[32]*x4) + float64(w[33]*x5)) +
		(float64(w[34]*x6) + float64(w[35]*x7))
	return q + (float64(y6*y6) + float64(y7*y7))
}

// densities is what one row's evaluation leaves: the components that matter, and their weighted log densities.
type densities struct {
	component []int32
	density   []float64 // the logarithm first, then the responsibility
	entropy   float64   // of the responsibilities
	prior     []float64 // scratch: constants with the row's categories
	complete  bool      // no row has missing values
	holes     holeCache
}

func (k *kernel) newDensities(complete bool) *densities {
	return &densities{
		complete:  complete,
		component: make([]int32, 0, k.K), density: make([]float64, 0, k.K), prior: make([]float64, k.K),
		holes: holeCache{kernel: k},
	}
}

// row evaluates row i of d: it returns the logarithm of its density and its likeliest component, and leaves the responsibilities in s. hint is a component to begin
// with; a likely one saves time.
func (k *kernel) row(s *densities, d *Data, i int, hint int32) (float64, int32) {
	x := d.row(i)
	prior := k.constant
	if len(k.logP) > 0 {
		prior = s.prior
		copy(prior, k.constant)
		for c, logs := range k.logP {
			if v := d.Categories[c].Values[i]; v >= 0 {
				levels := len(k.Categories[c].Levels)
				for j := range prior {
					prior[j] += logs[j*levels+int(v)]
				}
			}
		}
	}
	s.component, s.density = s.component[:0], s.density[:0]
	var top float64
	var at int32
	switch {
	case !s.complete && incomplete(x):
		top, at = s.holes.densities(s, x, prior)
	case k.Dim == 8 && k.Covariance != Diagonal:
		top, at = k.densities8(s, (*[8]float64)(x), prior, hint)
	default:
		top, at = k.densities(s, x, prior, hint)
	}
	s.entropy = 0
	if len(s.density) == 1 {
		s.density[0] = 1
		return top, at
	}
	var sum, weighted float64
	for j, v := range s.density {
		e := 1.0
		if v != top {
			v -= top
			e = exp(v)
			weighted += float64(e * v)
		}
		s.density[j] = e
		sum += e
	}
	for j := range s.density {
		s.density[j] /= sum
	}
	l := log(sum)
	s.entropy = l - weighted/sum
	return top + l, at
}

// incomplete tells whether a value is missing.
func incomplete(x []float64) bool {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum != sum
}

// densities fills s and returns the highest weighted log density and, of those that have it, the lowest component.
func (k *kernel) densities(s *densities, x, prior []float64, hint int32) (float64, int32) {
	known := k.quadratic(int(hint), x, math.Inf(1))
	bound := prior[hint] - float64(0.5*known) - negligible
	top, at := negInf, int32(0)
	for c, p := range prior {
		limit := float64(2 * (p - bound))
		q := known
		if c != int(hint) {
			if q = k.quadratic(c, x, limit); q > limit {
				continue
			}
		}
		v := p - float64(0.5*q)
		s.component, s.density = append(s.component, int32(c)), append(s.density, v)
		if v > top {
			top, at = v, int32(c)
		}
	}
	return top, at
}

// densities8 is densities in eight dimensions.
func (k *kernel) densities8(s *densities, x *[8]float64, prior []float64, hint int32) (float64, int32) {
	w, mean := k.packed8[:len(prior)], k.mean8[:len(prior)]
	known := quadratic8(&mean[hint], x, &w[hint], math.Inf(1))
	bound := prior[hint] - float64(0.5*known) - negligible
	top, at := negInf, int32(0)
	n := 0
	component, density := s.component[:len(prior)], s.density[:len(prior)]
	for c, p := range prior {
		limit := float64(2 * (p - bound))
		q := known
		if c != int(hint) {
			if q = quadratic8(&mean[c], x, &w[c], limit); q > limit {
				continue
			}
		}
		v := p - float64(0.5*q)
		component[n], density[n] = int32(c), v
		n++
		if v > top {
			top, at = v, int32(c)
		}
	}
	s.component, s.density = component[:n], density[:n]
	return top, at
}
