package match

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// grown draws nodes whose chance of success has a mean for each owner and a spread among its nodes, with outcomes of each.
func grown(rng *rand.Rand, owners, nodes, outcomes int, base, ownerSpread, nodeSpread, priceSlope float64) ([]Node, []float64) {
	var out []Node
	var truth []float64
	for o := range owners {
		of := base + ownerSpread*rng.NormFloat64()
		for range nodes {
			octave := rng.NormFloat64() / 2
			p := math.Min(math.Max(of+nodeSpread*rng.NormFloat64()+priceSlope*octave, 0.06), 0.99)
			n := Node{Owner: idOf('o', byte(o)), CPUSingle: 2000, Prices: Prices{CPU: uint64(40_000 * math.Exp2(octave))}}
			binary.BigEndian.PutUint64(n.ID[:], rng.Uint64())
			n.Index = uint32(len(out) + 1)
			for range outcomes {
				n.Stats = n.Stats.Add(Outcome{Success: rng.Float64() < p})
			}
			out, truth = append(out, n), append(truth, p)
		}
	}
	return out, truth
}

// The method of moments finds the shares of variance that the data were made with, and the regression the slope.
func TestPriorsAreFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	nodes, _ := grown(rng, 60, 40, 12, 0.7, 0.1, 0.15, 0.08)
	e := engineOf(t, Config{}, nodes)
	single := 0.7*0.3 + 0.01 + 0.0225
	require.InEpsilon(t, 0.0225/single, float64(e.learnt.share)/one24, 0.25)
	require.InEpsilon(t, 0.01/single, float64(e.learnt.between)/one24, 0.4)
	require.InDelta(t, 0.08, float64(e.learnt.slopes[0])/oneP, 0.02)
	require.InDelta(t, 0.7, float64(e.Priors().Mean)/oneP, 0.04)

	equal, _ := grown(rng, 60, 40, 12, 0.7, 0, 0, 0)
	e = engineOf(t, Config{}, equal)
	require.Equal(t, uint32(maxStrength*One), e.Priors().Strength, "equal nodes: the prior is as strong as it may be")
	wild, _ := grown(rng, 60, 40, 30, 0.5, 0, 2, 0)
	e = engineOf(t, Config{}, wild)
	require.Equal(t, uint32(minStrength*One), e.Priors().Strength)
}

// What a few outcomes say is worth less than what they say together with those of the owner's other nodes.
func TestPriorsHelp(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	nodes, truth := grown(rng, 50, 40, 3, 0.75, 0.15, 0.08, 0.05)
	e := engineOf(t, Config{}, nodes)
	var learnt, own, mean float64
	for i, n := range nodes {
		r, found := e.Find(n.ID)
		require.True(t, found)
		square := func(p float64) float64 { return (p - truth[i]) * (p - truth[i]) / float64(len(nodes)) }
		learnt += square(float64(e.Chance(r)) / oneP)
		own += square(float64(n.Stats.Successes) / float64(n.Stats.Trials))
		mean += square(float64(e.Priors().Mean) / oneP)
	}
	require.Less(t, learnt, own/4)
	require.Less(t, learnt, mean/2)
}

func TestAFreshIdentityIsNoAdvantage(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	nodes, _ := grown(rng, 30, 10, 20, 0.9, 0.05, 0.05, 0)
	stranger := nodes[0]
	stranger.ID, stranger.Owner, stranger.Stats = idOf('n', 1), idOf('s', 1), Stats{}
	e := engineOf(t, Config{}, append(nodes, stranger))
	r, _ := e.Find(stranger.ID)
	at := e.learnt.classes[0].mean
	require.Less(t, e.Chance(r), at)
	require.Greater(t, e.Chance(r), at-oneP/20)

	_, err := e.Add(Node{ID: idOf('n', 2), Owner: idOf('s', 2), CPUSingle: 2000, Prices: stranger.Prices})
	require.NoError(t, err)
	late, _ := e.Find(idOf('n', 2))
	require.Less(t, e.Chance(late), at, "nor if it comes between two epochs")
}

// A node's own outcomes do not come back to it as those of its owner.
func TestOwnCountsAreLeftOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	nodes, _ := grown(rng, 20, 6, 20, 0.8, 0.05, 0.1, 0)
	base := engineOf(t, Config{}, nodes)
	r, _ := base.Find(nodes[7].ID)
	before := base.nodes[r].mean
	worse := append([]Node(nil), nodes...)
	worse[7].Stats.Successes = 0
	other := engineOf(t, Config{}, worse)
	// The means of all and of the class move a little with any node; a count that came back would move it by more.
	require.InDelta(t, float64(before)/oneP, float64(other.nodes[r].mean)/oneP, 0.03)
}

// What an epoch learns depends on the nodes and their counts, not on how the engine came to them.
func TestEpochsForget(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	nodes, _ := grown(rng, 10, 20, 10, 0.8, 0.05, 0.1, 0.02)
	fresh := engineOf(t, Config{Mode: ModeThompson}, nodes)
	old := NewEngine(Config{Mode: ModeThompson})
	for i, n := range nodes {
		n.Stats = Stats{}
		_, err := old.Add(n)
		require.NoError(t, err)
		gone, err := old.Add(Node{ID: idOf('g', byte(i)), Owner: idOf('o', byte(i%20)), Class: uint32(i % 3), CPUSingle: 5})
		require.NoError(t, err)
		old.Observe(gone, Outcome{Success: i%3 == 0})
		if i%50 == 0 {
			old.Epoch(int64(i))
		}
		old.Remove(gone)
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		r, _ := old.Find(nodes[i].ID)
		old.SetStats(r, nodes[i].Stats)
	}
	old.Epoch(0)
	require.Equal(t, fresh.Priors(), old.Priors())
	for _, n := range nodes {
		a, _ := fresh.Find(n.ID)
		b, _ := old.Find(n.ID)
		require.Equal(t, fresh.nodes[a].hot, old.nodes[b].hot)
	}
}

// Drift is seen, and so is recovery.
func TestDriftAndRecovery(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	nodes, _ := grown(rng, 10, 10, 40, 0.85, 0.02, 0.12, 0)
	e := engineOf(t, Config{}, nodes)
	r, _ := e.Find(nodes[3].ID)
	good := e.Chance(r)
	for range 50 {
		e.Observe(r, Outcome{Success: rng.IntN(4) == 0})
	}
	require.Less(t, e.Chance(r), good-oneP/4)
	bad := e.Chance(r)
	e.Epoch(21 * daySeconds)
	require.Greater(t, e.Chance(r), bad+oneP/20, "what is old weighs less")
	for range 50 {
		e.Observe(r, Outcome{Success: rng.IntN(10) > 0, At: 21 * daySeconds})
	}
	require.Greater(t, e.Chance(r), bad+oneP/5)
}
