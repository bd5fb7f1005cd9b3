package classify

import "math"

// prior is what is known of the parameters before the rows: of each covariance an inverse-Wishart density with scale diagonal and an
// exponent (Fraley and Raftery, "Bayesian regularization for normal mixture estimation", J. Classification 24, 2007), of each categorical
// distribution a symmetric Dirichlet density.
type prior struct {
	scale    []float64 // of each axis
	exponent float64   // of the determinant: ν + d + 1
	alpha    float64   // pseudo-rows a level
	axis     []float64 // deviation of each column over all rows
	absent   []int     // columns without a value, of which nothing is learnt
	unit     []float64 // of each axis, for the floor
	floor    float64   // of the eigenvalues
}

// newPrior has the scale of the columns' variances over k^(2/d), and ν = d+2, both times strength. Of strength 0 is the default, 1 for
// up to priorRows rows and beyond in inverse proportion to them, since what is feared, a component on a handful of rows, is then held off
// by the rest, and the likelihood should not be pulled; below 0 there is no prior but the floor.
//
// No eigenvalue of a covariance may be below eigenvalueFloor in units of the columns' variances, or, if noise is given, below its square.
func newPrior(d *Data, k int, shape Covariance, strength, noise float64) prior {
	if strength == 0 {
		strength = min(1, priorRows/float64(d.Rows))
	}
	strength = max(0, strength)
	_, variance, present := d.moments()
	p := prior{scale: make([]float64, d.Dim), axis: make([]float64, d.Dim), floor: eigenvalueFloor, alpha: float64(0.5 * strength)}
	dim := 0
	for _, n := range present {
		dim += min(1, n)
	}
	shrink := exp(float64(2*log(float64(k))) / float64(max(1, dim)))
	p.exponent = float64(strength * float64(2*dim+3))
	if shape == Diagonal {
		p.exponent = float64(strength * 5) // each axis is a matrix of order 1
	}
	for j, v := range variance {
		if present[j] == 0 {
			p.absent = append(p.absent, j)
		}
		if !(v > 1e-290) {
			v = 1 // a constant column: any unit will do
		}
		p.axis[j] = math.Sqrt(v)
		p.scale[j] = float64(strength*v) / shrink
	}
	p.unit = p.axis
	if noise > 0 {
		p.floor, p.unit = float64(noise*noise), ones(d.Dim)
	}
	return p
}

func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

const (
	eigenvalueFloor = 1e-6
	priorRows       = 1000
)

// logDensity is the logarithm of the prior density of m's parameters, but for a constant.
func (p *prior) logDensity(k *kernel) float64 {
	var total float64
	matrices := k.K
	if k.Covariance == Tied {
		matrices = 1
	}
	for c := range matrices {
		w := k.w[c*k.stride : (c+1)*k.stride]
		for i := range k.Dim {
			// The inverse is WᵀW, so its trace against a diagonal is a sum over the columns of W.
			var diagonal, trace float64
			if k.Covariance == Diagonal {
				diagonal = w[i]
				trace = float64(diagonal * diagonal)
			} else {
				diagonal = w[packedAt(i, i)]
				for r := i; r < k.Dim; r++ {
					trace += float64(w[packedAt(r, i)] * w[packedAt(r, i)])
				}
			}
			total += float64(p.exponent*log(diagonal)) - float64(0.5*float64(p.scale[i]*trace))
		}
	}
	for _, logs := range k.logP {
		for _, v := range logs {
			total += float64(p.alpha * v)
		}
	}
	return total
}

// sums are the weighted moments of the rows about the means of the mixture that weighted them: of each component its weight, the sum of
// deviations, the sum of their products (packed) or squares, and the weights of each level of each category.
type sums struct {
	m      *Mixture
	stride int
	acc    []float64 // K·stride
}

func statisticsLen(m *Mixture) int {
	n := 1 + m.Dim + m.size()
	for _, c := range m.Categories {
		n += len(c.Levels)
	}
	return n
}

// add counts row i of d with the responsibilities in s.
func (u *sums) add(k *kernel, s *densities, d *Data, i int, delta []float64) {
	x := d.row(i)
	holes := !s.complete && incomplete(x)
	for n, c := range s.component {
		r := s.density[n]
		acc := u.acc[int(c)*u.stride : (int(c)+1)*u.stride]
		if len(d.Categories) > 0 {
			u.addCategories(acc, d, i, r)
		}
		if k.Dim == 8 && k.Covariance != Diagonal && !holes {
			scatter8((*[45]float64)(acc), (*[8]float64)(x), &k.mean8[c], r)
			continue
		}
		if holes {
			s.holes.now.deviations(delta, x, k.mean(int(c)), int(c))
		} else {
			for j, m := range k.mean(int(c)) {
				delta[j] = x[j] - m
			}
		}
		u.scatter(acc, delta, r)
		if holes {
			u.addResidual(acc[1+k.Dim:], s.holes.now, int(c), r)
		}
	}
}

func (u *sums) scatter(acc, delta []float64, r float64) {
	acc[0] += r
	first, second := acc[1:1+len(delta)], acc[1+len(delta):]
	at := 0
	for i, v := range delta {
		rv := float64(r * v)
		first[i] += rv
		if u.m.Covariance == Diagonal {
			second[i] += float64(rv * v)
			continue
		}
		row := second[at : at+i+1]
		for j, w := range delta[:i+1] {
			row[j] += float64(rv * w)
		}
		at += i + 1
	}
}

// addResidual adds what the missing values vary by about their conditional mean.
func (u *sums) addResidual(second []float64, m *marginal, c int, r float64) {
	residual := m.residual[c]
	for i, p := range m.missing {
		if u.m.Covariance == Diagonal {
			second[p] += float64(r * residual[i])
			continue
		}
		for j, q := range m.missing[:i+1] {
			second[packedAt(p, q)] += float64(r * residual[packedAt(i, j)])
		}
	}
}

func (u *sums) addCategories(acc []float64, d *Data, i int, r float64) {
	at := 1 + u.m.Dim + u.m.size()
	for c := range d.Categories {
		if v := d.Categories[c].Values[i]; v >= 0 {
			acc[at+int(v)] += r
		}
		at += len(d.Categories[c].Levels)
	}
}

// scatter8 is scatter with a matrix in eight dimensions.
func scatter8(a *[45]float64, x, mean *[8]float64, r float64) {
	x0, x1, x2, x3 := x[0]-mean[0], x[1]-mean[1], x[2]-mean[2], x[3]-mean[3]
	x4, x5, x6, x7 := x[4]-mean[4], x[5]-mean[5], x[6]-mean[6], x[7]-mean[7]
	a[0] += r
	v := float64(r * x0)
	a[1] += v
	a[9] += float64(v * x0)
	v = float64(r * x1)
	a[2] += v
	a[10] += float64(v * x0)
	a[11] += float64(v * x1)
	v = float64(r * x2)
	a[3] += v
	a[12] += float64(v * x0)
	a[13] += float64(v * x1)
	a[14] += float64(v * x2)
	v = float64(r * x3)
	a[4] += v
	a[15] += float64(v * x0)
	a[16] += float64(v * x1)
	a[17] += float64(v * x2)
	a[18] += float64(v * x3)
	v = float64(r * x4)
	a[5] += v
	a[19] += float64(v * x0)
	a[20] += float64(v * x1)
	a[21] += float64(v * x2)
	a[22] += float64(v * x3)
	a[23] += float64(v * x4)
	v = float64(r * x5)
	a[6] += v
	a[24] += float64(v * x0)
	a[25] += float64(v * x1)
	a[26] += float64(v * x2)
	a[27] += float64(v * x3)
	a[28] += float64(v * x4)
	a[29] += float64(v * x5)
	v = float64(r * x6)
	a[7] += v
	a[30] += float64(v * x0)
	a[31] += float64(v * x1)
	a[32] += float64(v * x2)
	a[33] += float64(v * x3)
	a[34] += float64(v * x4)
	a[35] += float64(v * x5)
	a[36] += float64(v * x6)
	v = float64(r * x7)
	a[8] += v
	a[37] += float64(v * x0)
	a[38] += float64(v * x1)
	a[39] += float64(v * x2)
	a[40] += float64(v * x3)
	a[41] += float64(v * x4)
	a[42] += float64(v * x5)
	a[43] += float64(v * x6)
	a[44] += float64(v * x7)
}

// maximise returns the mixture of the highest penalised likelihood given the sums.
func (u *sums) maximise(p *prior, rows int) *Mixture {
	old := u.m
	d, size := old.Dim, old.size()
	m := old.Clone()
	clear(m.Covariances)
	for c := range m.K {
		acc := u.acc[c*u.stride : (c+1)*u.stride]
		n := acc[0]
		m.Weights[c] = n / float64(rows)
		cov := m.covariance(c)
		if n > 1e-100 {
			first, second := acc[1:1+d], acc[1+d:1+d+size]
			for i, s := range first {
				m.mean(c)[i] += s / n
				if m.Covariance == Diagonal {
					cov[i] += second[i] - float64(s*s)/n
					continue
				}
				for j, t := range first[:i+1] {
					cov[packedAt(i, j)] += second[packedAt(i, j)] - float64(s*t)/n
				}
			}
		}
		if m.Covariance != Tied {
			p.finish(m, cov, n)
		}
		at := 1 + d + size
		for _, category := range m.Categories {
			levels := len(category.Levels)
			p.frequencies(category.P[c*levels:(c+1)*levels], acc[at:at+levels])
			at += levels
		}
	}
	if m.Covariance == Tied {
		p.finish(m, m.Covariances, float64(rows))
	}
	return m
}

// finish makes of the scatter of n rows the likeliest covariance under the prior.
func (p *prior) finish(m *Mixture, cov []float64, n float64) {
	p.forget(m, cov, n)
	n += p.exponent
	if m.Covariance == Diagonal {
		for i := range cov {
			cov[i] = max((cov[i]+p.scale[i])/max(n, 1e-100), float64(p.floor*float64(p.unit[i]*p.unit[i])))
		}
		return
	}
	for i := range m.Dim {
		cov[packedAt(i, i)] += p.scale[i]
	}
	for i := range cov {
		cov[i] /= max(n, 1e-100)
	}
	raiseEigenvalues(cov, p.unit, m.Dim, p.floor)
}

// forget takes what EM makes of columns without a value, which would approach it slowly, to where the prior has them: a scatter of n rows
// that leaves the mode of the prior, and no correlation.
func (p *prior) forget(m *Mixture, cov []float64, n float64) {
	for _, j := range p.absent {
		mode := float64(p.axis[j] * p.axis[j])
		if p.exponent > 0 {
			mode = p.scale[j] / p.exponent
		}
		if m.Covariance == Diagonal {
			cov[j] = float64(n * mode)
			continue
		}
		for i := range m.Dim {
			cov[packedAt(i, j)] = 0
		}
		cov[packedAt(j, j)] = float64(n * mode)
	}
}

// leastProbability keeps a level that no row has from being impossible.
const leastProbability = 1e-9

func (p *prior) frequencies(to, counts []float64) {
	var total float64
	for _, n := range counts {
		total += n + p.alpha
	}
	for i, n := range counts {
		to[i] = 1 / float64(len(to))
		if total > 0 {
			to[i] = max((n+p.alpha)/total, leastProbability)
		}
	}
}
