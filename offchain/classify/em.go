package classify

import (
	"context"
	"errors"
)

// em is expectation-maximisation on one table.
type em struct {
	d     *Data
	prior prior
	hints []int32 // the likeliest component of each row
	acc   []float64

	complete bool // no row has missing values
}

func newEM(d *Data, p prior) *em {
	return &em{d: d, prior: p, hints: make([]int32, d.Rows), complete: !incomplete(d.X)}
}

// expected is what a pass over the rows yields.
type expected struct {
	sums          sums
	logLikelihood float64 // of all rows
	objective     float64 // with the logarithm of the prior
	entropy       float64 // of the responsibilities, of all rows
}

var errSingular = errors.New("a covariance is not positive definite; raise the strength of the prior, or scale the columns")

// expect evaluates m on the rows and adds up the moments.
func (e *em) expect(m *Mixture) (expected, error) {
	k := newKernel(m)
	if k == nil {
		return expected{}, errSingular
	}
	cut := divide(e.d.Rows)
	stride := statisticsLen(m)
	length := m.K * stride
	if len(e.acc) != cut.count*length {
		e.acc = make([]float64, cut.count*length)
	}
	clear(e.acc)
	type score struct{ logLikelihood, entropy float64 }
	scores := make([]score, cut.count)
	cut.each(func(chunk, from, to int) {
		u := sums{m, stride, e.acc[chunk*length : (chunk+1)*length]}
		s := k.newDensities(e.complete)
		delta := make([]float64, m.Dim)
		var total score
		for i := from; i < to; i++ {
			l, at := k.row(s, e.d, i, e.hints[i])
			e.hints[i] = at
			total.logLikelihood += l
			total.entropy += s.entropy
			u.add(k, s, e.d, i, delta)
		}
		scores[chunk] = total
	})
	x := expected{sums: sums{m, stride, make([]float64, length)}}
	for chunk, s := range scores {
		x.logLikelihood += s.logLikelihood
		x.entropy += s.entropy
		for i, v := range e.acc[chunk*length : (chunk+1)*length] {
			x.sums.acc[i] += v
		}
	}
	x.objective = x.logLikelihood + e.prior.logDensity(k)
	return x, nil
}

// emResult is where a run of EM ended.
type emResult struct {
	m          *Mixture
	x          expected // of m
	iterations int
	converged  bool
}

// run iterates from m until what it has yet to gain, as the last gains foretell (Aitken's extrapolation), is below tolerance per row, or
// for as many steps as most.
func (e *em) run(ctx context.Context, m *Mixture, most int, tolerance float64) (emResult, error) {
	r := emResult{m: m}
	goal := float64(tolerance * float64(e.d.Rows))
	var before, gain float64
	for {
		if err := begin(ctx, Step{m.K, e.d.Rows, r.iterations}); err != nil {
			return r, err
		}
		x, err := e.expect(r.m)
		if err != nil {
			return r, err
		}
		r.x = x
		if r.iterations > 0 {
			last := gain
			gain = x.objective - before
			if gain <= 0 || r.iterations > 1 && gain < last && float64(gain*gain) <= float64(goal*(last-gain)) {
				r.converged = true
			}
		}
		if r.converged || r.iterations >= most {
			return r, nil
		}
		before = x.objective
		r.m = x.sums.maximise(&e.prior, e.d.Rows)
		r.iterations++
	}
}
