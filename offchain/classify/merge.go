package classify

// piece is the moments of the rows of one class: their number, mean, scatter about it (packed, or squares) and the counts of the levels of each
// category.
type piece struct {
	n                     float64
	mean, scatter, counts []float64
	cost                  float64 // minus the log-likelihood of its rows as a component, but for a constant
	gone                  bool
}

// agglomerate merges classes, of which u holds the moments, until k are left, each time the two whose union as one component loses the least classification likelihood
// (Banfield and Raftery, "Model-based Gaussian and non-Gaussian clustering", Biometrics 49, 1993). Pieces of an elongated class, into which
// k-means with too many centres cuts it, so come together again. It returns the components' moments as one sums.
func (u *sums) agglomerate(p *prior, k int) sums {
	g := merger{m: u.m, prior: p, w: make([]float64, u.m.size()), l: make([]float64, u.m.size())}
	for c := range u.m.K {
		g.pieces = append(g.pieces, g.piece(u.m.mean(c), u.acc[c*u.stride:(c+1)*u.stride]))
	}
	n := len(g.pieces)
	loss := make([]float64, n*n)
	for i := range n {
		for j := range i {
			loss[i*n+j] = g.loss(i, j)
		}
	}
	for left := n; left > k; left-- {
		a, b := -1, -1
		for i := range n {
			for j := range i {
				if !g.pieces[i].gone && !g.pieces[j].gone && (a < 0 || loss[i*n+j] < loss[a*n+b]) {
					a, b = i, j
				}
			}
		}
		g.pieces[b], g.pieces[a].gone = g.union(a, b), true
		for i := range n {
			if i != b && !g.pieces[i].gone {
				loss[max(i, b)*n+min(i, b)] = g.loss(max(i, b), min(i, b))
			}
		}
	}
	return g.sums(k, u.stride)
}

type merger struct {
	m      *Mixture
	prior  *prior
	pieces []piece
	w, l   []float64
}

func (g *merger) piece(about, acc []float64) piece {
	d, size := g.m.Dim, g.m.size()
	p := piece{n: acc[0], mean: append([]float64(nil), about...)}
	first := acc[1 : 1+d]
	p.scatter = append([]float64(nil), acc[1+d:1+d+size]...)
	p.counts = append([]float64(nil), acc[1+d+size:]...)
	if p.n > 0 {
		for i, s := range first {
			p.mean[i] += s / p.n
		}
		g.add(p.scatter, first, -1/p.n)
	}
	p.cost = g.cost(&p)
	return p
}

// add adds f·vvᵀ to a scatter.
func (g *merger) add(scatter, v []float64, f float64) {
	for i, x := range v {
		if g.m.Covariance == Diagonal {
			scatter[i] += float64(float64(f*x) * x)
			continue
		}
		for j, y := range v[:i+1] {
			scatter[packedAt(i, j)] += float64(float64(f*x) * y)
		}
	}
}

func (g *merger) union(i, j int) piece {
	a, b := &g.pieces[i], &g.pieces[j]
	p := piece{n: a.n + b.n, mean: append([]float64(nil), b.mean...), scatter: append([]float64(nil), b.scatter...), counts: append([]float64(nil), b.counts...)}
	for t, v := range a.scatter {
		p.scatter[t] += v
	}
	for t, v := range a.counts {
		p.counts[t] += v
	}
	if p.n > 0 {
		gap := make([]float64, g.m.Dim)
		for t := range gap {
			gap[t] = a.mean[t] - b.mean[t]
			p.mean[t] += float64(gap[t]*a.n) / p.n
		}
		g.add(p.scatter, gap, float64(a.n*b.n)/p.n)
	}
	p.cost = g.cost(&p)
	return p
}

func (g *merger) loss(i, j int) float64 {
	p := g.union(i, j)
	return p.cost - g.pieces[i].cost - g.pieces[j].cost
}

// cost of a piece; with tied covariances, that of its scatter in units of the columns, as if that were the one matrix.
func (g *merger) cost(p *piece) float64 {
	if p.n <= 0 {
		return 0
	}
	var sum float64
	d := g.m.Dim
	n := p.n + g.prior.exponent
	switch g.m.Covariance {
	case Tied:
		for i := range d {
			sum += p.scatter[packedAt(i, i)] / float64(g.prior.axis[i]*g.prior.axis[i])
		}
	case Diagonal:
		for i, s := range p.scatter {
			sum += float64(float64(0.5*p.n) * log(max((s+g.prior.scale[i])/n, g.least(i))))
		}
	default:
		for i := range d {
			for j := range i + 1 {
				g.w[packedAt(i, j)] = p.scatter[packedAt(i, j)] / n
			}
			g.w[packedAt(i, i)] += g.prior.scale[i]/n + g.least(i)
		}
		if !cholesky(g.l, g.w, d) {
			return 0
		}
		for i := range d {
			sum += float64(p.n * log(g.l[packedAt(i, i)]))
		}
	}
	sum -= float64(p.n * log(p.n))
	at := 0
	for _, c := range g.m.Categories {
		var all float64
		counts := p.counts[at : at+len(c.Levels)]
		at += len(c.Levels)
		for _, v := range counts {
			all += v
		}
		for _, v := range counts {
			if v > 0 {
				sum -= float64(v * log(v/all))
			}
		}
	}
	return sum
}

// least variance of column i.
func (g *merger) least(i int) float64 {
	return float64(g.prior.floor * float64(g.prior.unit[i]*g.prior.unit[i]))
}

func (g *merger) sums(k, stride int) sums {
	d := g.m.Dim
	m := *g.m
	m.K = k
	m.Weights, m.Means = make([]float64, k), make([]float64, 0, k*d)
	m.Covariances = nil
	m.Covariances = make([]float64, m.covarianceLen())
	m.Categories = append([]CategoryParameter(nil), m.Categories...)
	for i := range m.Categories {
		m.Categories[i].P = make([]float64, k*len(m.Categories[i].Levels))
	}
	out := sums{m: &m, stride: stride}
	for _, p := range g.pieces {
		if p.gone {
			continue
		}
		m.Means = append(m.Means, p.mean...)
		out.acc = append(out.acc, p.n)
		out.acc = append(out.acc, make([]float64, d)...)
		out.acc = append(out.acc, p.scatter...)
		out.acc = append(out.acc, p.counts...)
	}
	return out
}
