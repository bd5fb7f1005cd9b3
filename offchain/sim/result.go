package sim

import (
	"math"
	"slices"
)

// Result of an experiment.
type Result struct {
	Scenario Scenario `json:"scenario"`
	Nodes    int      `json:"nodes"`
	Jobs     int      `json:"jobs"`
	Seeds    []uint64 `json:"seeds"`
	// Order of the policies as they were asked for; references come last.
	Order    []string                 `json:"order"`
	Policies map[string]*PolicyResult `json:"policies"`
}

// PolicyResult is what a policy did in all worlds; ratios are means of the seeds' ratios.
type PolicyResult struct {
	// Reference is true for a policy that was not asked for.
	Reference bool `json:"reference,omitempty"`
	// LossRatio and CostPerSuccessRatio are over the oracle's.
	LossRatio           float64 `json:"loss_ratio"`
	CostPerSuccessRatio float64 `json:"cost_per_success_ratio"`
	FailureRate         float64 `json:"failure_rate"`
	// FailureRatio is over the oracle's.
	FailureRatio float64 `json:"failure_ratio"`
	// RegretRatioLastQuarter is over random's.
	RegretRatioLastQuarter float64 `json:"regret_ratio_last_quarter"`
	DecisionNsP50          float64 `json:"decision_ns_p50"`
	DecisionNsP99          float64 `json:"decision_ns_p99"`
	// LiarShareLastQuarter is the share of jobs that went to nodes that declare too much.
	LiarShareLastQuarter float64     `json:"liar_share_last_quarter"`
	Mean                 Means       `json:"mean"`
	Interval95           Intervals   `json:"interval95"`
	PerSeed              []*Seed     `json:"per_seed"`
	Drift                DriftResult `json:"drift"`
	Bins                 []Bin       `json:"bins"`
}

// Means over seeds, in dollars.
type Means struct {
	Loss              float64 `json:"loss"`
	CostPerSuccess    float64 `json:"cost_per_success"`
	RegretLastQuarter float64 `json:"regret_last_quarter"`
	Unplaced          float64 `json:"unplaced"`
	Lost              float64 `json:"lost"`
	LossRatioMinusFog float64 `json:"loss_ratio_minus_fog"`
}

// Interval is a 95 % confidence interval by Student's t over the seeds; with one seed it is a point.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Intervals of the ratios are paired: seed by seed over the reference in the same world.
type Intervals struct {
	LossRatio              Interval `json:"loss_ratio"`
	CostPerSuccessRatio    Interval `json:"cost_per_success_ratio"`
	FailureRate            Interval `json:"failure_rate"`
	FailureRatio           Interval `json:"failure_ratio"`
	RegretRatioLastQuarter Interval `json:"regret_ratio_last_quarter"`
	// LossRatioMinusFog says by how much a policy is worse than fog: better or worse for sure where it does not hold 0.
	LossRatioMinusFog Interval `json:"loss_ratio_minus_fog"`
}

// Seed is one run of one policy.
type Seed struct {
	Seed                   uint64      `json:"seed"`
	Loss                   float64     `json:"loss"`
	LossRatio              float64     `json:"loss_ratio"`
	CostPerSuccess         float64     `json:"cost_per_success"`
	CostPerSuccessRatio    float64     `json:"cost_per_success_ratio"`
	FailureRate            float64     `json:"failure_rate"`
	FailureRatio           float64     `json:"failure_ratio"`
	RegretLastQuarter      float64     `json:"regret_last_quarter"`
	RegretRatioLastQuarter float64     `json:"regret_ratio_last_quarter"`
	DecisionNsP50          float64     `json:"decision_ns_p50"`
	DecisionNsP99          float64     `json:"decision_ns_p99"`
	LiarShareLastQuarter   float64     `json:"liar_share_last_quarter"`
	Lost                   int         `json:"lost"`
	Unplaced               int         `json:"unplaced"`
	Drift                  DriftResult `json:"drift"`

	bins []bin
}

// DriftResult is of nodes that had at least five jobs and then went bad. Jobs is how many outcomes of the node had been heard since, when
// nine of ten of the jobs were placed that it got although there was a better node; after so many it is avoided. UsedAgain of those
// that Recovered got jobs again. Wanted are those that since then were the best node for at least five jobs as they came; of others
// nobody would ask that they are used, not even one who knows everything. Due are those of the wanted that recovered before the end by at least
// match.LongestRetry, the time after which fog tries the node that it doubts most: no policy that waits so long could have used the others.
// Twins are nodes that never go bad and are counted as if they did, at times drawn alike: some of them are not used either, for a policy that
// learns finds a few nodes too late or not at all.
type DriftResult struct {
	Nodes           int `json:"nodes"`
	AvoidedWithin50 int `json:"avoided_within_50"`
	JobsP50         int `json:"jobs_p50"`
	JobsP90         int `json:"jobs_p90"`
	JobsMax         int `json:"jobs_max"`
	Recovered       int `json:"recovered"`
	UsedAgain       int `json:"used_again"`
	Wanted          int `json:"wanted"`
	WantedUsedAgain int `json:"wanted_used_again"`
	Due             int `json:"due"`
	DueUsedAgain    int `json:"due_used_again"`

	TwinsDue          int `json:"twins_due"`
	TwinsDueUsedAgain int `json:"twins_due_used_again"`
}

// Bin is the mean of a fortieth of the jobs over all seeds.
type Bin struct {
	Loss        float64 `json:"loss"`
	Regret      float64 `json:"regret"`
	FailureRate float64 `json:"failure_rate"`
}

func (t *tally) seed(seed uint64) *Seed {
	return &Seed{
		Seed: seed, Loss: ratio(t.loss, float64(t.decisions)),
		CostPerSuccess:    ratio(float64(t.paid)/1e6, float64(t.ends-t.fails)),
		FailureRate:       ratio(float64(t.fails), float64(t.ends)),
		RegretLastQuarter: ratio(t.lastRegret, float64(t.lastCompared)),
		DecisionNsP50:     t.percentile(0.5), DecisionNsP99: t.percentile(0.99),
		LiarShareLastQuarter: ratio(float64(t.lastLiars), float64(t.lastDecisions)),
		Lost:                 t.losses, Unplaced: t.unplaced, Drift: t.drift.result(), bins: t.bins,
	}
}

// ratio is zero where there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// result puts the seeds that are complete together.
func (x *Experiment) result(names []string, rows [][]*Seed) *Result {
	oracle, random := slices.Index(names, "oracle"), slices.Index(names, "random")
	out := &Result{Scenario: x.Scenario, Nodes: x.Scenario.Nodes, Jobs: x.Jobs, Order: names, Policies: map[string]*PolicyResult{}}
	for _, row := range rows {
		out.Seeds = append(out.Seeds, row[0].Seed)
		for _, s := range row {
			if oracle >= 0 {
				s.LossRatio = ratio(s.Loss, row[oracle].Loss)
				s.CostPerSuccessRatio = ratio(s.CostPerSuccess, row[oracle].CostPerSuccess)
				s.FailureRatio = ratio(s.FailureRate, row[oracle].FailureRate)
			}
			if random >= 0 {
				s.RegretRatioLastQuarter = ratio(s.RegretLastQuarter, row[random].RegretLastQuarter)
			}
		}
	}
	fog := slices.Index(names, "fog")
	for p, name := range names {
		out.Policies[name] = summarise(rows, p, fog)
		out.Policies[name].Reference = !slices.Contains(x.Policies, name)
	}
	return out
}

func summarise(rows [][]*Seed, p, fog int) *PolicyResult {
	r := &PolicyResult{}
	over := func(of func(*Seed) float64) (float64, Interval) {
		values := make([]float64, len(rows))
		for i, row := range rows {
			values[i] = of(row[p])
		}
		return meanInterval(values)
	}
	mean := func(of func(*Seed) float64) float64 {
		m, _ := over(of)
		return m
	}
	in := &r.Interval95
	r.LossRatio, in.LossRatio = over(func(s *Seed) float64 { return s.LossRatio })
	r.CostPerSuccessRatio, in.CostPerSuccessRatio = over(func(s *Seed) float64 { return s.CostPerSuccessRatio })
	r.FailureRate, in.FailureRate = over(func(s *Seed) float64 { return s.FailureRate })
	r.FailureRatio, in.FailureRatio = over(func(s *Seed) float64 { return s.FailureRatio })
	r.RegretRatioLastQuarter, in.RegretRatioLastQuarter = over(func(s *Seed) float64 { return s.RegretRatioLastQuarter })
	r.DecisionNsP50 = mean(func(s *Seed) float64 { return s.DecisionNsP50 })
	r.DecisionNsP99 = mean(func(s *Seed) float64 { return s.DecisionNsP99 })
	r.LiarShareLastQuarter = mean(func(s *Seed) float64 { return s.LiarShareLastQuarter })
	r.Mean = Means{
		Loss:              mean(func(s *Seed) float64 { return s.Loss }),
		CostPerSuccess:    mean(func(s *Seed) float64 { return s.CostPerSuccess }),
		RegretLastQuarter: mean(func(s *Seed) float64 { return s.RegretLastQuarter }),
		Unplaced:          mean(func(s *Seed) float64 { return float64(s.Unplaced) }),
		Lost:              mean(func(s *Seed) float64 { return float64(s.Lost) }),
	}
	if fog >= 0 {
		values := make([]float64, len(rows))
		for i, row := range rows {
			values[i] = row[p].LossRatio - row[fog].LossRatio
		}
		r.Mean.LossRatioMinusFog, in.LossRatioMinusFog = meanInterval(values)
	}
	r.Bins = make([]Bin, binCount)
	for _, row := range rows {
		s := row[p]
		r.PerSeed = append(r.PerSeed, s)
		r.Drift.add(s.Drift)
		for b := range r.Bins {
			r.Bins[b].Loss += ratio(s.bins[b].loss, float64(s.bins[b].n)) / float64(len(rows))
			r.Bins[b].Regret += ratio(s.bins[b].regret, float64(s.bins[b].compared)) / float64(len(rows))
			r.Bins[b].FailureRate += ratio(float64(s.bins[b].fails), float64(s.bins[b].ends)) / float64(len(rows))
		}
	}
	return r
}

// add sums the counts of seeds; of the percentiles it keeps the worst.
func (d *DriftResult) add(o DriftResult) {
	d.Nodes += o.Nodes
	d.AvoidedWithin50 += o.AvoidedWithin50
	d.JobsP50, d.JobsP90, d.JobsMax = max(d.JobsP50, o.JobsP50), max(d.JobsP90, o.JobsP90), max(d.JobsMax, o.JobsMax)
	d.Recovered += o.Recovered
	d.UsedAgain += o.UsedAgain
	d.Wanted += o.Wanted
	d.WantedUsedAgain += o.WantedUsedAgain
	d.Due += o.Due
	d.DueUsedAgain += o.DueUsedAgain
	d.TwinsDue += o.TwinsDue
	d.TwinsDueUsedAgain += o.TwinsDueUsedAgain
}

// meanInterval is the mean and its 95 % interval by Student's t.
func meanInterval(values []float64) (float64, Interval) {
	n := float64(len(values))
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	m := sum / n
	if n < 2 {
		return m, Interval{m, m}
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - m) * (v - m)
	}
	half := studentT(len(values)-1) * math.Sqrt(squares/(n-1)/n)
	return m, Interval{m - half, m + half}
}

// studentT is the 0.975 quantile of Student's t with some degrees of freedom, to 0.001: a table up to 10, and above it the first terms of
// its expansion in the normal quantile (Abramowitz and Stegun, 26.7.5).
func studentT(freedom int) float64 {
	table := []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	const z = 1.959964
	n := float64(freedom)
	z3 := z * z * z
	z5 := z3 * z * z
	return z + (z3+z)/4/n + (5*z5+16*z3+3*z)/96/n/n + (3*z5*z*z+19*z5+17*z3-15*z)/384/n/n/n
}
