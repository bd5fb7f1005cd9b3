package classify

import (
	"fmt"
	"math"
	"strings"

	"github.com/foggrid/fogd/offchain/classify/quant"
)

// Quantise makes the integer model of a mixture that was fitted on rows scaled by s. ids and names are those of the classes, one a component.
// Names are cut to the length that the chain allows. An error says what does not fit into the integers.
func Quantise(m *Mixture, s Scaler, ids []uint32, names []string) (*quant.Model, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if len(s) != m.Dim || len(ids) != m.K || len(names) != m.K {
		return nil, fmt.Errorf("%d columns are scaled and %d ids and %d names given for %d components in %d dimensions", len(s), len(ids), len(names), m.K, m.Dim)
	}
	q := &quant.Model{}
	for i := range s {
		f, err := quantiseFeature(&s[i])
		if err != nil {
			return nil, err
		}
		q.Features = append(q.Features, f)
	}
	for _, c := range m.Categories {
		q.Categories = append(q.Categories, quant.Category{Name: c.Name, Levels: c.Levels})
	}
	full := m.full()
	for c := range m.K {
		raiseEigenvalues(full.covariance(c), ones(m.Dim), m.Dim, eigenvalueFloor)
	}
	k := newKernel(full)
	if k == nil {
		return nil, errSingular
	}
	for c := range m.K {
		p := quant.Component{
			ID: ids[c], Name: cutName(names[c]), //nolint:gosec // ids and names have one entry a class
			Constant: fixed(max(k.constant[c], -1e6), quant.ScoreBits),
			Mean:     fixeds(full.mean(c), quant.ScaledBits),
			Factor:   fixeds(k.w[c*k.stride:(c+1)*k.stride], quant.FactorBits),
		}
		for j, logs := range k.logP {
			levels := len(full.Categories[j].Levels)
			p.LogP = append(p.LogP, fixeds(logs[c*levels:(c+1)*levels], quant.ScoreBits))
		}
		q.Components = append(q.Components, p)
	}
	if err := q.Validate(); err != nil {
		return nil, fmt.Errorf("the mixture does not fit into the integers of the chain: %w", err)
	}
	return q, nil
}

// cutName is the traits of a profile that fit.
func cutName(name string) string {
	for len(name) > quant.MaxName {
		name = name[:max(0, strings.LastIndex(name, ", "))]
	}
	return name
}

// full is a copy with a matrix for each component.
func (m *Mixture) full() *Mixture {
	out := m.Clone()
	out.Covariance = Full
	size := packedLen(m.Dim)
	out.Covariances = make([]float64, m.K*size)
	for c := range m.K {
		to := out.covariance(c)
		if m.Covariance != Diagonal {
			copy(to, m.covariance(c))
			continue
		}
		for j, v := range m.covariance(c) {
			to[packedAt(j, j)] = v
		}
	}
	return out
}

func quantiseFeature(s *Scaled) (quant.Feature, error) {
	f := quant.Feature{Name: s.Name, Log: s.Log, Unit: max(1, s.Unit)}
	// The factor from t, in Q32 of a binary logarithm or in counts, to Q24 of the scaled value.
	factor := 1 / s.Range
	center := float64(s.Center * float64(f.Unit))
	if s.Log {
		factor = float64(factor*math.Ln2) / (1 << 32)
		center = float64(s.Center/math.Ln2) * (1 << 32)
	} else {
		factor /= float64(f.Unit)
	}
	factor = float64(factor * (1 << quant.ScaledBits))
	const precise = 1 << 40
	for factor < precise && f.Shift < quant.MaxShift {
		factor = float64(factor * 2)
		f.Shift++
	}
	if !(factor >= 1<<20 && factor < 1<<62) || !(math.Abs(center) < 1<<62) {
		return f, fmt.Errorf("feature %q has centre %g and range %g, which the chain's integers cannot hold; give it another unit", s.Name, s.Center, s.Range)
	}
	f.Center, f.Scale = int64(math.RoundToEven(center)), int64(math.RoundToEven(factor))
	return f, nil
}

func fixed(x float64, bits int) int64 {
	return int64(math.RoundToEven(float64(x * math.Ldexp(1, bits))))
}

func fixeds(x []float64, bits int) []int64 {
	out := make([]int64, len(x))
	for i, v := range x {
		out[i] = fixed(v, bits)
	}
	return out
}

// Dequantise is the mixture and the scaler that an integer model stands for; its covariances are diagonal if all are, or else full.
func Dequantise(q *quant.Model) (*Mixture, Scaler, error) {
	if err := q.Validate(); err != nil {
		return nil, nil, err
	}
	d := len(q.Features)
	m := &Mixture{Covariance: Full, K: len(q.Components), Dim: d}
	var s Scaler
	for _, f := range q.Features {
		scaled := Scaled{Feature: Feature{Name: f.Name, Log: f.Log, Unit: f.Unit, Floor: math.SmallestNonzeroFloat64}}
		factor := float64(f.Scale) / math.Ldexp(1, int(f.Shift)+quant.ScaledBits)
		scaled.Center, scaled.Range = float64(f.Center)/float64(f.Unit), 1/float64(factor*float64(f.Unit))
		if f.Log {
			scaled.Center, scaled.Range = float64(float64(f.Center)*math.Ln2)/(1<<32), math.Ln2/float64(factor*(1<<32))
		}
		s = append(s, scaled)
	}
	for i, c := range q.Categories {
		p := CategoryParameter{Name: c.Name, Levels: c.Levels}
		for _, component := range q.Components {
			for _, v := range component.LogP[i] {
				p.P = append(p.P, max(math.SmallestNonzeroFloat64, exp(float64(v)/(1<<quant.ScoreBits))))
			}
		}
		m.Categories = append(m.Categories, p)
	}
	var total float64
	k := &kernel{Mixture: m}
	w, l := make([]float64, packedLen(d)), make([]float64, packedLen(d))
	for _, c := range q.Components {
		for _, v := range c.Mean {
			m.Means = append(m.Means, float64(v)/(1<<quant.ScaledBits))
		}
		for i, v := range c.Factor {
			w[i] = float64(v) / (1 << quant.FactorBits)
		}
		invertLower(l, w, d)
		for i := range d {
			for j := range i + 1 {
				var sum float64
				for t := range j + 1 {
					sum += float64(l[packedAt(i, t)] * l[packedAt(j, t)])
				}
				m.Covariances = append(m.Covariances, sum)
			}
		}
		weight := exp(float64(c.Constant)/(1<<quant.ScoreBits) - k.logNorm(w, d))
		m.Weights = append(m.Weights, weight)
		total += weight
	}
	if !(math.Abs(total-1) < 1e-3) {
		return nil, nil, fmt.Errorf("the weights of the model's components sum to %g, not to 1", total)
	}
	for i := range m.Weights {
		m.Weights[i] /= total
	}
	m.narrow()
	return m, s, m.Validate()
}

// narrow makes full covariances diagonal if they are.
func (m *Mixture) narrow() {
	var variances []float64
	for c := range m.K {
		cov := m.covariance(c)
		for i := range m.Dim {
			for j := range i {
				if cov[packedAt(i, j)] != 0 {
					return
				}
			}
			variances = append(variances, cov[packedAt(i, i)])
		}
	}
	m.Covariance, m.Covariances = Diagonal, variances
}
