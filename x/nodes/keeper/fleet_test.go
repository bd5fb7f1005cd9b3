package keeper_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// reachedBy are the reports that nodes reach the percentage of their declaration.
func (w *world) reachedBy(percent uint64, ids ...escrowtypes.ID) []report {
	var out []report
	for _, id := range ids {
		out = append(out, w.benchmark(id, measured(percent), measured(percent), measured(percent)))
	}
	return out
}

// inJoint are the nodes of an owner that have no result yet in the joint benchmark that is under way, in the order of their ids.
func (w *world) inJoint(owner sdk.AccAddress) (ids []escrowtypes.ID) {
	rng := collections.NewPrefixedPairRange[sdk.AccAddress, escrowtypes.ID](owner)
	require.NoError(w.tb, w.k.ByOwner.Walk(w.Ctx, rng, func(key collections.Pair[sdk.AccAddress, escrowtypes.ID]) (bool, error) {
		if n := w.node(key.K2()); n.BenchmarkStart != 0 && n.BenchmarkUntil > w.Ctx.BlockTime().Unix() {
			ids = append(ids, key.K2())
		}
		return false, nil
	}))
	return ids
}

// siblings of a node in the joint benchmark that is under way.
func (w *world) siblings(id escrowtypes.ID) []escrowtypes.ID {
	owner, err := w.Addresses.StringToBytes(w.node(id).Owner)
	require.NoError(w.tb, err)
	return slices.DeleteFunc(w.inJoint(owner), func(other escrowtypes.ID) bool { return other == id })
}

// endJoint has all that are left in a joint benchmark pass.
func (w *world) endJoint(owner sdk.AccAddress) {
	w.end(1, w.reachedBy(100, w.inJoint(owner)...)...)
}

// starts are the seconds at which the oracles begin with the nodes.
func (w *world) starts(ids ...escrowtypes.ID) []int64 {
	var out []int64
	for _, id := range ids {
		out = append(out, w.node(id).BenchmarkStart)
	}
	return out
}

func TestNodesOfAnOwnerAreBenchmarkedTogether(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.rich("alice", 50*fog, 900*fog), w.rich("bob", 50*fog, 900*fog)
	one, others := w.register(alice, "one"), w.active(bob, "other")
	require.Zero(t, w.node(one).BenchmarkStart, "nobody to be measured with")
	w.end(1, w.reachedBy(100, one)...)

	two := w.register(alice, "two")
	opened := w.Ctx.BlockTime().Unix() - 1
	require.Equal(t, []int64{opened + 15, opened + 15, 0}, w.starts(one, two, others))
	require.True(t, w.benchmarkOpen(one, boot))
	require.False(t, w.node(one).BenchmarkPending, "a node that works goes on")
	w.end(1, w.reachedBy(100, one, two)...)
	require.Equal(t, []int64{0, 0}, w.starts(one, two))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(two).Status)

	// A restart concerns the node alone; one that is down cannot take part, but will within a day.
	w.end(60, w.seen(restarted(w.node(one).Index, "aaaaaaaaaaaaaaaa")))
	require.Equal(t, []int64{0, 0}, w.starts(one, two))
	w.end(1, w.reachedBy(100, one)...)
	w.end(60, w.seen(down(w.node(two).Index)))
	three := w.register(alice, "three")
	require.NotZero(t, w.node(three).BenchmarkStart)
	require.Equal(t, w.starts(one), w.starts(three))
	require.False(t, w.benchmarkOpen(two, boot))
	w.end(1, w.reachedBy(100, one, three)...)
	w.end(60, w.seen(up(w.node(two).Index)))
	w.end(day)
	w.end(1)
	require.Len(t, w.starts(one, two, three), 3)
	require.NotZero(t, w.node(one).BenchmarkStart)
	require.Equal(t, w.starts(one, one, one), w.starts(one, two, three))
	w.check()
}

// The bound: an owner who registers many nodes has three joint benchmarks at once, and one with all of them the next day.
func TestJointBenchmarksAreBounded(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 100*fog, 5000*fog)
	var ids []escrowtypes.ID
	joint := 0
	for i := range 12 {
		id := w.register(alice, fmt.Sprint("node", i))
		ids = append(ids, id)
		var open []escrowtypes.ID
		for _, other := range ids {
			if w.benchmarkOpen(other, boot) {
				open = append(open, other)
			}
		}
		if w.node(id).BenchmarkStart != 0 {
			joint++
			require.Len(t, open, i+1)
		} else {
			require.Equal(t, []escrowtypes.ID{id}, open)
		}
		w.end(1, w.reachedBy(100, open...)...)
	}
	require.Equal(t, 3, joint)
	w.end(day)
	w.end(1)
	for _, id := range ids {
		require.NotZero(t, w.node(id).BenchmarkStart)
		require.Equal(t, w.node(ids[0]).BenchmarkStart, w.node(id).BenchmarkStart)
	}
	w.end(1, w.reachedBy(100, ids...)...)
	w.end(2 * day)
	for _, id := range ids {
		require.False(t, w.benchmarkOpen(id, boot), "without new nodes there is no more to find out")
	}
	w.check()
}

// A machine that answers for two can save one of them each time. Whichever it saves, one is found out within five benchmarks.
func TestAlternatingNodesAreFoundOut(t *testing.T) {
	for choice := range 1 << 5 {
		w := newWorld(t)
		alice := w.rich("alice", 50*fog, 900*fog)
		pair := []escrowtypes.ID{w.active(alice, "one"), w.register(alice, "two")}
		found := func() bool {
			return w.node(pair[0]).Status == types.NODE_STATUS_JAILED || w.node(pair[1]).Status == types.NODE_STATUS_REFUSED ||
				w.node(pair[1]).Status == types.NODE_STATUS_JAILED
		}
		for round := 0; !found(); round++ {
			require.Less(t, round, 5, "choice %b", choice)
			saved := choice >> round & 1
			w.end(1, append(w.reachedBy(100, pair[saved]), w.reachedBy(50, pair[1-saved])...)...)
			if found() {
				break
			}
			require.Equal(t, w.starts(pair[0], pair[0]), w.starts(pair[0], pair[1]), "both again, together")
			require.NotZero(t, w.node(pair[0]).BenchmarkStart)
			// Restarting or changing the declaration of the one that was caught wipes nothing out.
			if n := w.node(pair[1-saved]); n.Index != 0 && round == 0 {
				fresh := restarted(n.Index, fmt.Sprintf("%016x", round+1))
				w.end(1, w.seen(fresh))
				require.False(t, w.benchmarkOpen(pair[1-saved], w.node(pair[1-saved]).Boot), "pending, so not alone")
				require.NotZero(t, w.node(pair[1-saved]).BenchmarkTries)
				w.endJoint(alice)
				require.Equal(t, w.starts(pair[0], pair[0]), w.starts(pair[0], pair[1]))
				require.NotZero(t, w.node(pair[0]).BenchmarkStart)
			}
		}
		w.check()
	}
}

// When the day's benchmarks are used up, what fell short waits for the next day; what did not is measured alone.
func TestShortfallsWaitForTheOthers(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	w.setParams(func(p *types.Params) { p.MaxBenchmarkTries = 100 })
	one, two := w.active(alice, "one"), w.register(alice, "two")
	for range 6 {
		require.NotZero(t, w.node(two).BenchmarkStart)
		w.end(1, append(w.reachedBy(100, one), w.reachedBy(50, two)...)...)
	}
	require.False(t, w.benchmarkOpen(two, boot))
	require.NoError(t, w.resume(w.node(two)))
	w.end(1)
	require.False(t, w.benchmarkOpen(two, boot), "its owner cannot have it measured alone")
	w.end(day)
	w.end(1)
	require.NotZero(t, w.node(two).BenchmarkStart)
	require.Equal(t, w.starts(two), w.starts(one))

	// Once the other one is gone, there is no machine to share.
	w.end(1, append(w.reachedBy(100, one), w.reachedBy(50, two)...)...)
	require.NoError(t, w.retire(w.node(one)))
	w.end(1)
	require.NoError(t, w.send(&types.MsgUpdateNode{Owner: w.Text(alice), NodeId: two.Bech32("node"), Prices: &types.Prices{Cpu: 1}}))
	w.end(1, w.reachedBy(100, two)...)
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(two).Status)
	w.check()
}

// Work that runs takes its share of a machine: what is measured beside it is credited.
func TestWorkIsNoFalseDeclaration(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	w.edit(id, func(n *types.Node) { n.Statistics.Tasks = 1_000 })
	require.NoError(t, w.reserve(id, types.Resources{CpuMilli: 4_000}, 4))
	w.end(60, w.seen(restarted(1, "aaaaaaaaaaaaaaaa")))
	half := types.BenchmarkObservation{Measured: declared}
	half.Measured.CpuSingle, half.Measured.CpuAll = 500, 4_000
	w.end(1, w.benchmark(id, half, half, half))
	require.Zero(t, w.node(id).BenchmarkTries)
	require.Equal(t, declared.CpuAll, w.node(id).Measured.CpuAll, "it is still as fast as it was")

	w.end(60, w.seen(restarted(1, "bbbbbbbbbbbbbbbb")))
	w.end(1, w.reachedBy(30, id)...)
	require.EqualValues(t, 1, w.node(id).BenchmarkTries, "less than the share that is left")
}
