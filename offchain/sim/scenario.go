package sim

import (
	"encoding/json"
	"fmt"
	"math"
)

// Scenario says what happens in a world; the zero value of a part leaves it out. Read and DefaultScenario fill the rest.
type Scenario struct {
	Name string `json:"name"`
	// Nodes is how many there are at a time, drawn from the catalogue.
	Nodes int `json:"nodes"`
	// Load is jobs a node and hour.
	Load float64 `json:"load"`
	// Attempts is how often a job is tried before it is given up.
	Attempts int `json:"attempts"`
	// Warmup is the share of the jobs that is not counted.
	Warmup  float64      `json:"warmup"`
	Jobs    JobModel     `json:"jobs"`
	Loss    LossModel    `json:"loss"`
	Hidden  HiddenModel  `json:"hidden"`
	Drift   DriftModel   `json:"drift"`
	Churn   ChurnModel   `json:"churn"`
	Liars   LiarModel    `json:"liars"`
	Offline OfflineModel `json:"offline"`
	Outages OutageModel  `json:"outages"`
}

// JobModel is the stream of jobs.
type JobModel struct {
	// WorkMedian in hours at the reference speed, and the σ of its logarithm.
	WorkMedian float64 `json:"work_median"`
	WorkSigma  float64 `json:"work_sigma"`
	// TailShare of the jobs have Pareto work with exponent TailAlpha in place of it.
	TailShare float64 `json:"tail_share"`
	TailAlpha float64 `json:"tail_alpha"`
	// MaxCPUs is the most vCPUs of a job; sizes are powers of two.
	MaxCPUs int `json:"max_cpus"`
	// Diurnal is the swing of the load over a day, from 0 to 1.
	Diurnal float64 `json:"diurnal"`
}

// LossModel holds Φ in dollars a failure and λ in dollars a millisecond.
type LossModel struct {
	Failure float64 `json:"failure"`
	RTT     float64 `json:"rtt"`
}

// HiddenModel is how reliability and speed come about: logit p = Base + Markup·z + Speed·(single−2364)/700 + N(0, Vendor) + N(0, Node),
// where z is the normal number behind the markup e^{Price·z} of the node's price.
type HiddenModel struct {
	Base, Markup, Speed, Vendor, Node, Price float64
	// SpeedSigma is that of log s; SlowShare of the nodes deliver half of it; RunSigma is the noise of a single run.
	SpeedSigma, SlowShare, RunSigma float64
}

// DriftModel makes a share of the nodes go bad at a random time, and recover after some hours if that is not zero.
type DriftModel struct{ Share, Logit, RecoverHours float64 }

// ChurnModel replaces nodes by new ones.
type ChurnModel struct{ PerHour float64 }

// LiarModel makes a share of the nodes declare Factor times their speed.
type LiarModel struct{ Share, Factor float64 }

// OfflineModel makes a share of the nodes go offline for some hours of each day, and take no work in the LeadHours before.
type OfflineModel struct{ Share, Hours, LeadHours float64 }

// OutageModel takes all nodes of a place down at times.
type OutageModel struct{ PerDay, Hours float64 }

// DefaultScenario is the stationary one.
func DefaultScenario() Scenario {
	return Scenario{
		Name: "stationary", Nodes: 5000, Load: 0.5, Attempts: 1,
		Jobs:    JobModel{WorkMedian: 0.5, WorkSigma: 0.8, TailAlpha: 1.5, MaxCPUs: 32},
		Loss:    LossModel{Failure: 0.15, RTT: 5e-5},
		Hidden:  HiddenModel{Base: 2.6, Markup: 0.6, Speed: 0.4, Vendor: 0.7, Node: 0.9, Price: 0.35, SpeedSigma: 0.08, SlowShare: 0.05, RunSigma: 0.05},
		Drift:   DriftModel{Logit: -2},
		Liars:   LiarModel{Factor: 1.4},
		Offline: OfflineModel{Hours: 8, LeadHours: 2},
		Outages: OutageModel{Hours: 2},
	}
}

// setting is a field of the file.
type setting struct {
	path, about string
	// low and high are the bounds of a number.
	low, high float64
	to        any // *string, *int or *float64
}

func (s *Scenario) settings() []setting {
	return []setting{
		{"name", "Name of the scenario, for people.", 0, 0, &s.Name},
		{"nodes", "Nodes at a time, drawn from the catalogue.", 1, 4 << 20, &s.Nodes},
		{"load", "Jobs a node and hour.", 1e-6, 1000, &s.Load},
		{"attempts", "How often a job is tried.", 1, 10, &s.Attempts},
		{"warmup", "Share of the jobs at the start that is not counted.", 0, 0.9, &s.Warmup},
		{"jobs.work_median", "Median work in hours at the reference speed.", 1e-4, 1000, &s.Jobs.WorkMedian},
		{"jobs.work_sigma", "Standard deviation of the logarithm of the work.", 0, 3, &s.Jobs.WorkSigma},
		{"jobs.tail_share", "Share of the jobs with Pareto work.", 0, 1, &s.Jobs.TailShare},
		{"jobs.tail_alpha", "Exponent of the Pareto work.", 1.01, 10, &s.Jobs.TailAlpha},
		{"jobs.max_cpus", "Most vCPUs of a job; sizes are powers of two.", 1, 256, &s.Jobs.MaxCPUs},
		{"jobs.diurnal", "Swing of the load over a day.", 0, 1, &s.Jobs.Diurnal},
		{"loss.failure", "Cost of a failed run in dollars.", 0, 1000, &s.Loss.Failure},
		{"loss.rtt", "Cost of a millisecond of round trip in dollars.", 0, 1, &s.Loss.RTT},
		{"hidden.base", "Mean of logit p.", -10, 10, &s.Hidden.Base},
		{"hidden.markup", "Change of logit p by a standard deviation of markup.", -10, 10, &s.Hidden.Markup},
		{"hidden.speed", "Change of logit p by 700 points of speed.", -10, 10, &s.Hidden.Speed},
		{"hidden.vendor", "Standard deviation of logit p between owners.", 0, 10, &s.Hidden.Vendor},
		{"hidden.node", "Standard deviation of logit p between nodes.", 0, 10, &s.Hidden.Node},
		{"hidden.price", "Standard deviation of the logarithm of the markup.", 0, 3, &s.Hidden.Price},
		{"hidden.speed_sigma", "Standard deviation of the logarithm of delivered over claimed speed.", 0, 2, &s.Hidden.SpeedSigma},
		{"hidden.slow_share", "Share of the nodes that deliver half.", 0, 1, &s.Hidden.SlowShare},
		{"hidden.run_sigma", "Standard deviation of the logarithm of a run's time.", 0, 2, &s.Hidden.RunSigma},
		{"drift.share", "Share of the nodes that go bad at some time.", 0, 1, &s.Drift.Share},
		{"drift.logit", "What logit p is then.", -10, 10, &s.Drift.Logit},
		{"drift.recover_hours", "Hours until such a node is as before; 0 is never.", 0, 1e6, &s.Drift.RecoverHours},
		{"churn.per_hour", "Share of the nodes that is replaced by new ones in an hour.", 0, 1, &s.Churn.PerHour},
		{"liars.share", "Share of the nodes that declare more speed than they have.", 0, 1, &s.Liars.Share},
		{"liars.factor", "How much more.", 1, 10, &s.Liars.Factor},
		{"offline.share", "Share of the nodes with announced offline hours each day.", 0, 1, &s.Offline.Share},
		{"offline.hours", "Hours offline.", 0.1, 23, &s.Offline.Hours},
		{"offline.lead_hours", "Hours before, in which they take no new work.", 0, 23, &s.Offline.LeadHours},
		{"outages.per_day", "Outages of a whole place in a day.", 0, 1000, &s.Outages.PerDay},
		{"outages.hours", "Mean hours of an outage.", 0.01, 1000, &s.Outages.Hours},
	}
}

// check names the fields with values out of bounds.
func (s *Scenario) check(report func(path, problem string)) {
	for _, f := range s.settings() {
		v := 0.0
		switch p := f.to.(type) {
		case *int:
			v = float64(*p)
		case *float64:
			v = *p
		default:
			continue
		}
		if math.IsNaN(v) || v < f.low || v > f.high {
			report(f.path, fmt.Sprintf("is %v; it must be from %v to %v", v, f.low, f.high))
		}
	}
	if s.Offline.Share > 0 && s.Offline.Hours+s.Offline.LeadHours >= 24 {
		report("offline.lead_hours", "with offline.hours leaves nothing of the day; make them less than 24 together")
	}
}

// Validate tells whether the scenario can be run.
func (s *Scenario) Validate() error {
	var problems Problems
	s.check(func(path, problem string) { problems = append(problems, Problem{Field: path, Text: problem}) })
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// MarshalJSON writes the scenario in the form of its file.
func (s Scenario) MarshalJSON() ([]byte, error) {
	out := map[string]any{"version": 1}
	for _, f := range s.settings() {
		group, leaf := split(f.path)
		to := out
		if group != "" {
			if out[group] == nil {
				out[group] = map[string]any{}
			}
			to = out[group].(map[string]any)
		}
		to[leaf] = f.to
	}
	return json.Marshal(out)
}
