package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// waits tells whether a node waits for the end of a joint benchmark.
func (w *world) waits(owner sdk.AccAddress, id escrowtypes.ID) bool {
	waits, err := w.k.Waiting.Has(w.Ctx, collections.Join(owner, id))
	require.NoError(w.tb, err)
	return waits
}

// One node falls short first: the others are judged by the benchmark that they are in, and only then all are challenged again.
func TestShortfallWaitsForTheOthersVerdicts(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	one, two, three := w.active(alice, "one"), w.active(alice, "two"), w.register(alice, "three")
	started := w.node(one).BenchmarkStart
	w.end(5, w.reachedBy(50, three)...)
	require.Equal(t, []int64{started, started, 0}, w.starts(one, two, three), "the others go on")
	require.True(t, w.benchmarkOpen(one, boot))
	require.False(t, w.benchmarkOpen(three, boot))
	require.ErrorIs(t, w.resume(w.node(three)), types.ErrUnderWay)
	require.ErrorIs(t, w.try(1, w.reachedBy(100, three)...)[0], types.ErrStaleReport)
	four := w.register(alice, "four")
	require.True(t, w.waits(alice, four), "and so does one that is registered meanwhile")
	w.end(5, w.reachedBy(50, one)...)
	require.Equal(t, []int64{0, started, 0, 0}, w.starts(one, two, three, four))
	w.end(5, w.reachedBy(100, two)...)
	for i, id := range []escrowtypes.ID{one, two, three, four} {
		again := w.node(id).BenchmarkStart
		require.Greater(t, again, started)
		require.Equal(t, w.node(one).BenchmarkStart, again, "all together")
		require.EqualValues(t, []int{1, 0, 1, 0}[i], w.node(id).BenchmarkTries, "judged once")
		require.False(t, w.waits(alice, id))
	}
	fleet, err := w.k.Fleets.Get(w.Ctx, alice)
	require.NoError(t, err)
	require.EqualValues(t, 3, fleet.Joint, "with that of one and two")
	w.check()
}

// A node on which there is no result holds the others up no longer than its round can last; one that leaves does not at all.
func TestJointBenchmarkEndsWithoutAResult(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	one, two := w.active(alice, "one"), w.register(alice, "two")
	until := w.node(one).BenchmarkUntil
	w.end(1, w.reachedBy(50, two)...)
	w.end(int(until-w.Ctx.BlockTime().Unix()) - 1)
	require.True(t, w.waits(alice, two))
	w.end(1)
	w.end(1)
	require.NotZero(t, w.node(two).BenchmarkStart)
	require.Equal(t, w.starts(one), w.starts(two))

	w.end(1, w.reachedBy(50, two)...)
	require.True(t, w.waits(alice, two))
	require.NoError(t, w.retire(w.node(one)))
	w.end(1)
	require.True(t, w.benchmarkOpen(two, boot), "there is nobody left to wait for")
	w.end(1, w.reachedBy(100, two)...)
	w.end(2 * day)
	require.False(t, w.benchmarkOpen(two, boot))
	w.check()
}

// Whoever restarts during a joint benchmark takes no new work until it has been through one.
func TestRestartDuringAJointBenchmark(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	one, two := w.active(alice, "one"), w.register(alice, "two")
	w.end(60, w.seen(restarted(w.node(one).Index, "aaaaaaaaaaaaaaaa")))
	require.True(t, w.waits(alice, one))
	require.ErrorIs(t, w.reserve(one, types.Resources{CpuMilli: 1_000}, 1), types.ErrWrongStatus)
	w.end(1, w.reachedBy(100, two)...)
	require.NotZero(t, w.node(one).BenchmarkStart)
	require.Equal(t, w.starts(one), w.starts(two))
	w.end(1, w.reachedBy(100, one, two)...)
	require.NoError(t, w.reserve(one, types.Resources{CpuMilli: 1_000}, 1))
}

// Whatever nodes do, an owner has one joint benchmark at a time: nobody in it is asked anew before all others have left it or its time is over, and
// nobody waits once it is over.
func TestJointBenchmarksFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.setParams(func(p *types.Params) { p.MaxBenchmarkTries = 100 })
		alice := w.rich("alice", 50*fog, 2_000*fog)
		var ids []escrowtypes.ID
		for i := range rapid.IntRange(2, 5).Draw(t, "nodes") {
			ids = append(ids, w.register(alice, fmt.Sprint(i)))
		}
		for range rapid.IntRange(5, 30).Draw(t, "blocks") {
			now, open := w.Ctx.BlockTime().Unix(), w.inJoint(alice)
			before, staying := map[escrowtypes.ID]types.Node{}, map[escrowtypes.ID]bool{}
			for _, id := range open {
				before[id], staying[id] = w.node(id), true
			}
			var reports []report
			for _, id := range ids {
				if report, acts := drawAct(t, w, id); acts {
					delete(staying, id)
					reports = append(reports, report...)
				}
			}
			w.end(rapid.SampledFrom([]int{1, 60, 540}).Draw(t, "seconds"), reports...)
			for _, id := range open {
				n := w.node(id)
				switch {
				case staying[id]:
					require.Equal(t, before[id].BenchmarkStart, n.BenchmarkStart, "asked anew while it was in a benchmark at %d", now)
					require.True(t, w.benchmarkOpen(id, n.Boot))
				case len(staying) > 0:
					require.Zero(t, n.BenchmarkStart, "challenged again while others are in the benchmark")
				}
			}
			together := map[int64]bool{}
			for _, id := range ids {
				if n := w.node(id); n.BenchmarkStart != 0 && n.BenchmarkUntil > now {
					together[n.BenchmarkStart] = true
				}
				if len(staying) == 0 && len(together) == 0 {
					require.False(t, w.waits(alice, id), "it waits for nothing")
				}
			}
			require.LessOrEqual(t, len(together), 1)
			w.check()
		}
	})
}

// drawAct has a node do, or be seen to do, something by which it leaves a benchmark.
func drawAct(t *rapid.T, w *world, id escrowtypes.ID) (reports []report, acts bool) {
	n := w.node(id)
	open := w.benchmarkOpen(id, n.Boot)
	switch act := rapid.IntRange(0, 19).Draw(t, "act"); {
	case act < 5 && open:
		return w.reachedBy(100, id), true
	case act < 8 && open:
		return w.reachedBy(50, id), true
	case act == 8 && open:
		return []report{w.benchmark(id, unreachable, unreachable, unreachable)}, true
	case act == 9 && n.Status == types.NODE_STATUS_ACTIVE:
		return []report{w.seen(restarted(n.Index, fmt.Sprintf("%016x", w.Ctx.BlockHeight())))}, true
	case act == 10 && n.Status.Live():
		require.NoError(t, w.retire(n))
		return nil, true
	}
	return nil, false
}
