package match

import (
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// generateWishes gives a snapshot what the learning policy reads.
func generateWishes(t *rapid.T) Snapshot {
	s := generate(t)
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "rng"), 0))
	for i := range s.Nodes {
		n := &s.Nodes[i]
		extra := randomNode(rng, i, true)
		n.Stats, n.Class, n.Place, n.RTT = extra.Stats, extra.Class, extra.Place, extra.RTT
	}
	for i := range s.Pending {
		p := &s.Pending[i]
		w := &p.Wishes
		w.Work, w.FailureCost = rng.Uint64N(2)*rng.Uint64N(9e6), rng.Uint64N(2)*rng.Uint64N(1e5)
		if rng.IntN(2) == 0 {
			w.Place, w.LatencyPrice = PlaceAt(52e6, 13e6), rng.Uint64N(1e6)
		}
		p.Where = []string{"", "", `attr.disk == "ssd"`, `memory_mib > 600 || reliability < 900`, "no such name"}[rng.IntN(5)]
		w.Spread = Scope(rng.IntN(5))
		w.PerNode, w.PerOwner = uint32(rng.IntN(2)*rng.IntN(4)), uint32(rng.IntN(2)*rng.IntN(6))
		w.Gang = rng.IntN(4) == 0
		w.Pack = rng.Uint64N(2) * 500
		if rng.IntN(3) == 0 {
			w.Prefer = []Preference{{`region == "eu"`, rng.Uint64N(1000)}}
		}
		if rng.IntN(3) == 0 {
			w.Affinity = []Affinity{{Job: idOf('j', byte(rng.IntN(3))), Apart: rng.IntN(2) == 0, Weight: rng.Uint64N(2) * 700}}
		}
	}
	for i := range rng.IntN(3) {
		s.Residents = append(s.Residents, Resident{Job: idOf('j', byte(i)), Node: idOf('n', byte(rng.IntN(7))), Tasks: 1})
	}
	s.Time = 900_000
	return s
}

var modes = []Mode{ModeGreedy, ModeThompson, ModeLowestCost}

func drawPolicy(t *rapid.T) Learned {
	if rapid.Bool().Draw(t, "as shipped") {
		return Learned{DefaultConfig()}
	}
	return Learned{Config{Mode: rapid.SampledFrom(modes).Draw(t, "mode"), Explore: 2500}}
}

func TestLearnedKeepsTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, seed, policy := generateWishes(t), drawSeed(t), drawPolicy(t)
		batch, err := policy.Match(s, seed)
		require.NoError(t, err)
		checkBatch(t, s, batch)
		checkWishes(t, s, batch)
	})
}

// checkWishes requires the hard wishes of every item, in the order in which the items came about.
func checkWishes(t require.TestingT, s Snapshot, batch Batch) {
	onNode, onOwner, placed := map[[2]ID]uint32{}, map[[2]ID]uint32{}, map[ID]map[uint32]uint32{}
	owner := map[ID]ID{}
	for _, n := range s.Nodes {
		owner[n.ID] = n.Owner
	}
	for _, r := range s.Residents {
		if _, active := owner[r.Node]; active {
			onNode[[2]ID{r.Job, r.Node}] += r.Tasks
			onOwner[[2]ID{r.Job, owner[r.Node]}] += r.Tasks
		}
	}
	pending := map[ID]map[uint32]Pending{}
	for _, p := range s.Pending {
		if pending[p.Job] == nil {
			pending[p.Job], placed[p.Job] = map[uint32]Pending{}, map[uint32]uint32{}
		}
		pending[p.Job][p.Slice] = p
	}
	for _, item := range batch.Items {
		p := pending[item.Job][item.Slice]
		w := p.Wishes
		require.NotEqual(t, "no such name", p.Where)
		for _, a := range w.Affinity {
			if a.Weight == 0 {
				require.Equal(t, !a.Apart, onNode[[2]ID{a.Job, item.Node}] > 0)
			}
		}
		node, whose := [2]ID{item.Job, item.Node}, [2]ID{item.Job, owner[item.Node]}
		onNode[node] += item.Count
		onOwner[whose] += item.Count
		placed[item.Job][item.Slice] += item.Count
		if w.PerNode > 0 {
			require.LessOrEqual(t, onNode[node], w.PerNode)
		}
		if w.PerOwner > 0 {
			require.LessOrEqual(t, onOwner[whose], w.PerOwner)
		}
	}
	for job, parts := range placed {
		for slice, tasks := range parts {
			if p := pending[job][slice]; p.Wishes.Gang {
				require.Contains(t, []uint32{0, p.Count}, tasks, "all or none")
			}
		}
	}
}

func TestLearnedIgnoresTheOrderOfInputs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, seed, policy := generateWishes(t), drawSeed(t), drawPolicy(t)
		want, err := policy.Match(s, seed)
		require.NoError(t, err)
		s.Nodes = rapid.Permutation(s.Nodes).Draw(t, "permuted nodes")
		s.Pending = rapid.Permutation(s.Pending).Draw(t, "permuted pending")
		s.Funds = rapid.Permutation(s.Funds).Draw(t, "permuted funds")
		s.Residents = rapid.Permutation(s.Residents).Draw(t, "permuted residents")
		got, err := policy.Match(s, seed)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// fleet is n nodes of two owners in three datacenters, each for three tasks of p.
func fleet(n int) (Pending, Snapshot) {
	node, p, s := fitting()
	p.Constraints, p.PriceCap, p.TaskBudget, p.Count = Constraints{}, math.MaxUint32, math.MaxUint32, 6
	s.Funds = []Funds{{idOf('o', 1), math.MaxUint32}, {idOf('o', 4), math.MaxUint32}}
	node.Free = Resources{6000, 6144, 8192, 3}
	for i := range n {
		node.ID, node.Index = idOf('n', byte(10+i)), uint32(i+1)
		node.Owner, node.Datacenter = idOf('o', []byte{1, 4}[i%2]), []string{"a", "b", "c"}[i%3]
		node.Prices.CPU = uint64(1000 + i)
		s.Nodes = append(s.Nodes, node)
	}
	return p, s
}

func counts(t *testing.T, policy Policy, s Snapshot, p Pending) map[byte]uint32 {
	t.Helper()
	s.Pending = []Pending{p}
	batch, err := policy.Match(s, Seed{})
	require.NoError(t, err)
	checkBatch(t, s, batch)
	out := map[byte]uint32{}
	for _, item := range batch.Items {
		out[item.Node[19]-10] += item.Count
	}
	return out
}

func TestWishes(t *testing.T) {
	greedy := Learned{}
	for name, c := range map[string]struct {
		change func(*Pending, *Snapshot)
		want   map[byte]uint32
	}{
		"cheapest first":     {func(*Pending, *Snapshot) {}, map[byte]uint32{0: 3, 1: 3}},
		"spread over nodes":  {func(p *Pending, _ *Snapshot) { p.Wishes.Spread = ScopeNode }, map[byte]uint32{0: 2, 1: 1, 2: 1, 3: 1, 4: 1}},
		"spread over owners": {func(p *Pending, _ *Snapshot) { p.Wishes.Spread = ScopeOwner }, map[byte]uint32{0: 3, 1: 3}},
		"spread over datacenters": {
			func(p *Pending, _ *Snapshot) { p.Wishes.Spread = ScopeDatacenter }, map[byte]uint32{0: 2, 1: 2, 2: 2},
		},
		"most on a node":    {func(p *Pending, _ *Snapshot) { p.Wishes.PerNode = 2 }, map[byte]uint32{0: 2, 1: 2, 2: 2}},
		"most on an owner":  {func(p *Pending, _ *Snapshot) { p.Wishes.PerOwner = 2 }, map[byte]uint32{0: 2, 1: 2}},
		"condition":         {func(p *Pending, _ *Snapshot) { p.Where = `datacenter == "c"` }, map[byte]uint32{2: 3}},
		"condition broken":  {func(p *Pending, _ *Snapshot) { p.Where = `datacentre == "c"` }, map[byte]uint32{}},
		"weak preference":   {func(p *Pending, _ *Snapshot) { p.Wishes.Prefer = []Preference{{`datacenter == "c"`, 0}} }, map[byte]uint32{0: 3, 1: 3}},
		"strong preference": {func(p *Pending, _ *Snapshot) { p.Wishes.Prefer = []Preference{{`datacenter == "c"`, 90_000}} }, map[byte]uint32{0: 3, 2: 3}},
		"gang that fits":    {func(p *Pending, _ *Snapshot) { p.Wishes.Gang, p.Count = true, 15 }, map[byte]uint32{0: 3, 1: 3, 2: 3, 3: 3, 4: 3}},
		"gang that does not": {
			func(p *Pending, _ *Snapshot) { p.Wishes.Gang, p.Count = true, 16 }, map[byte]uint32{},
		},
		"pack": {func(p *Pending, s *Snapshot) { p.Wishes.Pack, s.Nodes[4].Running, p.Count = 90_000, 1, 3 }, map[byte]uint32{4: 3}},
		"with another job": {func(p *Pending, s *Snapshot) {
			p.Wishes.Affinity = []Affinity{{Job: idOf('j', 9)}}
			s.Residents = []Resident{{idOf('j', 9), idOf('n', 13), 1}}
		}, map[byte]uint32{3: 3}},
		"rather with another job": {func(p *Pending, s *Snapshot) {
			p.Wishes.Affinity = []Affinity{{Job: idOf('j', 9), Weight: 90_000}}
			s.Residents = []Resident{{idOf('j', 9), idOf('n', 13), 1}}
		}, map[byte]uint32{0: 3, 3: 3}},
		"away from another job": {func(p *Pending, s *Snapshot) {
			p.Wishes.Affinity = []Affinity{{Job: idOf('j', 9), Apart: true}}
			s.Residents = []Resident{{idOf('j', 9), idOf('n', 10), 1}}
		}, map[byte]uint32{1: 3, 2: 3}},
		"near": {func(p *Pending, s *Snapshot) {
			p.Wishes.Place, p.Wishes.LatencyPrice = PlaceAt(52_520_000, 13_405_000), 10_000_000
			for i := range s.Nodes {
				s.Nodes[i].Place = PlaceAt(int32(i)*10_000_000, 13_405_000)
			}
		}, map[byte]uint32{3: 3, 4: 3}},
		"reliable": {func(_ *Pending, s *Snapshot) {
			for range 20 {
				for i := range s.Nodes {
					s.Nodes[i].Stats = s.Nodes[i].Stats.Add(Outcome{Success: i > 2})
				}
			}
		}, map[byte]uint32{3: 3, 4: 3}},
		"as fast as it says": {func(p *Pending, s *Snapshot) {
			for range 20 {
				for i := range s.Nodes {
					s.Nodes[i].Stats = s.Nodes[i].Stats.Add(Outcome{Success: true, Speed: []uint32{One / 2, One}[i/2%2]})
				}
			}
			p.Wishes.FailureCost = 1
		}, map[byte]uint32{2: 3, 3: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := fleet(5)
			c.change(&p, &s)
			require.Equal(t, c.want, counts(t, greedy, s, p))
		})
	}
}

// Under the off switch nothing that was learnt decides.
func TestOffSwitch(t *testing.T) {
	p, s := fleet(5)
	for i := range s.Nodes[0:3] {
		for range 30 {
			s.Nodes[i].Stats = s.Nodes[i].Stats.Add(Outcome{Speed: One / 4})
		}
	}
	require.Equal(t, map[byte]uint32{3: 3, 4: 3}, counts(t, Learned{}, s, p))
	require.Equal(t, map[byte]uint32{0: 3, 1: 3}, counts(t, Learned{Config{Mode: ModeLowestCost}}, s, p))
}

func TestGangIsTakenBackWhole(t *testing.T) {
	p, s := fleet(5)
	p.Wishes.Gang, p.Count = true, 16
	other := p
	other.Job, other.Height, other.Wishes.Gang, other.Count = idOf('j', 2), 1, false, 15
	s.Pending = []Pending{p, other}
	batch, err := Learned{}.Match(s, Seed{})
	require.NoError(t, err)
	checkBatch(t, s, batch)
	require.Equal(t, []Unmatched{{Job: p.Job, Tasks: 16, Reasons: []ReasonCount{{ReasonGang, 5}}}}, batch.Unmatched)
	placed := uint32(0)
	for _, item := range batch.Items {
		placed += item.Count
	}
	require.Equal(t, uint32(15), placed, "what the gang gave back is there for the next")
}

var updateLearned = flag.Bool("update-learned", false, "write testdata/learned.json anew")

// The vectors pin the learning path: another build, machine or implementation must decide the same.
func TestLearnedGolden(t *testing.T) {
	type vector struct {
		Seed     string
		Policy   Learned
		Snapshot Snapshot
		Batch    Batch
	}
	path := filepath.Join("testdata", "learned.json")
	if *updateLearned {
		lines := []byte("[")
		for i := range 12 {
			v := vector{Seed: string(rune('a' + i)), Policy: Learned{Config{Mode: modes[i%3], Explore: 2500}}}
			if i >= 6 {
				v.Policy.Config = []Config{DefaultConfig(), {Mode: ModeThompson, Noise: 50, TryOne: true}}[i%2]
			}
			v.Snapshot = rapid.Custom(generateWishes).Filter(func(s Snapshot) bool {
				b, err := v.Policy.Match(s, goldenSeed(v.Seed))
				return err == nil && len(b.Items) > 2
			}).Example(i)
			var err error
			v.Batch, err = v.Policy.Match(v.Snapshot, goldenSeed(v.Seed))
			require.NoError(t, err)
			line, err := json.Marshal(v)
			require.NoError(t, err)
			if i > 0 {
				lines = append(lines, ',')
			}
			lines = append(append(lines, '\n'), line...)
		}
		require.NoError(t, os.WriteFile(path, append(lines, "\n]\n"...), 0o644))
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.Len(t, vectors, 12)
	for _, v := range vectors {
		got, err := v.Policy.Match(v.Snapshot, goldenSeed(v.Seed))
		require.NoError(t, err)
		require.Equal(t, v.Batch, got)
	}
}
