package sim

import "math"

// linUCBPolicy is LinUCB with one model for all nodes (Li, Chu, Langford and Schapire, A Contextual-Bandit Approach to Personalized News
// Article Recommendation, 2010): success and log speed are ridge regressions on what a node shows, and its owner. The inverse is kept by
// the Sherman and Morrison formula; the nodes' values are computed anew every refreshEvery outcomes.
type linUCBPolicy struct {
	f         *Fleet
	objective linear
	alpha     float64
	dim       int
	inverse   []float64 // of λI + Σ x·xᵀ
	ok, speed []float64 // Σ x·y
	x         [][]float64
	scratch   []float64
	seen      int
}

const (
	shownFeatures = 4
	refreshEvery  = 512
	ridge         = 1.0
)

func newLinUCB(w *world, _ *Rand) (Policy, error) {
	d := shownFeatures + w.Owners
	p := &linUCBPolicy{
		f: &w.Fleet, objective: newLinear(w.Len()), alpha: 0.5, dim: d, inverse: make([]float64, d*d), ok: make([]float64, d),
		speed: make([]float64, d), x: make([][]float64, w.Len()), scratch: make([]float64, d),
	}
	for i := range d {
		p.inverse[i*d+i] = 1 / ridge
	}
	for i := range p.x {
		p.x[i] = make([]float64, d)
		p.features(i)
	}
	p.refresh()
	return p, nil
}

func (p *linUCBPolicy) features(i int) {
	f := p.f
	fill(p.x[i], 0)
	copy(p.x[i], []float64{
		1, math.Log(f.PriceCPU[i]) + 4, (f.Speed[i] - ReferenceSpeed) / 700, math.Log(float64(f.CPU[i])/1000) / 2,
	})
	p.x[i][shownFeatures+int(f.Owner[i])] = 1
}

func fill(v []float64, x float64) {
	for i := range v {
		v[i] = x
	}
}

// times sets scratch to the inverse times x.
func (p *linUCBPolicy) times(x []float64) []float64 {
	for r := range p.dim {
		sum, row := 0.0, p.inverse[r*p.dim:(r+1)*p.dim]
		for c, v := range x {
			sum += row[c] * v
		}
		p.scratch[r] = sum
	}
	return p.scratch
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func (p *linUCBPolicy) refresh() {
	okWeights := append([]float64(nil), p.times(p.ok)...)
	speedWeights := append([]float64(nil), p.times(p.speed)...)
	for i := range p.x {
		p.value(i, okWeights, speedWeights)
	}
}

// value keeps what is left to learn of one: y is success − 0.9 and log speed, so that no outcome at all means 0.9 and as declared.
func (p *linUCBPolicy) value(i int, okWeights, speedWeights []float64) {
	x := p.x[i]
	width := p.alpha * math.Sqrt(max(dot(x, p.times(x)), 0))
	p.objective.fixed[i] = penalty(p.f.Loss.Failure, 0.9+dot(x, okWeights)+width)
	p.objective.time[i] = ReferenceSpeed / (p.f.Speed[i] * math.Exp(dot(x, speedWeights)))
}

// Choose takes the least optimistic loss.
func (p *linUCBPolicy) Choose(j *Job) int {
	node, _ := p.f.best(j, p.objective)
	return node
}

// Observe updates the regressions. A run that was not timed counts as one at the declared speed, so that both have the same inverse.
func (p *linUCBPolicy) Observe(o Outcome) {
	x, y := p.x[o.Node], -0.9
	if o.OK {
		y = 0.1
	}
	for i, v := range x {
		p.ok[i] += v * y
		if o.Speed > 0 {
			p.speed[i] += v * math.Log(o.Speed)
		}
	}
	ax := p.times(x)
	scale := 1 / (1 + dot(x, ax))
	for r := range p.dim {
		for c := range p.dim {
			p.inverse[r*p.dim+c] -= ax[r] * ax[c] * scale
		}
	}
	if p.seen++; p.seen%refreshEvery == 0 {
		p.refresh()
	}
}

// Replaced describes the new machine.
func (p *linUCBPolicy) Replaced(i int) {
	p.features(i)
	okWeights := append([]float64(nil), p.times(p.ok)...)
	speedWeights := append([]float64(nil), p.times(p.speed)...)
	p.value(i, okWeights, speedWeights)
}
