package match

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// randomNode draws from few values, so that nodes tie, or from many.
func randomNode(rng *rand.Rand, i int, crowded bool) Node {
	pick := func(most uint64) uint64 {
		if crowded {
			return rng.Uint64N(3) * most / 3
		}
		return rng.Uint64N(most)
	}
	n := Node{
		Index: uint32(i), Owner: idOf('o', byte(rng.IntN(5))), Class: uint32(rng.IntN(3)),
		Free:   Resources{CPUMilli: 500 * pick(9), MemoryMiB: 512 * pick(9), StorageMiB: 1024 * pick(9), GPUs: pick(3)},
		Prices: Prices{CPU: 1000 + pick(30_000), Memory: pick(9000), Storage: pick(50), GPU: pick(90_000)},
		Region: []string{"eu", "us"}[rng.IntN(2)], CPUSingle: 100 * pick(30), Probation: rng.IntN(5) == 0, RTT: uint32(pick(9000)),
	}
	binary.BigEndian.PutUint64(n.ID[:], rng.Uint64())
	binary.BigEndian.PutUint32(n.ID[16:], uint32(i))
	if rng.IntN(60) == 0 {
		n.Attributes = []Attribute{{"disk", "rare"}}
	}
	if rng.IntN(6) > 0 {
		n.Place = PlaceAt(int32(rng.IntN(180e6))-90e6, int32(rng.IntN(360e6))-180e6)
	}
	for range rng.IntN(4) {
		n.Stats = n.Stats.Add(Outcome{Success: rng.IntN(5) > 0, Speed: uint32(One/2 + rng.IntN(One)), At: int64(rng.IntN(9e5))})
	}
	return n
}

func randomQuery(rng *rand.Rand, i int) Query {
	q := Query{
		Job: idOf('j', byte(rng.IntN(9))), Number: uint32(i), Work: rng.Uint64N(9e6), FailureCost: rng.Uint64N(300_000), Runners: rng.IntN(4),
		Task: Resources{CPUMilli: 250 * rng.Uint64N(6), MemoryMiB: 256 * rng.Uint64N(6), StorageMiB: 512 * rng.Uint64N(3), GPUs: rng.Uint64N(8) / 7},
	}
	if rng.IntN(3) > 0 {
		q.LatencyPrice = rng.Uint64N(1 << rng.IntN(24))
		q.Place = PlaceAt(int32(rng.IntN(180e6))-90e6, int32(rng.IntN(360e6))-180e6)
	}
	switch rng.IntN(8) {
	case 0:
		c := Constraints{Regions: []string{"eu"}}
		if rng.IntN(2) == 0 {
			c = Constraints{Regions: []string{"us", "moon"}, Attributes: []Attribute{{"disk", "rare"}}}
		}
		q.needs = (&state{}).needs(&Pending{Constraints: c})
		q.Accept = func(_ Ref, n *Node) bool {
			return allows(c.Regions, n.Region) && (len(c.Attributes) == 0 || slices.Contains(n.Attributes, c.Attributes[0]))
		}
	case 1:
		q.Penalty = func(_ Ref, n *Node) uint64 { return uint64(n.Class) * 1000 }
	case 2:
		q.Work, q.FailureCost, q.LatencyPrice = 1<<rng.IntN(60), 1<<rng.IntN(60), 1<<rng.IntN(60)
	}
	return q
}

// change does one of all the things that can happen to a node.
func change(t require.TestingT, rng *rand.Rand, e *Engine, live []Ref, i int, crowded bool) []Ref {
	if len(live) == 0 || rng.IntN(6) == 0 {
		r, err := e.Add(randomNode(rng, i, crowded))
		require.NoError(t, err)
		return append(live, r)
	}
	at := rng.IntN(len(live))
	r := live[at]
	n := e.Node(r)
	switch rng.IntN(9) {
	case 0:
		e.Remove(r)
		return append(live[:at], live[at+1:]...)
	case 1:
		e.SetPrices(r, randomNode(rng, i, crowded).Prices)
	case 2:
		e.SetOpen(r, rng.IntN(2) == 0)
	case 3:
		e.SetProbation(r, rng.IntN(2) == 0)
	case 4:
		e.SetFree(r, randomNode(rng, i, crowded).Free, uint32(rng.IntN(3)))
	case 5:
		e.SetStats(r, randomNode(rng, i, crowded).Stats)
	case 6:
		e.Observe(r, Outcome{Success: rng.IntN(2) == 0, Speed: uint32(rng.IntN(2 * One)), At: int64(rng.IntN(9e5))})
	default:
		task := Resources{CPUMilli: 500, MemoryMiB: 256}
		if rng.IntN(2) == 0 {
			e.Release(r, task, 1)
		} else if room, _ := n.room(task); room > 0 && (!e.single(&e.nodes[r]) || n.Running == 0) {
			require.NoError(t, e.Reserve(r, task, 1))
		} else {
			require.Error(t, e.Reserve(r, task, 1))
		}
	}
	return live
}

// What is taken off the chance of a node comes back while it is idle, and then as much again; of a node without an outcome it never does.
func TestHopeGrowsWithIdleHours(t *testing.T) {
	const start, hour = 1_000_000, 3600
	cfg := Config{Caution: 50, Hope: 12}
	chances := func(cfg Config, stats Stats, at int64) uint64 {
		e := NewEngine(cfg)
		r, err := e.Add(Node{ID: idOf('n', 1), Stats: stats})
		require.NoError(t, err)
		e.Epoch(at)
		return uint64(e.nodes[r].hot.p)
	}
	var tried Stats
	for i := range 10 {
		tried = tried.Add(Outcome{Success: i != 4, At: start})
	}
	for _, stats := range []Stats{tried, {}} {
		careful, even := chances(cfg, stats, start), chances(Config{}, stats, start)
		require.Less(t, careful, even)
		if stats.Trials == 0 {
			require.Equal(t, careful, chances(cfg, stats, start+100*hour))
			continue
		}
		early := chances(cfg, stats, start+6*hour)
		require.Greater(t, early, careful)
		require.Less(t, early, even)
		require.InDelta(t, chances(Config{}, stats, start+12*hour), chances(cfg, stats, start+12*hour), 2)
		require.Greater(t, chances(cfg, stats, start+18*hour), even)
		most := chances(cfg, stats, start+23*hour)
		require.InDelta(t, 2*even-careful, most, oneP/200)
	}
}

// A change touches half of a record, in four whole cache lines.
func TestRecordsLieInCacheLines(t *testing.T) {
	var r record
	require.EqualValues(t, 512, unsafe.Sizeof(r))
	require.GreaterOrEqual(t, unsafe.Offsetof(r.Node)+unsafe.Offsetof(r.Probation), uintptr(256))
}

// The index must find what a look at every node finds, whatever happened before, with noise and with ties.
func TestIndexEqualsScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		crowded := rapid.Bool().Draw(t, "crowded")
		mode := rapid.SampledFrom([]Mode{ModeGreedy, ModeThompson, ModeLowestCost}).Draw(t, "mode")
		cautious := rapid.Bool().Draw(t, "cautious")
		cfg := Config{Mode: mode, Explore: 2000}
		if cautious {
			cfg.Caution, cfg.Hope, cfg.Optimism, cfg.Noise, cfg.TryOne = 60, 24, 150, 40, true
		}
		e := NewEngine(cfg)
		var live []Ref
		for i := range rapid.SampledFrom([]int{0, 10, 700, 3000}).Draw(t, "nodes") {
			r, err := e.Add(randomNode(rng, i, crowded))
			require.NoError(t, err)
			live = append(live, r)
		}
		if rapid.Bool().Draw(t, "epoch") {
			e.Epoch(1e6)
		}
		var got, want Decision
		for i := range 300 {
			for j := range rng.IntN(8) {
				live = change(t, rng, e, live, 10_000+10*i+j, crowded)
			}
			if rng.IntN(100) == 0 {
				e.Epoch(int64(rng.IntN(2e6)))
			}
			q := randomQuery(rng, i)
			seed := Seed{0: byte(i)}
			found := e.Decide(&q, seed, &got)
			require.Equal(t, e.scan(&q, seed, &want), found)
			if found {
				require.Equal(t, want.Choices, got.Choices)
				require.Equal(t, want.Taken, got.Taken)
			}
		}
		e.checkBounds(t)
	})
}

// checkBounds requires that the bounds of both orders hold for their nodes, that those are tight which are not known to be slack, and that each node
// has one place in each order.
func (e *Engine) checkBounds(t require.TestingT) {
	for _, o := range []*sequence{&e.index.byCost, &e.index.byPlace} {
		o.follow(e.nodes)
		seen := 0
		for at, slot := range o.slots {
			if slot.ref != nowhere {
				seen++
				require.Equal(t, uint32(at), e.nodes[slot.ref].at[o.which])
				require.Equal(t, e.nodes[slot.ref].hot.slot(Ref(slot.ref)), slot)
			}
		}
		if e.index.built > 0 && (o == &e.index.byCost || e.index.placed) {
			require.Equal(t, len(e.refs), seen)
		}
		for b := range o.blocks {
			before := o.blocks[b]
			super := o.supers[b/superSize]
			o.tightenBlock(e.nodes, b)
			for _, tight := range []bound{o.blocks[b], before} {
				for m := range mixes {
					require.LessOrEqual(t, super.mixes[m], tight.mixes[m])
				}
				for c := range priced {
					require.GreaterOrEqual(t, super.free[c], tight.free[c])
				}
				require.LessOrEqual(t, super.odds, tight.odds)
			}
			for m := range mixes {
				require.LessOrEqual(t, before.mixes[m], o.blocks[b].mixes[m])
			}
			for c := range priced {
				require.GreaterOrEqual(t, before.free[c], o.blocks[b].free[c])
			}
			require.LessOrEqual(t, before.odds, o.blocks[b].odds)
			if !before.slack {
				require.Equal(t, o.blocks[b].mixes[:common], before.mixes[:common], "tight")
				require.Equal(t, o.blocks[b].free[:colStorage], before.free[:colStorage], "tight")
				require.Equal(t, o.blocks[b].odds, before.odds, "tight")
			}
		}
		o.checkEnvelopes(t)
	}
}

// checkEnvelopes requires that an envelope that counts is what would be found now.
func (o *sequence) checkEnvelopes(t require.TestingT) {
	for b := range o.blocks {
		if o.known(b) {
			before := o.envelopes[b]
			o.outline(b)
			require.Equal(t, o.envelopes[b], before)
		}
	}
	for s, u := range o.upkeep {
		if u.apart == every {
			continue
		}
		var least envelope
		least.clear()
		for i := range superSize {
			if b := s*superSize + i; u.apart>>i&1 == 0 && b < len(o.blocks) {
				require.True(t, o.known(b), "what a super-block counts has not changed")
				least.merge(&o.envelopes[b])
			}
		}
		for l := range least {
			for m := range least[l] {
				for i, v := range least[l][m] {
					require.LessOrEqual(t, o.around[s][l][m][i], v)
				}
			}
		}
	}
}
