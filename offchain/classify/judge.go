package classify

import (
	"context"
	"fmt"

	"github.com/foggrid/fogd/offchain/classify/quant"
)

// Verdict is what a voter finds of a proposed model on its own rows.
type Verdict struct {
	Accept       bool
	Reason       string  // why not
	Theirs, Ours float64 // mean log-likelihood of a row, in the scale of the proposed model
}

// Tolerances of Judge: of the log-likelihood in nats a row, and of the scaling in interquartile ranges and their ratio.
const (
	JudgeTolerance = 0.02
	centerSlack    = 0.25
	rangeSlack     = 1.5
)

// Judge compares a proposed model with a fit of one's own on rows t, scaled as the model scales: it is acceptable if it explains them no worse by
// more than JudgeTolerance, and scales them about as one would oneself. own is the mixture to compare with if it is not nil, or else one of as many
// components of the same shape is fitted.
func Judge(ctx context.Context, q *quant.Model, t *Integers, features []Feature, own *Mixture, src Source) (Verdict, error) {
	m, s, err := Dequantise(q)
	if err != nil {
		return Verdict{Reason: err.Error()}, nil
	}
	if reason := differs(q, features, t.Categories); reason != "" {
		return Verdict{Reason: reason}, nil
	}
	d, err := t.Data(features)
	if err != nil {
		return Verdict{}, err
	}
	mine, err := FitScaler(d, features)
	if err != nil {
		return Verdict{}, err
	}
	if i := drifted(s, mine, centerSlack, rangeSlack); i >= 0 {
		return Verdict{Reason: fmt.Sprintf("feature %q is scaled by centre %g and range %g; the rows have %g and %g",
			s[i].Name, s[i].Center, s[i].Range, mine[i].Center, mine[i].Range)}, nil
	}
	scaled, err := s.Apply(d)
	if err != nil {
		return Verdict{}, err
	}
	theirs, err := m.Score(scaled, false)
	if err != nil {
		return Verdict{}, err
	}
	if own == nil {
		if m.K > scaled.Rows {
			return Verdict{Reason: fmt.Sprintf("the model has %d components for %d rows", m.K, scaled.Rows)}, nil
		}
		g, err := FitGMM(ctx, scaled, GMMOptions{K: m.K, Covariance: m.Covariance, Noise: ScaledNoise}, src)
		if err != nil {
			return Verdict{}, err
		}
		own = g.Mixture
	}
	ours, err := own.Score(scaled, false)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Theirs: theirs.LogLikelihood, Ours: ours.LogLikelihood}
	if v.Accept = v.Theirs >= v.Ours-JudgeTolerance; !v.Accept {
		v.Reason = fmt.Sprintf("the model explains a row %.4f nats worse than a fit of one's own; allowed are %g", v.Ours-v.Theirs, JudgeTolerance)
	}
	return v, nil
}

// differs says in what the model's columns are not those expected.
func differs(q *quant.Model, features []Feature, categories []Category) string {
	if len(q.Features) != len(features) || len(q.Categories) != len(categories) {
		return fmt.Sprintf("the model has %d features and %d categories; expected are %d and %d", len(q.Features), len(q.Categories), len(features), len(categories))
	}
	for i, f := range features {
		if g := q.Features[i]; g.Name != f.Name || g.Log != f.Log || g.Unit != max(1, f.Unit) {
			return fmt.Sprintf("feature %d is %q (log %v, unit %d); expected is %q (log %v, unit %d)", i+1, g.Name, g.Log, g.Unit, f.Name, f.Log, max(1, f.Unit))
		}
	}
	for i, c := range categories {
		if len(q.Categories[i].Levels) != len(c.Levels) || q.Categories[i].Name != c.Name {
			return fmt.Sprintf("category %d is %q; expected is %q with %d levels", i+1, q.Categories[i].Name, c.Name, len(c.Levels))
		}
		for j, l := range c.Levels {
			if q.Categories[i].Levels[j] != l {
				return fmt.Sprintf("level %d of category %q is %q; expected is %q", j, c.Name, q.Categories[i].Levels[j], l)
			}
		}
	}
	return ""
}
