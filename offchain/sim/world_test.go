package sim

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func testWorld(change func(*Scenario)) *world {
	sc := DefaultScenario()
	sc.Nodes = 400
	if change != nil {
		change(&sc)
	}
	return newWorld(Generate(300, 1), &sc, 5)
}

// The hidden model has the moments that it is said to have.
func TestHiddenModel(t *testing.T) {
	w := testWorld(func(s *Scenario) { s.Nodes, s.Hidden.Vendor = 20_000, 0 })
	var sum, squares, slow, logs float64
	for i := range w.Len() {
		server := w.Catalogue[w.Server[i]]
		list := server.PriceUSD / (6*server.VCPUs + server.MemoryGiB)
		z := math.Log(w.PriceMemory[i]/list) / 0.35
		rest := w.logit[i] - 2.6 - 0.6*z - 0.4*(server.Single-ReferenceSpeed)/700
		sum += rest
		squares += rest * rest
		if w.s[i] < 0.7 {
			slow++
		} else {
			logs += math.Log(w.s[i]) * math.Log(w.s[i])
		}
		require.InDelta(t, 1/(1+math.Exp(-w.logit[i])), w.p[i], 1e-12)
	}
	n := float64(w.Len())
	require.InDelta(t, 0, sum/n, 0.03)
	require.InDelta(t, 0.9, math.Sqrt(squares/n), 0.03)
	require.InDelta(t, 0.05, slow/n, 0.005)
	require.InDelta(t, 0.08, math.Sqrt(logs/(n-slow)), 0.005)
}

func TestLiarsDeliverLess(t *testing.T) {
	w := testWorld(func(s *Scenario) { s.Nodes, s.Liars.Share = 10_000, 0.2 })
	honest, liars, n := 0.0, 0.0, 0
	for i := range w.Len() {
		if w.liar[i] {
			liars += math.Log(w.s[i])
			n++
			require.InDelta(t, 1.4, w.Speed[i]/w.Catalogue[w.Server[i]].Single, 1e-9)
		} else {
			honest += math.Log(w.s[i])
		}
	}
	require.InDelta(t, 0.2, float64(n)/10_000, 0.02)
	require.InDelta(t, math.Log(1.4), honest/float64(10_000-n)-liars/float64(n), 0.03)
}

// The loss is that of the design, and the fast search finds what a look at each node by the formula finds.
func TestBestIsExact(t *testing.T) {
	w := testWorld(nil)
	jobs := &stream{w: w, rand: NewRand(1)}
	for k := range 200 {
		j := jobs.job()
		if k%3 == 0 {
			w.take(j, max(0, int(j.Work*100))%w.Len())
		}
		node, least := -1, math.Inf(1)
		for i := range w.Len() {
			hourly := w.PriceCPU[i]*float64(j.CPU)/1000 + w.PriceMemory[i]*float64(j.Memory)/1024
			loss := hourly*j.Work*ReferenceSpeed/w.Speed[i]/w.s[i] + 0.15*(1-max(w.p[i], 0.05))/max(w.p[i], 0.05) + 5e-5*w.RTT[j.Origin][w.Place[i]]
			require.InEpsilon(t, loss, w.loss(j, i), 1e-9)
			if w.fits(j, i) && loss < least {
				node, least = i, loss
			}
		}
		got, value := w.best(j, w.truth)
		require.Equal(t, node, got)
		if node >= 0 {
			require.InEpsilon(t, least, value, 1e-9)
		}
	}
}

func TestJobStream(t *testing.T) {
	w := testWorld(func(s *Scenario) { s.Jobs.Diurnal, s.Jobs.TailShare = 0.8, 0.02 })
	jobs := &stream{w: w, rand: NewRand(2)}
	const n = 40_000
	work := make([]float64, n)
	busy, quiet, last := 0, 0, int64(0)
	for i := range work {
		j := jobs.job()
		require.GreaterOrEqual(t, j.At, last)
		last, work[i] = j.At, j.Work
		require.Equal(t, i, j.ID)
		switch h := j.At / hour % 24; {
		case h < 12:
			busy++
		default:
			quiet++
		}
	}
	require.InDelta(t, float64(n)/(0.5*400), float64(last)/hour, 8, "jobs come at the load")
	require.Greater(t, float64(busy), 2*float64(quiet))
	slices.Sort(work)
	require.InDelta(t, 0.5, work[n/2], 0.02)
	require.Greater(t, work[n*999/1000], 0.5*math.Exp(3.1*0.8), "the tail is heavier than the normal one")
}

func TestRand(t *testing.T) {
	r, sum, squares := NewRand(3), 0.0, 0.0
	counts := make([]int, 10)
	for range 100_000 {
		v := r.Norm()
		sum += v
		squares += v * v
		counts[r.IntN(10)]++
	}
	require.InDelta(t, 0, sum/1e5, 0.02)
	require.InDelta(t, 1, squares/1e5, 0.02)
	for _, c := range counts {
		require.InDelta(t, 10_000, c, 500)
	}
	zero := &Rand{}
	require.Equal(t, uint64(0xe220a8397b1dcdaf), zero.Uint64(), "splitmix64 with seed 0 begins so")
	require.NotEqual(t, NewRand(1, 2).Uint64(), NewRand(2, 1).Uint64())
}

// Whatever happens in a world, capacity, money and the list of runs stay whole.
func TestWorldStaysWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := DefaultScenario()
		sc.Nodes = rapid.IntRange(1, 40).Draw(t, "nodes")
		sc.Load = rapid.Float64Range(0.1, 4).Draw(t, "load")
		sc.Attempts = rapid.IntRange(1, 4).Draw(t, "attempts")
		sc.Churn.PerHour = rapid.Float64Range(0, 0.5).Draw(t, "churn")
		sc.Drift = DriftModel{Share: rapid.Float64Range(0, 1).Draw(t, "drift"), Logit: -1, RecoverHours: rapid.Float64Range(0, 10).Draw(t, "recover")}
		sc.Offline = OfflineModel{Share: rapid.Float64Range(0, 1).Draw(t, "offline"), Hours: 5, LeadHours: 2}
		sc.Outages = OutageModel{PerDay: rapid.Float64Range(0, 50).Draw(t, "outages"), Hours: 1}
		w := newWorld(Generate(20, 3), &sc, rapid.Uint64().Draw(t, "seed"))
		p := &watched{w: w, t: t, r: NewRand(1)}
		tally, err := simulate(context.Background(), w, p, 120, func() int64 { return 0 }, func(int) {})
		require.NoError(t, err)
		require.Equal(t, p.chosen, p.observed, "each run is heard of once")
		require.Equal(t, p.lost, tally.losses)
		for i := range w.Len() {
			require.Zero(t, w.usedCPU[i], "all runs have ended")
			require.Zero(t, w.usedMemory[i])
			require.Zero(t, w.running[i])
		}
		require.Zero(t, tally.books.Locked)
		require.Zero(t, tally.books.Collateral)
	})
}

// watched chooses at random and checks what it is shown.
type watched struct {
	w                      *world
	t                      *rapid.T
	r                      *Rand
	chosen, observed, lost int
}

func (p *watched) Choose(j *Job) int {
	for _, i := range j.Excluded {
		require.Zero(p.t, p.w.FreeCPU[i], "a node that had the job before shows as full")
	}
	i := p.w.anyNode(j, p.r)
	if i < 0 {
		return i
	}
	p.chosen++
	if p.w.closed[i] != 0 || p.w.usedCPU[i]+j.CPU > p.w.CPU[i] || p.w.usedMemory[i]+j.Memory > p.w.Memory[i] {
		p.t.Fatalf("node %d is shown with room that it has not", i)
	}
	return i
}

func (p *watched) Observe(o Outcome) {
	p.observed++
	if o.Lost {
		p.lost++
	}
	require.GreaterOrEqual(p.t, o.At, o.Job.At, "outcomes come at the end, not before")
	require.Equal(p.t, o.OK, o.Speed > 0)
}

// A policy that breaks the rules is stopped.
func TestRoomIsEnforced(t *testing.T) {
	w := testWorld(nil)
	_, err := simulate(context.Background(), w, full{}, 1000, func() int64 { return 0 }, func(int) {})
	require.ErrorContains(t, err, "no room")
}

type full struct{ forgetful }

func (full) Choose(*Job) int { return 3 }

func TestEndingsComeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &engine{}
		times := rapid.SliceOfN(rapid.Int64Range(0, 50), 1, 100).Draw(t, "times")
		for i, at := range times {
			e.push(ending{at: at, run: int32(i)})
		}
		slices.Sort(times)
		last := ending{at: -1}
		for _, want := range times {
			got := e.pop()
			require.Equal(t, want, got.at)
			require.True(t, earlier(last, got))
			last = got
		}
		require.Empty(t, e.endings)
	})
}

func TestMoney(t *testing.T) {
	var b books
	t1 := b.match(0.5, 2) // 500,000 ufog an hour, at most 8 hours
	require.Equal(t, uint64(4_040_000), b.Locked)
	require.Equal(t, uint64(1_200_000), b.Collateral)
	require.Equal(t, uint64(500_000), b.settle(t1, hour, true, false))
	require.Equal(t, uint64(5_000), b.Fees)
	t2 := b.match(0.5, 2)
	require.Zero(t, b.settle(t2, hour, false, true), "lost work is unpaid")
	require.Equal(t, uint64(60_000), b.Slashed)
	t3 := b.match(0.5, 1)
	require.Zero(t, b.settle(t3, hour, false, false))
	require.NoError(t, b.check())
	b.Paid++
	require.Error(t, b.check())
}
