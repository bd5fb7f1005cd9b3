package classify

import (
	"context"
	"errors"
	"fmt"
)

// Criterion scores a fit for the choice of the number of classes; the less the better.
type Criterion int

// BIC approximates the evidence for the number of components of a density (Schwarz 1978); ICL that for well separated classes (Biernacki, Celeux and Govaert, IEEE
// PAMI 22, 2000).
const (
	BIC Criterion = iota
	ICL
)

// Range is the numbers of classes that are tried, upwards from From, until To or until Patience of them in a row were no better. The zero value of a field
// is its default: 1, 32 and 3.
type Range struct {
	From, To, Patience int
}

func (r Range) withDefaults(rows int) (Range, error) {
	if r.From <= 0 {
		r.From = 1
	}
	if r.To <= 0 {
		r.To = max(r.From, 32)
	}
	if r.Patience <= 0 {
		r.Patience = 3
	}
	r.To = min(r.To, rows, MaxK)
	if r.From > r.To {
		return r, fmt.Errorf("no number of classes from %d to %d; give a range", r.From, r.To)
	}
	return r, nil
}

// choose fits k = From, From+1, … and returns the fit of the lowest score.
func choose[T any](r Range, rows int, fit func(k int) (T, float64, error)) (T, error) {
	var chosen T
	r, err := r.withDefaults(rows)
	if err != nil {
		return chosen, err
	}
	var lowest float64
	for k, since := r.From, 0; k <= r.To && since < r.Patience; k++ {
		m, score, err := fit(k)
		if err != nil {
			return chosen, fmt.Errorf("%d classes: %w", k, err)
		}
		if since++; k == r.From || score < lowest {
			chosen, lowest, since = m, score, 0
		}
	}
	return chosen, nil
}

// ChooseGMM fits mixtures of the numbers of components in r, of which o.K is left out of account, and returns the best by the criterion, run to rest.
func ChooseGMM(ctx context.Context, d *Data, o GMMOptions, by Criterion, r Range, src Source) (*GMM, error) {
	if o.Warm != nil {
		return nil, fmt.Errorf("a mixture to begin with has a number of components; ask for that number, or leave the mixture out")
	}
	chosen, err := choose(r, d.Rows, func(k int) (*GMM, float64, error) {
		o.K = k
		g, err := FitGMM(ctx, d, o, src)
		if err != nil {
			return nil, 0, err
		}
		if by == ICL {
			return g, g.ICL, nil
		}
		return g, g.BIC, nil
	})
	if err != nil {
		return nil, err
	}
	g, err := polish(ctx, d, o, chosen, src)
	if err != nil {
		return nil, err
	}
	g.Iterations += chosen.Iterations
	return g, nil
}

// polish runs EM from a chosen mixture to rest. Criteria are defined at the maximum of the likelihood itself, so of many rows the default
// prior, which has served in the search, is let go, unless the likelihood then rises by more than its parameters can account for: such a rise is a component
// that shrinks onto a few rows.
func polish(ctx context.Context, d *Data, o GMMOptions, chosen *GMM, src Source) (*GMM, error) {
	const rest = 1e-8 // of the log-likelihood of all rows
	o.K, o.Warm = chosen.K, chosen.Mixture
	if o.Tolerance == 0 {
		o.Tolerance = rest / float64(d.Rows)
	}
	if o.Prior == 0 && d.Rows > priorRows {
		free := o
		free.Prior = -1
		g, err := FitGMM(ctx, d, free, src)
		if err != nil && !errors.Is(err, errSingular) {
			return nil, err
		}
		if err == nil && float64((g.LogLikelihood-chosen.LogLikelihood)*float64(d.Rows)) <= float64(g.Parameters())/2 {
			return g, nil
		}
	}
	return FitGMM(ctx, d, o, src)
}

// ChooseKMeans is ChooseGMM for k-means, by the BIC of the spheres of equal variance that it stands for.
func ChooseKMeans(ctx context.Context, d *Data, o KMeansOptions, r Range, src Source) (*KMeans, error) {
	if o.Centres != nil {
		return nil, fmt.Errorf("centres to begin with have a number; ask for that number, or leave them out")
	}
	return choose(r, d.Rows, func(k int) (*KMeans, float64, error) {
		o.K = k
		m, err := FitKMeans(ctx, d, o, src)
		if err != nil {
			return nil, 0, err
		}
		return m, m.BIC(), nil
	})
}

// BIC is that of normal distributions around the centres with one variance for all axes and classes and the classes' shares as weights
// (Pelleg and Moore, "X-means", ICML 2000).
func (m *KMeans) BIC() float64 {
	counts := make([]int, m.K)
	for _, c := range m.Labels {
		counts[c]++
	}
	n := float64(len(m.Labels))
	values := float64(n * float64(m.Dim))
	variance := max(m.Inertia/values, 1e-300)
	ll := float64(-0.5 * float64(values*(1+logTau+log(variance))))
	for _, c := range counts {
		if c > 0 {
			ll += float64(float64(c) * log(float64(c)/n))
		}
	}
	parameters := float64(m.K*m.Dim + m.K)
	return float64(parameters*log(n)) - float64(2*ll)
}
