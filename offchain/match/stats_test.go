package match

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestOutcomesFade(t *testing.T) {
	var s Stats
	s = s.Add(Outcome{Success: true, Speed: One / 2})
	require.Equal(t, Stats{Successes: One, Trials: One, Speed: One / 2, SpeedTrials: One, Doubt: s.Doubt}, s)
	for range 40 {
		s = s.Add(Outcome{})
	}
	require.InDelta(t, One/2, s.Successes, 40, "half after forty outcomes")
	require.InDelta(t, One/4, s.Speed, 40)
	for range 2000 {
		s = s.Add(Outcome{Success: true})
	}
	require.InDelta(t, 1/(1-math.Exp2(-1.0/40))*One, s.Trials, 100, "the most that decay allows")

	s = Stats{Successes: 30 * One, Trials: 40 * One, Speed: 20 * One, SpeedTrials: 20 * One, Last: 1000}
	week := s.Idle(1000 + 7*daySeconds)
	require.Equal(t, Stats{Successes: 15 * One, Trials: 20 * One, Speed: 10 * One, SpeedTrials: 10 * One, Last: 1000}, week)
	require.Equal(t, s, s.Idle(1000+daySeconds-1), "only whole days count")
	require.Zero(t, s.Idle(math.MaxInt64).Trials)
	later := s.Add(Outcome{At: 1000 + 3*daySeconds})
	require.InDelta(t, 40*math.Exp2(-3.0/7-1.0/40)+1, float64(later.Trials)/One, 0.001)
	require.Equal(t, int64(1000+3*daySeconds), later.Last)
	require.Equal(t, later.Last, later.Add(Outcome{At: 5}).Last, "an outcome that comes late turns no clock back")
}

// The tables of decay are powers of two; the tables of places and noise are what they say.
func TestTables(t *testing.T) {
	require.InDelta(t, math.Exp2(32-1.0/40), float64(perOutcome), 0.51)
	for k, factor := range perQuarter {
		require.InDelta(t, math.Exp2(32-float64(k)/4), factor, 0.51)
	}
	for days, factor := range perIdleDay {
		require.InDelta(t, math.Exp2(32-float64(days)/7), factor, 0.51)
	}
	for k, metres := range arcs {
		chord := math.Min(float64(k)*131072/(2*earthRadius), 1)
		require.InDelta(t, 2*earthRadius*math.Asin(chord), metres, 0.51)
	}
	phi := func(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }
	for k, z := range quantiles {
		q := (phi(float64(z)/65536) - phi(-3)) / (phi(3) - phi(-3))
		require.InDelta(t, (512+float64(k)+0.5)/1024, q, 1e-5)
	}
	var mean, square float64
	const draws = 200_000
	for i := range uint64(draws) {
		z := float64(draw(77, i)) / 65536
		require.LessOrEqual(t, math.Abs(z), float64(zMax)/65536)
		mean, square = mean+z/draws, square+z*z/draws
	}
	require.InDelta(t, 0, mean, 0.01)
	require.InDelta(t, 0.973, square, 0.01, "the variance of a normal truncated at 3")
}

func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		point := func() (int32, int32) {
			return rapid.Int32Range(-90e6, 90e6).Draw(t, "latitude"), rapid.Int32Range(-180e6, 180e6).Draw(t, "longitude")
		}
		vector := func(lat, lon int32) [3]float64 {
			a, b := float64(lat)/180e6*math.Pi, float64(lon)/180e6*math.Pi
			return [3]float64{math.Cos(a) * math.Cos(b), math.Cos(a) * math.Sin(b), math.Sin(a)}
		}
		lat, lon := point()
		lat2, lon2 := point()
		u, v := vector(lat, lon), vector(lat2, lon2)
		half := math.Sqrt((u[0]-v[0])*(u[0]-v[0])+(u[1]-v[1])*(u[1]-v[1])+(u[2]-v[2])*(u[2]-v[2])) / 2
		p, q := PlaceAt(lat, lon), PlaceAt(lat2, lon2)
		require.InDelta(t, 2*half*earthRadius, p.Chord(q), 5)
		require.Equal(t, p.Chord(q), q.Chord(p))
		want := 2 * earthRadius * math.Asin(math.Min(half, 1)) / 1000 * usPerKm
		require.InEpsilon(t, 5000+want, RTT(5000, p, q), 0.04, "the table is coarse where the Earth curves away")
		require.LessOrEqual(t, RTT(0, p, q), RTT(0, Place{}, q), "none gains by hiding its place")
	})
	require.Equal(t, uint32(5000), RTT(5000, PlaceAt(1, 1), Place{}))
	berlin, newYork := PlaceAt(52_520_000, 13_405_000), PlaceAt(40_712_800, -74_006_000)
	require.InDelta(t, 6385*usPerKm, RTT(0, berlin, newYork), 15*usPerKm)
}

func TestIsqrt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64().Draw(t, "v") >> rapid.IntRange(0, 63).Draw(t, "shift")
		r := isqrt(v)
		require.LessOrEqual(t, r*r, v)
		require.Greater(t, big64(r+1).Mul(big64(r+1), big64(r+1)).Cmp(big64(v)), 0)
	})
	require.Equal(t, uint64(1<<32-1), isqrt(math.MaxUint64))
}

func TestLog2(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := max(rapid.Uint64().Draw(t, "v")>>rapid.IntRange(0, 63).Draw(t, "shift"), 1)
		require.InDelta(t, math.Log2(float64(v))*1024, log2(v), 1.01)
	})
	require.Equal(t, int32(10<<featureBits), log2(1024))
}

// The loss is the formula of the design, but for the roundings.
func TestLossIsTheFormula(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	e := NewEngine(Config{Optimism: 150})
	var refs []Ref
	for i := range 200 {
		r, err := e.Add(randomNode(rng, i, false))
		require.NoError(t, err)
		refs = append(refs, r)
	}
	e.Epoch(1e6)
	for i := range 2000 {
		q := randomQuery(rng, i)
		q.Penalty = nil
		r := refs[rng.IntN(len(refs))]
		n := e.Node(r)
		c, shift, ok := e.Evaluate(&q, Seed{}, r)
		if !ok {
			continue
		}
		unit := math.Exp2(float64(-shift))
		timed := float64(n.Stats.Idle(1e6).SpeedTrials)
		s := (float64(n.Stats.Idle(1e6).Speed) + speedEvidence) / (timed + speedEvidence)
		s = math.Min(math.Max(s, 0.125), 8) * (1 + 1.5*0.1/math.Sqrt(1+4*timed/One))
		speed := math.Max(math.Floor(float64(max(n.CPUSingle, 1))*s), 1)
		price := float64(q.Task.CPUMilli)/1000*float64(n.Prices.CPU) + float64(q.Task.MemoryMiB)/1024*float64(n.Prices.Memory) +
			float64(q.Task.StorageMiB)/1024*float64(n.Prices.Storage) + float64(q.Task.GPUs)*float64(n.Prices.GPU)
		p := float64(e.Chance(r)) / oneP
		near := func(want float64, got uint64, what string) {
			require.InDelta(t, want, float64(got)*unit, 5*unit+want*2e-3, what)
		}
		run := price * float64(q.Work) / 3600 / speed
		require.InDelta(t, run, float64(c.Run)*unit, 5*unit+run*(2e-3+1/speed), "run")
		near(float64(q.FailureCost)*(1-p)/p, c.Failure, "failure")
		near(float64(q.LatencyPrice)*float64(RTT(n.RTT, n.Place, q.Place))/1e6, c.Latency, "latency")
		require.Equal(t, c.Run+c.Failure+c.Latency, c.Loss)
	}
}
