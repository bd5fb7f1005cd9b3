package oracle

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/classify"
	"github.com/foggrid/fogd/offchain/classify/quant"
	"github.com/foggrid/fogd/offchain/match"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// bandwidthColumn of the classes' features.
func bandwidthColumn(t *testing.T) int {
	for i, f := range classify.NodeFeatures() {
		if f.Name == "bandwidth" {
			return i
		}
	}
	t.Fatal("no feature bandwidth")
	return 0
}

// What oracles measured of a network is what conditions ask for, in Mbit/s rounded down, and what classes go by.
func TestBandwidthReachesMatchingAndClasses(t *testing.T) {
	for kbit, matches := range map[uint64]bool{0: false, 999: false, 99_999: false, 100_000: true, 100_001: true, 2_000_000: true} {
		n := nodestypes.Node{
			Id: "node1a", Owner: "fog1a", Index: 1, Status: nodestypes.NODE_STATUS_ACTIVE,
			Measured: nodestypes.Benchmark{CpuSingle: 1000, BandwidthKbit: kbit},
		}
		m := matchNode(n, match.ID{1}, match.ID{2}, match.Resources{CPUMilli: 1000, MemoryMiB: 100}, false)
		snapshot := match.Snapshot{
			Nodes: []match.Node{m}, Params: match.Params{MaxItems: 1, MaxSliceTasks: 1},
			Pending: []match.Pending{{
				Job: match.ID{3}, Owner: match.ID{4}, Count: 1, Task: match.Resources{CPUMilli: 1000}, PriceCap: 1, MaxDuration: 60, TaskBudget: 1,
				Where: "bandwidth >= 100",
			}},
		}
		policy, known := match.Named(match.Versions()[0])
		require.True(t, known)
		batch, err := policy.Match(snapshot, match.Seed{1})
		require.NoError(t, err)
		require.Equal(t, matches, len(batch.Items) == 1, "%d kbit/s", kbit)

		row := newPopulation(1, 1, []nodestypes.Node{n}, nil).table.Values
		if kbit == 0 {
			require.Equal(t, int64(quant.Missing), row[bandwidthColumn(t)])
		} else {
			require.Equal(t, int64(kbit), row[bandwidthColumn(t)])
		}
	}
}
