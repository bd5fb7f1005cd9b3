package pricing

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func newTest(t testing.TB, cfg Config, seed uint64) *Pricer {
	t.Helper()
	source := splitmix(seed)
	p, err := New(cfg, &source)
	require.NoError(t, err)
	return p
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"ceiling at the cost": {Cost: 5, Ceiling: 5},
		"no ceiling":          {},
		"short horizon":       {Cost: 1, Ceiling: 10, Horizon: 2},
		"negative explore":    {Cost: 1, Ceiling: 10, Explore: -1},
		"half-life":           {Cost: 1, Ceiling: 10, HalfLife: math.NaN()},
		"class accepts more":  {Cost: 1, Ceiling: 10, Class: []Count{{Price: 5, Offers: 1, Accepted: 2}}},
		"class is no number":  {Cost: 1, Ceiling: 10, Class: []Count{{Price: 5, Offers: math.NaN()}}},
	} {
		t.Run(name, func(t *testing.T) {
			source := splitmix(1)
			_, err := New(cfg, &source)
			require.Error(t, err)
		})
	}
}

// Prices lie above the cost and at most at the ceiling, and change at most once an hour, whatever is recorded.
func TestPricesStayInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cost := rapid.Uint64Range(0, 1<<40).Draw(t, "cost")
		cfg := Config{Cost: cost, Ceiling: cost + rapid.Uint64Range(1, 1<<42).Draw(t, "span")}
		source := splitmix(rapid.Uint64().Draw(t, "seed"))
		p, err := New(cfg, &source)
		require.NoError(t, err)
		second, changed, last := int64(0), int64(-secondHour), uint64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			second += rapid.Int64Range(0, 3*secondHour).Draw(t, "wait")
			price := p.Decide(second)
			require.Greater(t, price, cfg.Cost)
			require.LessOrEqual(t, price, cfg.Ceiling)
			if price != last {
				require.GreaterOrEqual(t, second-changed, int64(secondHour))
				last, changed = price, second
			}
			offers := rapid.Float64Range(0, 1e6).Draw(t, "offers")
			require.NoError(t, p.Record(Count{price, offers, offers * rapid.Float64Range(0, 1).Draw(t, "share")}))
		}
		for _, x := range p.Expect() {
			require.True(t, x.Low <= x.Demand && x.Demand <= x.High && x.Low >= 0 && x.High <= 1, "%+v", x)
		}
	})
}

func TestRecordRefusesWhatCannotBe(t *testing.T) {
	p := newTest(t, Config{Cost: 100, Ceiling: 1000}, 1)
	require.ErrorContains(t, p.Record(Count{Price: 200, Offers: 1, Accepted: 2}), "no more accepted than offered")
	require.Error(t, p.Record(Count{Price: 200, Offers: math.Inf(1)}))
	require.Empty(t, p.State().Counts)
}

// The same seed decides the same, and a pricer that was stopped goes on where it was.
func TestStateAndSeed(t *testing.T) {
	a, b := newTest(t, Config{Cost: 100, Ceiling: 1000}, 7), newTest(t, Config{Cost: 100, Ceiling: 1000}, 7)
	for hour := range int64(40) {
		price := a.Decide(hour * secondHour)
		require.Equal(t, price, b.Decide(hour*secondHour))
		c := Count{price, 50, 20}
		require.NoError(t, a.Record(c))
		require.NoError(t, b.Record(c))
	}
	fresh := newTest(t, Config{Cost: 100, Ceiling: 1000}, 8)
	require.NoError(t, fresh.Restore(a.State()))
	require.Equal(t, a.State(), fresh.State())
	require.Equal(t, a.State().Price, fresh.Decide(39*secondHour+60), "within the hour the price holds")
	want, got := a.Expect(), fresh.Expect()
	for i := range want {
		require.InDelta(t, want[i].Demand, got[i].Demand, 1e-3) // the mode to which Newton's method comes from elsewhere
	}
	require.Error(t, fresh.Restore(State{Counts: []Count{{Price: 1, Offers: -1}}}))
}

// When all users come to value the node twice as high, the price follows.
func TestDriftIsFollowed(t *testing.T) {
	p := newTest(t, Config{Cost: testCost, Ceiling: testCeiling, HalfLife: 100}, 3)
	luck := splitmix(9)
	hour := int64(0)
	for _, center := range []float64{2.5, 5, 2} {
		d := demandCurve{demand: func(x float64) float64 { return logistic((center - x) / 0.3) }}
		best, _ := bestFixed(d, 10)
		earned := 0.0
		for h := range 600 {
			price := p.Decide(hour * secondHour)
			x := float64(price) / testCost
			require.NoError(t, p.Record(Count{price, 50, float64(binomial(&luck, 50, d.demand(x)))}))
			if h >= 300 {
				earned += (x - 1) * d.demand(x) / 300
			}
			hour++
		}
		require.Greater(t, earned, 0.95*best, "users value it at %v", center)
	}
}

// What is shown as expected is what is there.
func TestExpectation(t *testing.T) {
	p := newTest(t, Config{Cost: testCost, Ceiling: testCeiling}, 3)
	demand := func(x float64) float64 { return math.Exp(-x / 3) }
	luck := splitmix(4)
	for _, price := range p.prices {
		require.NoError(t, p.Record(Count{price, 2000, float64(binomial(&luck, 2000, demand(float64(price)/testCost)))}))
	}
	inside := 0
	points := p.Expect()
	for _, x := range points {
		truth := demand(float64(x.Price) / testCost)
		require.InDelta(t, truth, x.Demand, 0.03)
		require.InDelta(t, (float64(x.Price)-testCost)*x.Demand, x.Profit, 1)
		if x.Low <= truth && truth <= x.High {
			inside++
		}
	}
	require.Greater(t, inside, len(points)*3/4)
}

func BenchmarkDecide(b *testing.B) {
	p := newTest(b, Config{Cost: testCost, Ceiling: testCeiling}, 1)
	for i := range b.N {
		price := p.Decide(int64(i) * secondHour)
		if err := p.Record(Count{price, 50, 10}); err != nil {
			b.Fatal(err)
		}
	}
}
