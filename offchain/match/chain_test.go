package match_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/match"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// The chain refuses an item whose price is not its own to the ufog.
func TestPriceIsTheChains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 1<<20))
		r := match.Resources{
			CPUMilli: amount.Draw(t, "cpu"), MemoryMiB: amount.Draw(t, "memory"), StorageMiB: amount.Draw(t, "storage"), GPUs: amount.Draw(t, "gpus"),
		}
		p := match.Prices{
			CPU: amount.Draw(t, "cpu price"), Memory: amount.Draw(t, "memory price"), Storage: amount.Draw(t, "storage price"), GPU: amount.Draw(t, "gpu price"),
		}
		want, err := nodestypes.TaskHourPrice(
			nodestypes.Prices{Cpu: p.CPU, Memory: p.Memory, Storage: p.Storage, Gpu: p.GPU},
			nodestypes.Resources{CpuMilli: r.CPUMilli, MemoryMib: r.MemoryMiB, StorageMib: r.StorageMiB, Gpus: r.GPUs},
		)
		got, ok := match.TaskHourPrice(p, r)
		require.Equal(t, err == nil, ok)
		if ok {
			require.Equal(t, want, got)
		}
	})
}
