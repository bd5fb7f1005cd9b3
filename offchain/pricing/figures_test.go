package pricing

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The figures that the package must reach: profit of 40 random demand curves over that of the best fixed price, at 50 offers an hour, and
// the price of 50 pricers that compete over the one-shot Nash price. They depend on the seeds alone.

const (
	testCost     = 100_000
	testCeiling  = 10 * testCost
	offersAnHour = 50
	curveCount   = 40
)

var marks = []int{1_000, 10_000, 100_000}

// earn runs a pricer against a curve and returns its share of the best fixed price's profit after each mark.
func earn(tb testing.TB, cfg Config, d demandCurve, seed uint64, marks []int) []float64 {
	tb.Helper()
	source := splitmix(seed)
	cfg.Cost, cfg.Ceiling = testCost, testCeiling
	p, err := New(cfg, &source)
	require.NoError(tb, err)
	best, _ := bestFixed(d, testCeiling/testCost)
	luck := splitmix(seed + 1_000_000)
	earned, offers := 0.0, 0
	var out []float64
	for hour := int64(0); len(out) < len(marks); hour++ {
		price := p.Decide(hour * secondHour)
		x := float64(price) / testCost
		q := d.demand(x)
		earned += (x - 1) * q * offersAnHour
		require.NoError(tb, p.Record(Count{price, offersAnHour, float64(binomial(&luck, offersAnHour, q))}))
		if offers += offersAnHour; offers >= marks[len(out)] {
			out = append(out, earned/best/float64(offers))
		}
	}
	return out
}

// classCounts are what other nodes of the class saw: the same users, who value each of the nodes some 10 % more or less.
func classCounts(s Source, d demandCurve) []Count {
	var out []Count
	for range 10 {
		other := math.Exp(0.1 * normal(s))
		for range 20 {
			x := 1.05 * math.Pow(10/1.05, uniform(s))
			out = append(out, Count{uint64(x * testCost), 25, float64(binomial(s, 25, d.demand(x/other)))})
		}
	}
	return out
}

// figures are the mean shares over the curves of a seed.
func figures(tb testing.TB, seed uint64, warm bool, marks []int) []float64 {
	all := make([]float64, len(marks))
	for k := range curveCount {
		s := splitmix(seed*1000 + uint64(k))
		d := randomCurve(&s, k)
		var cfg Config
		if warm {
			cfg.Class = classCounts(&s, d)
		}
		for i, v := range earn(tb, cfg, d, seed*1000+uint64(k), marks) {
			all[i] += v / curveCount
		}
	}
	return all
}

func TestProfit(t *testing.T) {
	cold := figures(t, 1, false, marks)
	t.Logf("cold: %.4f of the best fixed price's profit at 1,000 offers, %.4f at 10,000, %.4f at 100,000", cold[0], cold[1], cold[2])
	require.GreaterOrEqual(t, cold[1], 0.96)
	require.GreaterOrEqual(t, cold[2], 0.985)
	warm := figures(t, 1, true, marks[:2])
	t.Logf("warm: %.4f, %.4f", warm[0], warm[1])
	require.GreaterOrEqual(t, warm[1], 0.97)
	require.Greater(t, warm[0], cold[0], "the class must help at the start")
}

func BenchmarkProfit(b *testing.B) {
	for _, warm := range []bool{false, true} {
		name := "cold"
		if warm {
			name = "warm"
		}
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				v := figures(b, uint64(i+1), warm, marks)
				b.ReportMetric(v[0]*100, "%at1k")
				b.ReportMetric(v[1]*100, "%at10k")
				b.ReportMetric(v[2]*100, "%at100k")
			}
		})
	}
}

// A market: each job considers some sellers and takes one of them or none, by a logit of the price.
const (
	sellers     = 50
	considered  = 5
	sensitivity = 1.5 // of the utility to a price of one cost
	appeal      = 4.0 // utility of a seller who asks nothing, over that of no seller
)

func weight(price float64) float64 { return math.Exp(appeal - sensitivity*price) }

// bestResponse is the price that earns most among sellers who ask others.
func bestResponse(others float64) float64 {
	best, most := 0.0, 0.0
	for p := 1.0; p < 10; p += 0.0005 {
		w := weight(p)
		if v := (p - 1) * w / (w + (considered-1)*weight(others) + 1); v > most {
			best, most = p, v
		}
	}
	return best
}

func nashPrice() float64 {
	p := 2.0
	for range 60 {
		p = (p + bestResponse(p)) / 2
	}
	return p
}

// monopolyPrice is what all together would ask.
func monopolyPrice() float64 {
	best, most := 0.0, 0.0
	for p := 1.0; p < 10; p += 0.0005 {
		if v := (p - 1) * considered * weight(p) / (considered*weight(p) + 1); v > most {
			best, most = p, v
		}
	}
	return best
}

// compete lets pricers learn against each other and returns the mean price of the last quarter.
func compete(tb testing.TB, hours int, seed uint64) float64 {
	source := splitmix(seed)
	pricers := make([]*Pricer, sellers)
	for i := range pricers {
		own := splitmix(seed*1000 + uint64(i))
		p, err := New(Config{Cost: testCost, Ceiling: testCeiling}, &own)
		require.NoError(tb, err)
		pricers[i] = p
	}
	sum, n := 0.0, 0
	price, weights := make([]uint64, sellers), make([]float64, sellers)
	for hour := range hours {
		for i, p := range pricers {
			price[i] = p.Decide(int64(hour) * secondHour)
			weights[i] = weight(float64(price[i]) / testCost)
			if hour >= hours*3/4 {
				sum += float64(price[i]) / testCost
				n++
			}
		}
		var offers, accepted [sellers]float64
		for range sellers * offersAnHour / considered {
			var set []int
			total := 1.0
			for len(set) < considered {
				if i := int(source.Uint64() % sellers); !slices.Contains(set, i) {
					set = append(set, i)
					total += weights[i]
					offers[i]++
				}
			}
			u := uniform(&source) * total
			for _, i := range set {
				if u -= weights[i]; u < 0 {
					accepted[i]++
					break
				}
			}
		}
		for i, p := range pricers {
			require.NoError(tb, p.Record(Count{price[i], offers[i], accepted[i]}))
		}
	}
	return sum / float64(n)
}

func TestCompetition(t *testing.T) {
	nash, monopoly := nashPrice(), monopolyPrice()
	got := compete(t, 400, 1)
	t.Logf("50 pricers ask %.3f of the cost; Nash %.3f (ratio %.3f), monopoly %.3f", got, nash, got/nash, monopoly)
	require.InDelta(t, 1.05, got/nash, 0.15)
	require.Greater(t, monopoly, 1.3*nash, "the market must tell competition from collusion")
}

func BenchmarkCompetition(b *testing.B) {
	for i := range b.N {
		nash := nashPrice()
		b.ReportMetric(compete(b, 1000, uint64(i+1))/nash, "xNash")
		b.ReportMetric(nash, "Nash")
		b.ReportMetric(monopolyPrice(), "monopoly")
	}
}
