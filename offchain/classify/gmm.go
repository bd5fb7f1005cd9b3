package classify

import (
	"context"
	"fmt"
	"math"
)

// GMMOptions say how a mixture is fitted; the zero value of a field is its default.
type GMMOptions struct {
	K             int
	Covariance    Covariance
	Starts        int      // short runs on a sample, of which the best go on: 16
	MaxIterations int      // over all rows: 200
	Tolerance     float64  // it ends when the log-likelihood of a row has less than this to gain: 1e-5
	Prior         float64  // strength of the prior: 1, of more than 1000 rows 1000/rows; negative: none
	Noise         float64  // least standard deviation along any axis, in the rows' unit, so that classes are not made of less; 0: 1/1000 of the columns'
	Warm          *Mixture // where a refit begins, in place of the starts
}

// GMM is a fitted mixture.
type GMM struct {
	*Mixture
	Labels        []int32 // the likeliest component of each row
	LogLikelihood float64 // mean of a row
	Objective     float64 // log-likelihood of all rows with that of the prior
	BIC, ICL      float64 // the less the better; ICL adds twice the entropy of the responsibilities. Columns without a value count for nothing
	Iterations    int     // over all rows
	Converged     bool
}

// FitGMM finds a mixture of high likelihood by EM. Short runs from k-means++ seeds on a sample of the rows compete ("small EM": Biernacki, Celeux and Govaert, CSDA 41,
// 2003); the best go on, the last one over all rows, so that one fit does the work of many starts. An error is bad input or the end of ctx, which may hold WithProgress.
func FitGMM(ctx context.Context, d *Data, o GMMOptions, src Source) (*GMM, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if err := checkK(o.K, d.Rows); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	p := newPrior(d, o.K, o.Covariance, o.Prior, o.Noise)
	var start *Mixture
	if o.Warm != nil {
		if err := o.Warm.Validate(); err != nil {
			return nil, fmt.Errorf("the mixture to begin with: %w", err)
		}
		if err := o.Warm.fits(d); err != nil {
			return nil, err
		}
		if o.Warm.K != o.K || o.Warm.Covariance != o.Covariance {
			return nil, fmt.Errorf("the mixture to begin with has %d components with %v covariances; ask for these, or leave it out", o.Warm.K, o.Warm.Covariance)
		}
		start = o.Warm
	} else {
		var err error
		if start, err = startGMM(ctx, d, o, src); err != nil {
			return nil, err
		}
	}
	e := newEM(d, p)
	r, err := e.run(ctx, start, o.MaxIterations, o.Tolerance)
	if err != nil {
		return nil, err
	}
	g := &GMM{
		Mixture: r.m, Labels: e.hints, LogLikelihood: r.x.logLikelihood / float64(d.Rows), Objective: r.x.objective,
		Iterations: r.iterations, Converged: r.converged,
	}
	g.BIC = float64(-2*r.x.logLikelihood) + float64(float64(g.parameters(d.Dim-len(p.absent)))*log(float64(d.Rows)))
	g.ICL = g.BIC + float64(2*r.x.entropy)
	return g, nil
}

func (o GMMOptions) withDefaults() GMMOptions {
	if o.Starts <= 0 {
		o.Starts = 16
	}
	if o.MaxIterations <= 0 {
		o.MaxIterations = 200
	}
	if o.Tolerance == 0 {
		o.Tolerance = 1e-5
	}
	return o
}

// rounds of the competition on a sample: how many runs go on, for how many more steps. The last one runs to its end.
var rounds = []struct{ keep, steps int }{{math.MaxInt, 6}, {8, 8}, {3, 16}, {2, 32}, {1, 200}}

// startGMM is where the run over all rows begins.
func startGMM(ctx context.Context, d *Data, o GMMOptions, src Source) (*Mixture, error) {
	parameters := o.K * (1 + d.Dim + packedLen(d.Dim))
	size := max(4096, 16*parameters)
	s := d.sample(size, src)
	p := newPrior(s, o.K, o.Covariance, o.Prior, o.Noise)
	points, mean := s.standard(p.axis)
	runs := make([]emResult, 0, o.Starts)
	for range o.Starts {
		const lloyd = 6
		clusters, err := newHamerly(points, d.Dim, seedCentres(points, d.Dim, pieces(o.K, d.Dim, s.Rows), src)).run(ctx, lloyd, 0)
		if err != nil {
			return nil, err
		}
		runs = append(runs, emResult{m: s.moulded(clusters, mean, p, o.Covariance, o.K)})
	}
	e := newEM(s, p)
	for _, round := range rounds {
		runs = distinct(best(runs, round.keep, func(r emResult) float64 { return r.x.objective }), float64(1e-4*float64(s.Rows)))
		for i := range runs {
			if runs[i].converged {
				continue
			}
			var err error
			if runs[i], err = e.run(ctx, runs[i].m, round.steps, o.Tolerance); err != nil {
				return nil, err
			}
		}
	}
	r := best(runs, 1, func(r emResult) float64 { return r.x.objective })[0]
	for _, size := range ladder(size, d.Rows) {
		var err error
		s := d.sample(size, src)
		if r, err = newEM(s, newPrior(s, o.K, o.Covariance, o.Prior, o.Noise)).run(ctx, r.m, o.MaxIterations, o.Tolerance); err != nil {
			return nil, err
		}
	}
	return r.m, nil
}

// distinct leaves out the runs that have come to rest at the same objective as a better one, but for slack.
func distinct(runs []emResult, slack float64) []emResult {
	kept := runs[:0]
	for _, r := range runs {
		if n := len(kept); n == 0 || !r.converged || !kept[n-1].converged || kept[n-1].x.objective-r.x.objective > slack {
			kept = append(kept, r)
		}
	}
	return kept
}

// ladder is the sizes between two, each about eight times the one before.
func ladder(from, to int) []int {
	var sizes []int
	for size := to / 8; size >= 4*from; size /= 8 {
		sizes = append([]int{size}, sizes...)
	}
	return sizes
}

// standard is the rows in units of axis about the columns' means, missing values at the mean, and the means.
func (d *Data) standard(axis []float64) (points, mean []float64) {
	mean, _, _ = d.moments()
	points = make([]float64, len(d.X))
	for i, x := range d.X {
		if x == x {
			points[i] = (x - mean[i%d.Dim]) / axis[i%d.Dim]
		}
	}
	return points, mean
}

// pieces is into how many classes a start cuts the rows, to put them together to k: three a component as long as there are rows for them.
func pieces(k, dim, rows int) int {
	const most = 256
	return max(k, min(3*k, rows/(2*(dim+1)), most))
}

// moulded is the mixture with k components put together from the classes of a partition in units of p.axis about mean.
func (d *Data) moulded(clusters *KMeans, mean []float64, p prior, shape Covariance, k int) *Mixture {
	m := &Mixture{Covariance: shape, K: clusters.K, Dim: d.Dim}
	m.Weights = make([]float64, m.K)
	m.Means = make([]float64, m.K*m.Dim)
	for c := range m.K {
		for j := range m.Dim {
			m.mean(c)[j] = float64(clusters.centre(c)[j]*p.axis[j]) + mean[j]
		}
	}
	m.Covariances = make([]float64, m.covarianceLen())
	for _, c := range d.Categories {
		m.Categories = append(m.Categories, CategoryParameter{c.Name, c.Levels, make([]float64, m.K*len(c.Levels))})
	}
	u := sums{m, statisticsLen(m), make([]float64, m.K*statisticsLen(m))}
	delta := make([]float64, m.Dim)
	for i := range d.Rows {
		c := int(clusters.Labels[i])
		for j, x := range d.row(i) {
			delta[j] = 0
			if x == x {
				delta[j] = x - m.mean(c)[j]
			}
		}
		acc := u.acc[c*u.stride : (c+1)*u.stride]
		u.scatter(acc, delta, 1)
		u.addCategories(acc, d, i, 1)
	}
	if k < m.K {
		u = u.agglomerate(&p, k)
	}
	return u.maximise(&p, d.Rows)
}
