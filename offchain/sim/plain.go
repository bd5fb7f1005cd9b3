package sim

import "math/bits"

// The policies that learn nothing.

// forgetful policies make nothing of outcomes.
type forgetful struct{}

func (forgetful) Observe(Outcome) {}

type oraclePolicy struct {
	forgetful
	w *world
}

func newOracle(w *world, _ *Rand) (Policy, error) { return &oraclePolicy{w: w}, nil }

func (p *oraclePolicy) Choose(j *Job) int {
	node, _ := p.w.best(j, p.w.truth)
	return node
}

type randomPolicy struct {
	forgetful
	f *Fleet
	r *Rand
}

func newRandom(w *world, r *Rand) (Policy, error) { return &randomPolicy{f: &w.Fleet, r: r}, nil }

func (p *randomPolicy) Choose(j *Job) int { return p.f.anyNode(j, p.r) }

// anyNode draws a node with room, −1 if there is none.
func (f *Fleet) anyNode(j *Job, r *Rand) int {
	for range 64 {
		if i := r.IntN(f.Len()); f.fits(j, i) {
			return i
		}
	}
	start := r.IntN(f.Len())
	for k := range f.Len() {
		if i := (start + k) % f.Len(); f.fits(j, i) {
			return i
		}
	}
	return -1
}

type nearestPolicy struct {
	forgetful
	f *Fleet
	r *Rand
}

func newNearest(w *world, r *Rand) (Policy, error) { return &nearestPolicy{f: &w.Fleet, r: r}, nil }

func (p *nearestPolicy) Choose(j *Job) int {
	node, least, ties := -1, 1e300, 0
	rtt := p.f.RTT[j.Origin]
	for i := range p.f.FreeCPU {
		if v := rtt[p.f.Place[i]]; v <= least && p.f.fits(j, i) {
			if v < least {
				node, least, ties = i, v, 1
			} else if ties++; p.r.IntN(ties) == 0 {
				node = i
			}
		}
	}
	return node
}

type cheapestPolicy struct {
	forgetful
	f *Fleet
}

func newCheapest(w *world, _ *Rand) (Policy, error) { return &cheapestPolicy{f: &w.Fleet}, nil }

func (p *cheapestPolicy) Choose(j *Job) int {
	node, least := -1, 1e300
	for i := range p.f.FreeCPU {
		if v := p.f.Hourly(j, i); v < least && p.f.fits(j, i) {
			node, least = i, v
		}
	}
	return node
}

type greedyPolicy struct {
	forgetful
	f         *Fleet
	objective linear
}

func newGreedy(w *world, _ *Rand) (Policy, error) {
	p := &greedyPolicy{f: &w.Fleet, objective: newLinear(w.Len())}
	for i := range w.Len() {
		p.Replaced(i)
	}
	return p, nil
}

func (p *greedyPolicy) Replaced(i int) { p.objective.time[i] = ReferenceSpeed / p.f.Speed[i] }

func (p *greedyPolicy) Choose(j *Job) int {
	node, _ := p.f.best(j, p.objective)
	return node
}

type binPackingPolicy struct {
	forgetful
	f *Fleet
	r *Rand
}

func newBinPacking(w *world, r *Rand) (Policy, error) {
	return &binPackingPolicy{f: &w.Fleet, r: r}, nil
}

func (p *binPackingPolicy) Choose(j *Job) int {
	node, fullest := -1, -1.0
	for range max(bits.Len(uint(p.f.Len())), 2) {
		i := p.f.anyNode(j, p.r)
		if i < 0 {
			return -1
		}
		used := 2 - float64(p.f.FreeCPU[i]-j.CPU)/float64(p.f.CPU[i]) - float64(p.f.FreeMemory[i]-j.Memory)/float64(p.f.Memory[i])
		if used > fullest {
			node, fullest = i, used
		}
	}
	return node
}
