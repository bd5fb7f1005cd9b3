package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func testExperiment(policies ...string) *Experiment {
	sc := DefaultScenario()
	sc.Nodes = 200
	return &Experiment{Catalogue: Generate(500, 1), Scenario: sc, Policies: policies, Jobs: 3000, Seeds: []uint64{1, 2}}
}

// All policies finish, none does better than is possible, and those that know or learn more do better.
func TestPolicies(t *testing.T) {
	names, about := Policies()
	require.Len(t, about, len(names))
	r, err := testExperiment(names...).Run(context.Background())
	require.NoError(t, err)
	require.Equal(t, names, r.Order)
	for name, p := range r.Policies {
		require.Len(t, p.PerSeed, 2)
		require.GreaterOrEqual(t, p.RegretRatioLastQuarter, -1e-9, "%s: nothing is better than the best", name)
		require.Zero(t, p.Mean.Unplaced, name)
		require.False(t, p.Reference)
		for _, b := range p.Bins {
			require.GreaterOrEqual(t, b.Regret, -1e-9)
		}
	}
	loss := func(name string) float64 { return r.Policies[name].LossRatio }
	require.Equal(t, 1.0, loss("oracle"))
	require.Equal(t, 1.0, r.Policies["random"].RegretRatioLastQuarter)
	for _, order := range [][]string{
		{"oracle", "fog", "greedy", "random"}, {"flat", "epsilon-greedy", "random"}, {"flat", "thompson"}, {"linucb", "random"}, {"flat", "ucb1"},
		{"cheapest", "random"}, {"greedy", "nearest"}, {"greedy", "bin-packing"},
	} {
		for i := range len(order) - 1 {
			require.Less(t, loss(order[i]), loss(order[i+1]), "%s must beat %s", order[i], order[i+1])
		}
	}
	require.InDelta(t, 0, r.Policies["fog"].Mean.LossRatioMinusFog, 1e-12)
	require.Positive(t, r.Policies["random"].Interval95.LossRatioMinusFog.High)
}

// The same seeds give the same result, however many runs there are at a time.
func TestDeterminism(t *testing.T) {
	run := func(workers int) string {
		x := testExperiment("fog", "thompson", "epsilon-greedy")
		x.Workers = workers
		x.Scenario.Churn.PerHour, x.Scenario.Drift.Share, x.Scenario.Outages.PerDay, x.Scenario.Offline.Share = 0.05, 0.1, 4, 0.2
		x.Scenario.Attempts = 3
		r, err := x.Run(context.Background())
		require.NoError(t, err)
		out, err := json.Marshal(r)
		require.NoError(t, err)
		return string(out)
	}
	require.Equal(t, run(1), run(3))
}

func TestReferencesRunUnasked(t *testing.T) {
	r, err := testExperiment("flat").Run(context.Background())
	require.NoError(t, err)
	require.Equal(t, []string{"flat", "oracle", "random"}, r.Order)
	require.True(t, r.Policies["oracle"].Reference)
	require.Greater(t, r.Policies["flat"].LossRatio, 1.0)

	x := testExperiment("flat")
	x.Alone = true
	r, err = x.Run(context.Background())
	require.NoError(t, err)
	require.Equal(t, []string{"flat"}, r.Order)
	require.Zero(t, r.Policies["flat"].LossRatio)
	require.Positive(t, r.Policies["flat"].Mean.Loss)
}

func TestExperimentProblems(t *testing.T) {
	for want, change := range map[string]func(*Experiment){
		`no policy "fgo"; there are fog`: func(x *Experiment) { x.Policies = []string{"fgo"} },
		"named twice":                    func(x *Experiment) { x.Policies = []string{"flat", "flat"} },
		"no policies":                    func(x *Experiment) { x.Policies = nil },
		"no seeds":                       func(x *Experiment) { x.Seeds = nil },
		"no servers":                     func(x *Experiment) { x.Catalogue = nil },
		"99 jobs say nothing":            func(x *Experiment) { x.Jobs = 99 },
		"load is 0":                      func(x *Experiment) { x.Scenario.Load = 0 },
	} {
		x := testExperiment("flat")
		change(x)
		_, err := x.Run(context.Background())
		require.ErrorContains(t, err, want)
	}
}

// An interrupted experiment says what its complete seeds have shown.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	x := testExperiment("flat")
	x.Progress = func(done, total int64) {
		require.Equal(t, int64(2*3*3000), total)
		if done > total/2 {
			cancel()
		}
	}
	r, err := x.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []uint64{1}, r.Seeds)

	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	r, err = x.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, r)
}

func TestReport(t *testing.T) {
	x := testExperiment("flat", "greedy")
	x.Scenario.Name, x.Scenario.Drift.Share = "<b>&", 0.2
	r, err := x.Run(context.Background())
	require.NoError(t, err)
	var page bytes.Buffer
	require.NoError(t, WriteReport(&page, r))
	text := page.String()
	require.Equal(t, 3, strings.Count(text, "<svg"))
	require.NotContains(t, text, "<b>", "names are escaped")
	require.NotContains(t, text, "%!", "formats fit")
	require.NotContains(t, text, "NaN")
	require.NotContains(t, text, "http", "the page needs nothing else")
	dec := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(text, "<!doctype html>\n")))
	for {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	full := errors.New("disk full")
	require.ErrorIs(t, WriteReport(failing{full}, r), full)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// The running inverse of LinUCB is that of the matrix.
func TestLinUCBInverse(t *testing.T) {
	w := testWorld(nil)
	policy, err := newLinUCB(w, NewRand(1))
	require.NoError(t, err)
	p := policy.(*linUCBPolicy)
	d := p.dim
	matrix := make([]float64, d*d)
	for i := range d {
		matrix[i*d+i] = ridge
	}
	r := NewRand(2)
	for range 300 {
		i := r.IntN(w.Len())
		p.Observe(Outcome{Node: i, OK: r.Float() < 0.9, Speed: 1})
		for a, x := range p.x[i] {
			for b, y := range p.x[i] {
				matrix[a*d+b] += x * y
			}
		}
	}
	for a := range d {
		for b := range d {
			sum := 0.0
			for k := range d {
				sum += matrix[a*d+k] * p.inverse[k*d+b]
			}
			want := 0.0
			if a == b {
				want = 1
			}
			require.InDelta(t, want, sum, 1e-8)
		}
	}
}

func TestIntervals(t *testing.T) {
	for freedom, want := range map[int]float64{1: 12.706, 4: 2.776, 10: 2.228, 11: 2.201, 19: 2.093, 29: 2.045, 100: 1.984} {
		require.InDelta(t, want, studentT(freedom), 0.0011, "%d", freedom)
	}
	m, in := meanInterval([]float64{1, 2, 3, 4})
	require.Equal(t, 2.5, m)
	require.InDelta(t, 2.5-3.182*math.Sqrt(5.0/3/4), in.Low, 1e-9)
	m, in = meanInterval([]float64{7})
	require.Equal(t, Interval{7, 7}, in)
	require.Equal(t, 7.0, m)
}

func TestNormalQuantiles(t *testing.T) {
	q := normalQuantiles()
	for k, z := range q {
		require.InDelta(t, (float64(k)+0.5)/1024, normalCDF(z), 1e-9)
	}
}

func normalCDF(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// Our policy leaves nodes that go bad, and comes back to those that recover.
func TestDriftIsSeen(t *testing.T) {
	x := testExperiment("fog")
	x.Jobs = 10_000 // 50 a node
	x.Scenario.Drift = DriftModel{Share: 0.2, Logit: -2, RecoverHours: 25}
	r, err := x.Run(context.Background())
	require.NoError(t, err)
	d := r.Policies["fog"].Drift
	require.Greater(t, d.Nodes, 8)
	require.Equal(t, d.Nodes, d.AvoidedWithin50, "%+v", d)
	require.Greater(t, d.Due, 5, "%+v", d)
	require.Equal(t, d.Due, d.DueUsedAgain, "%+v", d)
	require.Greater(t, d.TwinsDue, 5, "%+v", d)
	require.LessOrEqual(t, d.TwinsDueUsedAgain, d.TwinsDue)
	require.Less(t, d.Due, d.Wanted, "of some the end comes before the trial: %+v", d)
}

func BenchmarkRun(b *testing.B) {
	for _, name := range []string{"fog", "flat", "oracle"} {
		b.Run(name, func(b *testing.B) {
			sc := DefaultScenario()
			x := &Experiment{Catalogue: Generate(4000, 1), Scenario: sc, Policies: []string{name}, Jobs: 20_000, Seeds: []uint64{1}, Alone: true}
			for range b.N {
				if _, err := x.Run(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(x.Jobs)*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}
