package classify

// marginal is a kernel restricted to the values that are there, for one pattern of missing ones.
type marginal struct {
	present, missing []int
	shift            []float64   // of each component: what the restriction adds to its constant
	w                [][]float64 // W of the values present
	regression       [][]float64 // missing × present: the conditional mean of the missing values, per deviation of the present
	residual         [][]float64 // packed: their conditional covariance
}

// holeCache keeps the marginals of the patterns met so far.
type holeCache struct {
	*kernel
	patterns map[string]*marginal
	key      []byte
	now      *marginal // of the last row
	y        []float64
}

const maxPatterns = 256

// of returns the marginal for the pattern of x.
func (h *holeCache) of(x []float64) *marginal {
	h.key = h.key[:0]
	for j, v := range x {
		if v != v {
			h.key = append(h.key, byte(j))
		}
	}
	if m := h.patterns[string(h.key)]; m != nil {
		return m
	}
	if h.patterns == nil || len(h.patterns) >= maxPatterns {
		h.patterns = make(map[string]*marginal)
	}
	m := h.restrict(x)
	h.patterns[string(h.key)] = m
	return m
}

func (h *holeCache) restrict(x []float64) *marginal {
	m := &marginal{shift: make([]float64, h.K)}
	for j, v := range x {
		if v == v {
			m.present = append(m.present, j)
		} else {
			m.missing = append(m.missing, j)
		}
	}
	for c := range h.K {
		if h.Covariance == Tied && c > 0 {
			m.w, m.regression, m.residual = append(m.w, m.w[0]), append(m.regression, m.regression[0]), append(m.residual, m.residual[0])
			m.shift[c] = m.shift[0]
			continue
		}
		full := h.kernel.w[c*h.stride : (c+1)*h.stride]
		var w, g, residual []float64
		if h.Covariance == Diagonal {
			w, residual = m.diagonal(full)
		} else {
			w, g, residual = m.condition(h.covariance(c))
		}
		m.w, m.regression, m.residual = append(m.w, w), append(m.regression, g), append(m.residual, residual)
		m.shift[c] = h.logNorm(w, len(m.present)) - h.logNorm(full, h.Dim)
	}
	return m
}

// diagonal restricts variances, given as reciprocal deviations.
func (m *marginal) diagonal(full []float64) (w, residual []float64) {
	for _, j := range m.present {
		w = append(w, full[j])
	}
	for _, j := range m.missing {
		residual = append(residual, 1/float64(full[j]*full[j]))
	}
	return w, residual
}

// condition restricts a packed covariance: W of the present values, and regression and residual covariance of the missing ones on them.
func (m *marginal) condition(cov []float64) (w, g, residual []float64) {
	o, miss := len(m.present), len(m.missing)
	a := make([]float64, packedLen(o))
	for i, p := range m.present {
		for j, q := range m.present[:i+1] {
			a[packedAt(i, j)] = cov[packedAt(p, q)]
		}
	}
	l := make([]float64, len(a))
	w = make([]float64, len(a))
	cholesky(l, a, o) // a principal part of a positive definite matrix is so too
	invertLower(w, l, o)
	// With V = W·Cov(present, missing): the regression is VᵀW, the residual Cov(missing) - VᵀV.
	v := make([]float64, o*miss)
	for i := range o {
		for j, q := range m.missing {
			for t := range i + 1 {
				v[i*miss+j] += float64(w[packedAt(i, t)] * cov[packedAt(m.present[t], q)])
			}
		}
	}
	g = make([]float64, miss*o)
	residual = make([]float64, packedLen(miss))
	for j := range miss {
		for t := range o {
			for i := t; i < o; i++ {
				g[j*o+t] += float64(v[i*miss+j] * w[packedAt(i, t)])
			}
		}
		for r := range j + 1 {
			sum := cov[packedAt(m.missing[j], m.missing[r])]
			for i := range o {
				sum -= float64(v[i*miss+j] * v[i*miss+r])
			}
			residual[packedAt(j, r)] = sum
		}
	}
	return w, g, residual
}

// densities is that of the kernel for a row with missing values.
func (h *holeCache) densities(s *densities, x, prior []float64) (float64, int32) {
	m := h.of(x)
	h.now = m
	if h.y == nil {
		h.y = make([]float64, h.Dim)
	}
	top, at := negInf, int32(0)
	for c, p := range prior {
		mean, w := h.mean(c), m.w[c]
		var q float64
		if h.Covariance == Diagonal {
			for i, j := range m.present {
				y := float64((x[j] - mean[j]) * w[i])
				q += float64(y * y)
			}
		} else {
			for i := range m.present {
				var y float64
				for t, f := range w[i*(i+1)/2 : (i+1)*(i+2)/2] {
					j := m.present[t]
					y += float64(f * (x[j] - mean[j]))
				}
				q += float64(y * y)
			}
		}
		v := p + m.shift[c] - float64(0.5*q)
		if v < top-negligible {
			continue
		}
		s.component, s.density = append(s.component, int32(c)), append(s.density, v)
		if v > top {
			top, at = v, int32(c)
		}
	}
	return top, at
}

// deviations writes the deviations of x from component c's mean into delta, those of the missing values by regression.
func (m *marginal) deviations(delta, x, mean []float64, c int) {
	for _, j := range m.present {
		delta[j] = x[j] - mean[j]
	}
	g := m.regression[c]
	for i, j := range m.missing {
		delta[j] = 0
		if g != nil {
			for t, p := range m.present {
				delta[j] += float64(g[i*len(m.present)+t] * delta[p])
			}
		}
	}
}
