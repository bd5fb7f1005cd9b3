package pricing_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/match"
	"github.com/foggrid/fogd/offchain/pricing"
)

// market is a grid in which one provider sets its price and jobs come and go by the hour: each takes a vCPU for the hour and pays up to a
// cap of its own. The matching is the one that ships.
type market struct {
	snapshot match.Snapshot
	policy   match.Learned
	jobs     int
}

const ours = 0 // the index of our node

func newMarket(rivals, slots, jobs int) *market {
	m := &market{policy: match.Learned{Config: match.DefaultConfig()}, jobs: jobs}
	m.snapshot.Params = match.Params{MaxItems: 1000, MaxSliceTasks: 256, Fee: 100, Collateral: 3000}
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range rivals + 1 {
		n := match.Node{
			ID: match.ID{0: 1, 19: byte(i)}, Index: uint32(i + 1), Owner: match.ID{0: 2, 19: byte(i)}, CPUSingle: 1900 + rng.Uint64N(200),
			Free: match.Resources{CPUMilli: 1000 * uint64(slots)}, Prices: match.Prices{CPU: uint64(200_000 * math.Exp(0.35*rng.NormFloat64()))},
			Stats: match.Stats{Successes: 39 * match.One, Trials: 40 * match.One, SpeedTrials: 40 * match.One, Speed: 40 * match.One, Last: 1},
		}
		m.snapshot.Nodes = append(m.snapshot.Nodes, n)
		m.snapshot.Funds = append(m.snapshot.Funds, match.Funds{Owner: n.Owner, Available: 1 << 50})
	}
	m.snapshot.Nodes[ours].CPUSingle = 2000
	return m
}

// hour is what an hour at a price earns and shows.
func (m *market) hour(t testing.TB, price uint64, rng *rand.Rand) (profit float64, count pricing.Count) {
	s := m.snapshot
	s.Nodes = slices.Clone(s.Nodes)
	s.Nodes[ours].Prices.CPU = price
	s.Time, s.Pending = 1, nil
	for i := range m.jobs {
		bid := uint64(250_000 * math.Exp(0.5*rng.NormFloat64()))
		s.Pending = append(s.Pending, match.Pending{
			Job: match.ID{0: 3, 18: byte(i >> 8), 19: byte(i)}, Owner: match.ID{0: 9}, Count: 1, Height: 1, Task: match.Resources{CPUMilli: 1000},
			PriceCap: bid, MaxDuration: 3600, TaskBudget: bid + bid/50 + 2, Wishes: match.Wishes{FailureCost: 20_000},
		})
	}
	var seed match.Seed
	for i := range seed {
		seed[i] = byte(rng.Uint32())
	}
	offers, err := m.policy.Offers(s, seed, 0, []match.ID{s.Nodes[ours].ID})
	require.NoError(t, err)
	o := offers[0]
	count = pricing.Count{Price: pricing.Mix(o.Prices).Lead(), Offers: float64(o.Offered + o.Missed), Accepted: float64(o.Accepted)}
	return count.Accepted * (float64(price) - marketCost), count
}

const marketCost, marketCeiling = 60_000, 900_000

// best is what the best fixed price earns an hour.
func (m *market) best(t testing.TB, hours int) (profit float64, price uint64) {
	for p := 80_000.0; p < marketCeiling; p *= 1.12 {
		rng := rand.New(rand.NewPCG(3, 3))
		sum := 0.0
		for range hours {
			got, _ := m.hour(t, uint64(p), rng)
			sum += got
		}
		if sum/float64(hours) > profit {
			profit, price = sum/float64(hours), uint64(p)
		}
	}
	return profit, price
}

// play is what the pricer earns an hour, in all hours and in the last quarter of them.
func (m *market) play(t testing.TB, hours int, seed uint64) (all, last float64) {
	p, err := pricing.New(pricing.Config{Cost: marketCost, Ceiling: marketCeiling}, rand.New(rand.NewPCG(seed, 1)))
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(seed, 2))
	for h := range hours {
		profit, count := m.hour(t, p.Decide(int64(h)*3600), rng)
		require.NoError(t, p.Record(count))
		all += profit / float64(hours)
		if h >= hours*3/4 {
			last += profit / float64(hours-hours*3/4)
		}
	}
	return all, last
}

// markets are a node that few jobs reach, one that is always full, one that never is, and one without rivals, whose limit is the caps.
var markets = []struct {
	name                string
	rivals, slots, jobs int
}{
	{"few jobs", 20, 4, 20},
	{"full", 20, 4, 120},
	{"roomy", 20, 40, 60},
	{"alone", 0, 40, 30},
}

// From the counts of the matching that ships, the pricer comes near to what the best fixed price earns, whether capacity limits the node
// or not. Without what a full node misses it would come to a third of it in the second market.
func TestPriceFindsItsMarket(t *testing.T) {
	for _, c := range markets {
		t.Run(c.name, func(t *testing.T) {
			m := newMarket(c.rivals, c.slots, c.jobs)
			best, _ := m.best(t, 30)
			mean := 0.0
			for seed := range uint64(3) {
				_, last := m.play(t, 160, seed)
				mean += last / 3
			}
			require.Greater(t, mean, 0.85*best)
		})
	}
}

// Ten days of each market, eight seeds.
func BenchmarkMarket(b *testing.B) {
	const hours, seeds = 240, 8
	for _, c := range markets {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				m := newMarket(c.rivals, c.slots, c.jobs)
				best, price := m.best(b, 100)
				all, last := 0.0, 0.0
				for seed := range uint64(seeds) {
					a, l := m.play(b, hours, seed)
					all, last = all+a/seeds, last+l/seeds
				}
				b.ReportMetric(100*all/best, "%all")
				b.ReportMetric(100*last/best, "%last-quarter")
				b.ReportMetric(float64(price), "best-ufog")
			}
		})
	}
}
