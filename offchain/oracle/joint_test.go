package oracle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/challenge"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// The turns of a set do not overlap, each has all its tries and time for what they take on a shared machine, and the default round has time for the rest.
func TestTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		oracles := rapid.IntRange(1, 21).Draw(t, "oracles")
		window := rapid.Int64Range(180, 900).Draw(t, "window")
		all := turnsOf(oracletypes.Round{OpenedTime: 1000, Deadline: 1000 + window}, 1015, oracles)
		free := time.Unix(1015, 0)
		for position := range oracles {
			turn := all.of(position)
			require.Len(t, turn.Tries, jointTries)
			require.False(t, turn.Tries[0].Before(free))
			for i, at := range turn.Tries[1:] {
				require.GreaterOrEqual(t, at.Sub(turn.Tries[i]), 2*turn.Window)
			}
			free = turn.Tries[jointTries-1].Add(2*turn.Window + slotLead)
			require.Equal(t, turn.Tries[0].Add(all.each), all.of(position + 1).Tries[0])
		}
		require.False(t, all.end().Before(free))
		require.LessOrEqual(t, all.end().Unix(), 1015+window*turnShare/100+1)
	})
	four := turnsOf(oracletypes.Round{OpenedTime: 1000, Deadline: 1180}, 1015, 4)
	require.Equal(t, 2200*time.Millisecond, four.of(0).Window, "long against a round trip")
}

func TestRestOfAJointBenchmark(t *testing.T) {
	kinds := func(known bool) (kinds []challenge.Kind) {
		for _, s := range restOf(challenge.Plan(challenge.Declared{}, 0), known) {
			kinds = append(kinds, s.Kind)
		}
		return kinds
	}
	require.Equal(t, []challenge.Kind{challenge.CPUSingle, challenge.Memory, challenge.Disk, challenge.Network}, kinds(false))
	require.Equal(t, []challenge.Kind{challenge.CPUSingle, challenge.Memory, challenge.Disk}, kinds(true))
}

// All oracles of a round ask for the same memory, as much as fits into their time.
func TestMemoryToFill(t *testing.T) {
	node := nodestypes.Node{
		Hardware: nodestypes.Hardware{Cores: 4}, Declared: nodestypes.Benchmark{MemoryMib: 16 << 10}, Reserved: nodestypes.Resources{MemoryMib: 2 << 10},
	}
	require.EqualValues(t, 12<<10, declaredBy(node, oracletypes.Round{OpenedTime: 1000, Deadline: 1180}, fillShare).FillMiB)
	require.EqualValues(t, 4*100*24, declaredBy(node, oracletypes.Round{OpenedTime: 1000, Deadline: 1120}, jointFillShare).FillMiB)
}
