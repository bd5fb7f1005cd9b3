package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/nodes/types"
)

// BenchmarkLiveness is what an epoch costs the chain: the report of four votes about so many nodes, of which some changed, with the commit. An op is an
// epoch. It reports, for a node and epoch, the bytes of the four votes and the time, and the gas for a node that changed.
func BenchmarkLiveness(b *testing.B) {
	const nodes = 2_000
	w := newWorld(b)
	owner := w.rich("alice", 5_000*fog, 250_000*fog)
	for i := range nodes {
		require.NoError(b, w.send(w.registration(owner, fmt.Sprint(i))))
	}
	for range 4 { // so many benchmarks a block
		w.end(1)
	}
	var reports []report
	for i := range nodes {
		reports = append(reports, w.benchmark(types.NodeID(owner, fmt.Sprint(i)), measured(100), measured(100), measured(100)))
	}
	w.end(1, reports...)
	w.setParams(func(p *types.Params) { p.JailTransitions, p.MinUptimePercent = types.MaxJailTransitions, 0 })
	for _, changed := range []int{0, 20, 200} {
		b.Run(fmt.Sprintf("nodes=%d/changed=%d", nodes, changed), func(b *testing.B) {
			var index []uint32
			for i := range changed {
				index = append(index, uint32(i*nodes/changed)+1)
			}
			var gas, size uint64
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o := down(index...)
				if i%2 == 1 {
					o = up(index...)
				}
				body, err := o.Marshal()
				require.NoError(b, err)
				size += 4 * uint64(len(body))
				r := w.liveness(o, o, o, o)
				run := r.run
				r.run = func(ctx sdk.Context) error {
					meter := storetypes.NewInfiniteGasMeter()
					err := run(ctx.WithGasMeter(meter))
					gas += meter.GasConsumed()
					return err
				}
				w.end(8*day, r) // outages are forgotten
			}
			epochs := float64(b.N)
			b.ReportMetric(float64(size)/epochs/nodes, "vote-B/node")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/epochs/nodes, "ns/node")
			b.ReportMetric(float64(gas)/epochs/float64(max(changed, 1)), "gas/change")
		})
	}
}
