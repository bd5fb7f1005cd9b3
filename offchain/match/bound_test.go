package match

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// No node's loss is below the bound of a block that it is in, to the last bit, whatever noise is drawn.
func TestBoundsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		size := func(bits int) uint64 { return rng.Uint64() >> (64 - bits + rng.IntN(bits)) }
		for range 50 {
			w := weights{fail: size(weightBits), latency: size(weightBits)}
			// Weights just above a whole product, so that rounding decides.
			small := rng.IntN(2) == 0
			for c := range priced {
				w.run[c] = size(weightBits)
				if small {
					w.run[c] = 1<<rng.IntN(61) + rng.Uint64N(3)
				}
			}
			if rng.IntN(3) == 0 {
				w.run[colMemory] = w.run[colCPU] * rng.Uint64N(10) >> rng.IntN(3) & (1<<weightBits - 1)
			}
			w.split()
			parts := w.parts[0].weight + w.parts[1].weight
			require.LessOrEqual(t, w.parts[0].weight, w.run[colCPU])
			require.GreaterOrEqual(t, parts, min(w.run[colCPU], w.run[colMemory]), "the split leaves little away")
			w.place = PlaceAt(int32(rng.IntN(180e6))-90e6, int32(rng.IntN(360e6))-180e6)
			w.placed = rng.IntN(4) > 0

			block := nothing
			nodes := make([]record, 1+rng.IntN(4))
			for i := range nodes {
				h := &nodes[i].hot
				for c := range priced {
					h.rates[c] = min(size(57), maxColumn)
				}
				p := minP + rng.Uint64N(oneP-minP)
				h.p, h.sigma = uint32(p), uint32(size(30))
				h.odds, h.bestOdds = oddsOf(p), oddsOf(noisy(h.p, h.sigma, zMax))
				h.rtt = 1 + uint32(size(20))
				if rng.IntN(5) > 0 {
					h.place = PlaceAt(int32(rng.IntN(180e6))-90e6, int32(rng.IntN(360e6))-180e6)
				}
				block.take(&nodes[i])
			}
			for i := range nodes {
				require.True(t, block.holds(&nodes[i]))
			}
			for _, better := range []func(n *record){
				func(n *record) { n.hot.free[colCPU] = block.free[colCPU] + 1 },
				func(n *record) { n.hot.rtt = block.rtt - 1 },
				func(n *record) { n.hot.free[colGPU] = block.free[colGPU] + 1 },
				func(n *record) { n.words.labels = 1 },
				func(n *record) { n.words.kinds = 1 << 63 },
				func(n *record) { n.hot.place = Place{block.hi.X, block.hi.Y, max(block.hi.Z, 0) + 1} },
			} {
				n := nodes[0]
				better(&n)
				require.False(t, block.holds(&n))
			}
			lower, ok := w.cheapest(&block)
			require.True(t, ok)
			latency := w.latencyOf(&block)
			lower += latency
			super := nothing
			super.merge(&block)
			above, _ := w.cheapest(&super)
			require.Equal(t, lower, above+latency)
			for i := range nodes {
				h := &nodes[i].hot
				rtt := h.rtt
				if w.placed {
					rtt = RTT(rtt, h.place, w.place)
				}
				failure := w.failCost(oddsOf(noisy(h.p, h.sigma, int64(quantiles[rng.IntN(512)]))))
				require.LessOrEqual(t, lower, w.runCost(&h.rates)+failure+w.latencyCost(rtt))
				require.LessOrEqual(t, latency, w.latencyCost(rtt))
			}
		}
	})
}
