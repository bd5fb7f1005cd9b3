package match

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestVersionsNamePolicies(t *testing.T) {
	require.Equal(t, []string{"lowest-cost", "greedy/1", "thompson/1"}, Versions())
	for _, version := range Versions() {
		p, ok := Named(version)
		require.True(t, ok)
		require.Equal(t, version, p.Version())
	}
	_, ok := Named("greedy")
	require.False(t, ok)
	require.Equal(t, "greedy explore=300 noise=0 optimism=0 caution=0 hope=0 try-one=false", Learned{Config{Explore: 300}}.Version())
}

// The off switch decides as the plain policy does, where costs are apart.
func TestOffSwitchIsThePlainPolicy(t *testing.T) {
	off, ok := Named("lowest-cost")
	require.True(t, ok)
	rapid.Check(t, func(t *rapid.T) {
		p, s := fleet(rapid.IntRange(1, 12).Draw(t, "nodes"))
		prices := rapid.Permutation(seq(len(s.Nodes))).Draw(t, "prices")
		for i := range s.Nodes {
			s.Nodes[i].Prices.CPU = 1000 + 100*uint64(prices[i])
			s.Nodes[i].Stats = Stats{Successes: rapid.Uint64Range(0, 9*One).Draw(t, "successes"), Trials: 9 * One}
		}
		p.Count = rapid.Uint32Range(1, 40).Draw(t, "tasks")
		p.PriceCap, p.TaskBudget = 1<<40, 1<<40
		s.Pending = []Pending{p}
		want, err := LowestCost{}.Match(s, Seed{})
		require.NoError(t, err)
		got, err := off.Match(s, Seed{})
		require.NoError(t, err)
		require.Len(t, got.Items, len(want.Items))
		for i := range want.Items {
			got.Items[i].Runners = nil
			require.Equal(t, want.Items[i], got.Items[i])
		}
	})
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// A greedy decision says exactly how likely each choice was; drawing again finds the same.
func TestPropensities(t *testing.T) {
	nodes := population(t, 60)
	const draws = 4000
	for _, mode := range []Mode{ModeGreedy, ModeThompson} {
		e := engineOf(t, Config{Mode: mode, Explore: 1500}, nodes)
		q := queries(rand.New(rand.NewPCG(1, 1)), 1, 0)[0]
		q.Runners = 3
		var d Decision
		taken, sum := map[Ref]int{}, 0.0
		for i := range draws {
			require.True(t, e.Decide(&q, Seed{0: byte(i), 1: byte(i >> 8), 2: 7}, &d))
			taken[d.Best().Ref]++
		}
		for _, c := range d.Choices {
			want := float64(taken[c.Ref]) / draws
			redrawn := float64(e.Propensity(&q, Seed{}, c.Ref, draws)) / oneP
			require.InDelta(t, want, redrawn, 0.04)
			if mode == ModeGreedy {
				require.InDelta(t, want, float64(c.Propensity)/oneP, 0.03)
				sum += float64(c.Propensity) / oneP
			}
		}
		if mode == ModeGreedy {
			require.InDelta(t, 1, sum, 1e-9)
		} else {
			require.Greater(t, len(taken), 1, "the draws differ")
		}
	}
}

func ExampleEngine() {
	e := NewEngine(Config{Mode: ModeGreedy})
	for i, speed := range []uint64{1000, 2000} {
		if _, err := e.Add(Node{
			ID: ID{byte(i + 1)}, CPUSingle: speed, Free: Resources{CPUMilli: 4000, MemoryMiB: 8192},
			Prices: Prices{CPU: 10_000 + 12_000*uint64(i)},
		}); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Half an hour on a core of speed 1000. The faster node is twice as fast, but costs 2.2 times as much.
	q := Query{Task: Resources{CPUMilli: 1000, MemoryMiB: 1024}, Work: 1800 * 1000, FailureCost: 20_000}
	var d Decision
	if e.Decide(&q, Seed{}, &d) {
		fmt.Println("node", e.Node(d.Best().Ref).ID[0])
	}
	cheap, _ := e.Find(ID{1})
	for range 10 {
		e.Observe(cheap, Outcome{Success: false})
	}
	if e.Decide(&q, Seed{}, &d) {
		fmt.Println("after ten failures node", e.Node(d.Best().Ref).ID[0])
	}
	// Output:
	// node 1
	// after ten failures node 2
}
