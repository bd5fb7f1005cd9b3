package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// BenchmarkSlice is what the life of a slice does to its node: reserved at the match, released with its statistics at the end. 1,000
// slices a block on 100 nodes, the commit included.
func BenchmarkSlice(b *testing.B) {
	task := types.Resources{CpuMilli: 1_000, MemoryMib: 512, StorageMib: 100}
	done := types.Statistics{Tasks: 10, Successes: 10, Paid: 12_345, WorkMs: 50_000}
	for _, ended := range []uint64{types.MaxProbationTasks, 10} {
		b.Run(fmt.Sprintf("ended=%d", ended), func(b *testing.B) {
			w := newWorld(b)
			ids := make([]escrowtypes.ID, 100)
			owner := w.rich("alice", 500*fog, 50_000*fog)
			for i := range ids {
				ids[i] = w.active(owner, fmt.Sprint(i))
				w.edit(ids[i], func(n *types.Node) { n.Statistics.Tasks = ended })
			}
			w.NextBlock()
			slice := func(id escrowtypes.ID, index uint32) error {
				n, err := w.k.NodeByIndex(w.Ctx, index)
				if err != nil {
					return err
				}
				if err := w.k.Reserve(w.Ctx, id, n, task, 10, nil); err != nil {
					return err
				}
				return w.k.EndWork(w.Ctx, id, types.Work{Released: task, Tasks: 10, Done: done})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := slice(ids[i%100], uint32(i%100)+1); err != nil {
					require.NoError(b, err)
				}
				if i%1_000 == 999 {
					w.NextBlock()
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "slices/s")
		})
	}
}
