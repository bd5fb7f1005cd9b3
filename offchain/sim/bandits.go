package sim

import (
	"math"
	"sync"
)

// The bandits that know a node by its own record, and start it from the mean of all.

// ledger is what a policy keeps of each node.
type ledger struct {
	f         *Fleet
	objective linear
	// good of n outcomes; the sum of log speed over timed runs.
	good, n, logSpeed, timed []float64
	allGood, all             float64
	// strength of the prior, in outcomes, and of that of speed.
	strength, speedStrength float64
}

func newLedger(f *Fleet) *ledger {
	k := f.Len()
	l := &ledger{
		f: f, objective: newLinear(k), good: make([]float64, k), n: make([]float64, k), logSpeed: make([]float64, k),
		timed: make([]float64, k), strength: 8, speedStrength: 0.5, allGood: 9, all: 10,
	}
	for i := range k {
		l.refresh(i)
	}
	return l
}

func (l *ledger) mean(i int) float64 {
	return (l.good[i] + l.strength*l.allGood/l.all) / (l.n[i] + l.strength)
}

func (l *ledger) refresh(i int) {
	l.objective.time[i] = ReferenceSpeed / (l.f.Speed[i] * math.Exp(l.logSpeed[i]/(l.timed[i]+l.speedStrength)))
	l.objective.fixed[i] = penalty(l.f.Loss.Failure, l.mean(i))
}

// Observe adds an outcome.
func (l *ledger) Observe(o Outcome) {
	i := o.Node
	l.n[i]++
	l.all++
	if o.OK {
		l.good[i]++
		l.allGood++
	}
	if o.Speed > 0 {
		l.logSpeed[i] += math.Log(o.Speed)
		l.timed[i]++
	}
	l.refresh(i)
}

// Replaced forgets a node.
func (l *ledger) Replaced(i int) {
	l.good[i], l.n[i], l.logSpeed[i], l.timed[i] = 0, 0, 0, 0
	l.refresh(i)
}

// Tick brings the mean of all into the nodes that lean on it.
func (l *ledger) Tick(now int64) {
	if now%(hour/4) == 0 {
		for i := range l.n {
			l.refresh(i)
		}
	}
}

type flatPolicy struct{ *ledger }

func newFlat(w *world, _ *Rand) (Policy, error) { return &flatPolicy{newLedger(&w.Fleet)}, nil }

func (p *flatPolicy) Choose(j *Job) int {
	node, _ := p.f.best(j, p.objective)
	return node
}

type epsilonPolicy struct {
	*ledger
	r *Rand
}

func newEpsilonGreedy(w *world, r *Rand) (Policy, error) {
	return &epsilonPolicy{newLedger(&w.Fleet), r}, nil
}

func (p *epsilonPolicy) Choose(j *Job) int {
	if p.r.Float() < 0.05 {
		return p.f.anyNode(j, p.r)
	}
	node, _ := p.f.best(j, p.objective)
	return node
}

// scan is best for an objective whose fixed part is made up for each decision.
func (l *ledger) scan(j *Job, fixed func(i int) float64) int {
	node, least := -1, 1e300
	rtt := l.f.RTT[j.Origin]
	for i := range l.n {
		v := l.f.Hourly(j, i)*j.Work*l.objective.time[i] + l.f.Loss.RTT*rtt[l.f.Place[i]]
		if v >= least || !l.f.fits(j, i) {
			continue
		}
		if v += fixed(i); v < least {
			node, least = i, v
		}
	}
	return node
}

// ucb1Policy is UCB1 (Auer, Cesa-Bianchi and Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, 2002) on the chance of
// success, with the prior's strength in the counts.
type ucb1Policy struct{ *ledger }

func newUCB1(w *world, _ *Rand) (Policy, error) { return &ucb1Policy{newLedger(&w.Fleet)}, nil }

func (p *ucb1Policy) Choose(j *Job) int {
	width := 2 * math.Log(p.all)
	return p.scan(j, func(i int) float64 {
		return penalty(p.f.Loss.Failure, p.mean(i)+math.Sqrt(width/(p.n[i]+p.strength)))
	})
}

// thompsonPolicy draws from a normal posterior with the mean and variance of the Beta one.
type thompsonPolicy struct {
	*ledger
	r         *Rand
	quantiles []float64
}

func newThompson(w *world, r *Rand) (Policy, error) {
	return &thompsonPolicy{newLedger(&w.Fleet), r, normalQuantiles()}, nil
}

func (p *thompsonPolicy) Choose(j *Job) int {
	key := p.r.Uint64()
	return p.scan(j, func(i int) float64 {
		m := p.mean(i)
		z := p.quantiles[mix(key+uint64(i)*golden)>>54]
		return penalty(p.f.Loss.Failure, m+z*math.Sqrt(m*(1-m)/(p.n[i]+p.strength+1)))
	})
}

// normalQuantiles are the standard normal quantiles at (k+½)/1024.
var normalQuantiles = sync.OnceValue(func() []float64 {
	out := make([]float64, 1024)
	for k := range out {
		out[k] = math.Sqrt2 * math.Erfinv(2*(float64(k)+0.5)/1024-1)
	}
	return out
})
