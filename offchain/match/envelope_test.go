package match

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// No node with room costs less than the envelope of its block or super-block says, to the last bit, and where an envelope
// says that none has room, none has.
func TestEnvelopesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		size := func(bits int) uint64 { return rng.Uint64() >> (64 - bits + rng.IntN(bits)) }
		o := sequence{rho: rng.IntN(rhoMost - (points-2)*rhoStep + 1)}
		nodes := make([]record, 1+rng.IntN(200))
		rateBits := 1 + rng.IntN(57)
		for i := range nodes {
			h := &nodes[i].hot
			for c := range priced {
				h.rates[c] = min(size(rateBits), maxColumn)
				h.free[c] = uint32(size(17))
			}
			h.bestOdds = oddsOf(minP + rng.Uint64N(oneP-minP))
			if i%blockSize == 0 {
				o.grow()
			}
			o.write(uint32(i), Ref(i), &nodes[i])
		}
		for b := range o.blocks {
			o.tightenBlock(nodes, b)
		}
		for s := range o.supers {
			o.tightenSuper(s)
			o.outlineSuper(s)
		}
		for range 50 {
			w := weights{fail: size(weightBits)}
			w.run[colCPU], w.run[colMemory] = size(weightBits), size(weightBits)
			if rng.IntN(3) == 0 {
				w.run[colMemory] = w.run[colCPU] * rng.Uint64N(10) >> rng.IntN(3) & (1<<weightBits - 1)
			}
			if rng.IntN(3) == 0 { // a ρ among those of the envelope
				w.fail = min(w.run[colCPU]>>(oddsBits-5)<<(o.rho+rng.IntN(3*rhoStep)), 1<<weightBits-1)
			}
			w.floor[colCPU], w.floor[colMemory] = uint32(size(17)), uint32(size(17))
			w.split()
			d := w.ask(o.rho)
			for i := range nodes {
				h := &nodes[i].hot
				if h.free[colCPU] < w.floor[colCPU] || h.free[colMemory] < w.floor[colMemory] {
					continue
				}
				cost := w.runCost(&h.rates) + w.failCost(h.bestOdds)
				for v, b := range map[*envelope]*bound{
					&o.envelopes[i/blockSize]: &o.blocks[i/blockSize], &o.around[0]: &o.supers[0],
				} {
					least, ok := d.least(v, b.odds)
					require.True(t, ok)
					require.LessOrEqual(t, least+w.rareCost(&b.mixes), cost)
				}
			}
		}
	})
}

// Of equal nodes the envelope says what they cost, where the ρ of a task is one of its own.
func TestEnvelopeIsTight(t *testing.T) {
	o := sequence{rho: 8}
	o.grow()
	n := record{}
	n.hot.rates = [priced]uint64{1 << 36, 1 << 33, 0, 0}
	n.hot.free = [priced]uint32{8000, 16 * mibPerGiB, 0, 0}
	n.hot.bestOdds = oddsOf(oneP / 10 * 9)
	o.write(0, 0, &n)
	o.outline(0)
	for point := 1; point < points; point++ {
		w := weights{}
		w.run[colCPU], w.run[colMemory] = 1<<40, 1<<41
		w.fail = 1 << (40 - (oddsBits - 5) + o.rho + (point-1)*rhoStep)
		w.floor[colCPU], w.floor[colMemory] = 8000, 16*mibPerGiB
		w.split()
		d := w.ask(o.rho)
		least, ok := d.least(&o.envelopes[0], n.hot.bestOdds)
		require.True(t, ok)
		require.InDelta(t, w.runCost(&n.hot.rates)+w.failCost(n.hot.bestOdds), least, 4)
		w.floor[colMemory] = 33 * mibPerGiB
		d = w.ask(o.rho)
		_, ok = d.least(&o.envelopes[0], n.hot.bestOdds)
		require.False(t, ok, "no node has room")
	}
}

// Over several super-blocks, with nodes that fill up, what the index finds by envelopes is what a look at every node finds.
func TestIndexEqualsScanBusy(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 7))
		e := NewEngine(DefaultConfig())
		var live []Ref
		for i := range 4 * superSize * filled {
			r, err := e.Add(randomNode(rng, i, false))
			require.NoError(t, err)
			live = append(live, r)
		}
		e.Epoch(1e6)
		var got, want Decision
		for i := range 600 {
			q := randomQuery(rng, i)
			found := e.Decide(&q, Seed{}, &got)
			require.Equal(t, e.scan(&q, Seed{}, &want), found)
			require.Equal(t, want.Choices, got.Choices)
			if found && rng.IntN(4) > 0 {
				require.NoError(t, e.Reserve(got.Best().Ref, q.Task, 1))
			}
			live = change(t, rng, e, live, 100_000+i, false)
		}
		e.checkBounds(t)
		counted := 0
		for _, o := range []*sequence{&e.index.byCost, &e.index.byPlace} {
			for _, u := range o.upkeep {
				if u.apart != every {
					counted++
				}
			}
		}
		require.NotZero(t, counted, "no envelope of a super-block was found")
	}
}
