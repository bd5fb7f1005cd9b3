package keeper_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestFirstBenchmark(t *testing.T) {
	for name, c := range map[string]struct {
		percent  uint64
		verdict  string
		status   types.NodeStatus
		declared types.Benchmark
		tries    uint32
	}{
		"reached":    {100, "pass", types.NODE_STATUS_ACTIVE, declared, 0},
		"at 90":      {90, "pass", types.NODE_STATUS_ACTIVE, declared, 0},
		"at 89":      {89, "lowered", types.NODE_STATUS_ACTIVE, scaled(declared, 89), 0},
		"at 75":      {75, "lowered", types.NODE_STATUS_ACTIVE, scaled(declared, 75), 0},
		"at 74":      {74, "retry", types.NODE_STATUS_PENDING, declared, 1},
		"over 100":   {200, "pass", types.NODE_STATUS_ACTIVE, declared, 0},
		"not at all": {0, "retry", types.NODE_STATUS_PENDING, declared, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.register(w.rich("alice", fog, 100*fog), "one")
			w.end(1, w.benchmark(id, measured(c.percent), measured(c.percent), measured(c.percent)))
			n := w.node(id)
			require.Equal(t, c.status, n.Status)
			require.Equal(t, c.declared, n.Declared)
			require.Equal(t, scaled(declared, c.percent), n.Measured)
			require.Equal(t, c.tries, n.BenchmarkTries)
			require.EqualValues(t, 100*fog, n.Deposit, "no penalty before the first ACTIVE")
			active := c.status == types.NODE_STATUS_ACTIVE
			require.Equal(t, !active, n.BenchmarkPending)
			require.Equal(t, !active, w.benchmarkOpen(id, boot), "below: again")
			events := eventsOf[*types.EventBenchmarkRecorded](w)
			require.Equal(t, []*types.EventBenchmarkRecorded{
				{NodeId: n.Id, Boot: boot, Measured: scaled(declared, c.percent), Verdict: c.verdict},
			}, events)
			require.LessOrEqual(t, n.Capacity.MemoryMib, n.Declared.MemoryMib, "what is offered follows what is declared")
			require.LessOrEqual(t, n.Capacity.StorageMib, n.Declared.StorageMib)
			w.check()
		})
	}
}

func TestRefusedAfterThreeTries(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 100*fog)
	id := w.register(alice, "one")
	for try := range 3 {
		require.Equal(t, types.NODE_STATUS_PENDING, w.node(id).Status, "try %d", try)
		w.end(1, w.benchmark(id, measured(74), measured(74), measured(74)))
	}
	n := w.node(id)
	require.Equal(t, types.NODE_STATUS_REFUSED, n.Status)
	require.Zero(t, n.Deposit)
	require.EqualValues(t, 100*fog, w.account(alice).Free(), "the deposit is back in full")
	require.False(t, w.benchmarkOpen(id, boot))
	require.Empty(t, eventsOf[*types.EventNodeSlashed](w))
	require.ErrorIs(t, w.retire(n), types.ErrWrongStatus)
	require.ErrorIs(t, w.resume(n), types.ErrWrongStatus)

	again := w.registration(alice, "two")
	first := w.registration(alice, "one")
	again.AgentKey = first.AgentKey
	again.AgentSignature = ed25519.Sign(agentKey(w.Text(alice)+"one"), types.RegistrationBytes(alice, "two"))
	require.NoError(t, w.send(again), "the same machine may try again")
	w.end(1)
	w.check()
}

func TestMediansDecide(t *testing.T) {
	w := newWorld(t)
	lied := w.register(w.rich("alice", 5*fog, 100*fog), "one")
	w.end(1, w.benchmark(lied, measured(0), measured(100), measured(100), measured(100)))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(lied).Status, "one of four cannot refuse a node")

	praised := w.register(w.rich("bob", 5*fog, 100*fog), "two")
	w.end(1, w.benchmark(praised, measured(500), measured(50), measured(50), measured(50)))
	require.Equal(t, types.NODE_STATUS_PENDING, w.node(praised).Status, "or let one in")

	split := w.register(w.rich("carol", 5*fog, 100*fog), "three")
	w.end(1, w.benchmark(split, measured(100), measured(74), measured(100), measured(74)))
	require.Equal(t, scaled(declared, 74), w.node(split).Measured, "of an even number the lower median")
}

// A network is measured, not declared: it is never asked for, and a figure stays until there is another one.
func TestBandwidthIsMeasuredOnly(t *testing.T) {
	w := newWorld(t)
	id := w.register(w.rich("alice", 5*fog, 100*fog), "one")
	seen := func(kbit uint64) types.BenchmarkObservation {
		o := measured(100)
		o.Measured.BandwidthKbit = kbit
		return o
	}
	w.end(1, w.benchmark(id, seen(90_000), seen(0), seen(110_000), seen(100_000)))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
	require.EqualValues(t, 90_000, w.node(id).Measured.BandwidthKbit, "the lower median")
	w.end(60, w.seen(restarted(1, "aaaaaaaaaaaaaaaa")))
	w.end(1, w.benchmark(id, measured(100), seen(90_000), measured(100)))
	require.EqualValues(t, 90_000, w.node(id).Measured.BandwidthKbit, "no quorum has measured it")
	w.end(60, w.seen(restarted(1, "bbbbbbbbbbbbbbbb")))
	w.end(1, w.benchmark(id, seen(7), seen(7), seen(7)))
	require.EqualValues(t, 7, w.node(id).Measured.BandwidthKbit)
}

func TestUnreachable(t *testing.T) {
	w := newWorld(t)
	id := w.register(w.rich("alice", 5*fog, 100*fog), "one")
	for try := range uint32(3) {
		require.True(t, w.benchmarkOpen(id, boot), "try %d", try)
		w.end(1, w.benchmark(id, unreachable, measured(100), unreachable, measured(100)))
		require.Equal(t, try+1, w.node(id).UnreachableTries)
	}
	n := w.node(id)
	require.Equal(t, types.NODE_STATUS_PENDING, n.Status, "two of four are no quorum")
	require.Zero(t, n.BenchmarkTries, "nobody saw that the hardware is not there")
	require.False(t, w.benchmarkOpen(id, boot), "the oracles do not try for ever")
	require.Zero(t, n.Measured)

	require.NoError(t, w.resume(n))
	w.end(1)
	require.True(t, w.benchmarkOpen(id, boot))
	w.end(1, w.benchmark(id, unreachable, measured(100), measured(100), measured(100)))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status, "three of four are")
	require.Zero(t, w.node(id).UnreachableTries)
}

func TestIndexesAreDense(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	for i, salt := range []string{"a", "b", "c", "d"} {
		if salt == "b" {
			w.register(alice, "never active")
			require.NoError(t, w.retire(w.node(types.NodeID(alice, "never active"))))
		}
		id := w.active(alice, salt)
		require.EqualValues(t, i+1, w.node(id).Index)
	}
	// Two in one block, and one that comes back keeps its own.
	x, y := w.register(alice, "x"), w.register(alice, "y")
	all := []types.BenchmarkObservation{measured(100), measured(100), measured(100)}
	w.end(1, w.benchmark(y, all...), w.benchmark(x, all...))
	require.EqualValues(t, 5, w.node(y).Index)
	require.EqualValues(t, 6, w.node(x).Index)
	require.NoError(t, w.retire(w.node(x)))
	require.EqualValues(t, 6, w.node(x).Index, "an index is not given twice")
	require.EqualValues(t, 7, w.node(w.active(alice, "z")).Index)
	w.check()
}

func TestStaleReports(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 300*fog)
	id := w.active(alice, "one")
	good := []types.BenchmarkObservation{measured(100), measured(100), measured(100)}

	// A restart closes the round about the boot before, and a report that was decided already is not taken.
	w.end(60, w.seen(restarted(1, "aaaaaaaaaaaaaaaa")))
	require.True(t, w.benchmarkOpen(id, "aaaaaaaaaaaaaaaa"))
	w.end(60, w.seen(restarted(1, "bbbbbbbbbbbbbbbb")))
	require.False(t, w.benchmarkOpen(id, "aaaaaaaaaaaaaaaa"))
	require.True(t, w.benchmarkOpen(id, "bbbbbbbbbbbbbbbb"))
	require.ErrorIs(t, w.try(1, w.benchmarkOf(id, "aaaaaaaaaaaaaaaa", good...))[0], types.ErrStaleReport)
	require.Equal(t, "bbbbbbbbbbbbbbbb", w.node(id).Boot)

	// What was measured says nothing about what is declared now.
	w.end(1, w.benchmark(id, good...))
	raised := declared
	raised.DiskRead = 540
	require.NoError(t, w.send(&types.MsgUpdateNode{Owner: w.Text(alice), NodeId: id.Bech32("node"), Declared: &raised}))
	require.ErrorIs(t, w.try(1, w.benchmark(id, good...))[0], types.ErrStaleReport)
	require.True(t, w.node(id).BenchmarkPending)
	require.True(t, w.benchmarkOpen(id, "bbbbbbbbbbbbbbbb"))
	w.end(1, w.benchmark(id, good...))
	require.False(t, w.node(id).BenchmarkPending, "500 is over 90 % of 540")

	unknown := types.NodeID(alice, "unknown")
	require.ErrorIs(t, w.try(1, w.benchmarkOf(unknown, boot, good...))[0], types.ErrNodeNotFound)
}

// Work that runs keeps its memory even if the machine turns out to have less.
func TestLoweredNeverBelowReserved(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	require.NoError(t, w.reserve(id, types.Resources{MemoryMib: 15_000, StorageMib: 1}, 1))
	w.end(60, w.seen(restarted(1, "aaaaaaaaaaaaaaaa")))
	w.end(1, w.benchmark(id, measured(80), measured(80), measured(80)))
	n := w.node(id)
	require.EqualValues(t, 12_800, n.Declared.MemoryMib)
	require.EqualValues(t, 15_000, n.Capacity.MemoryMib)
	require.EqualValues(t, 80_000, n.Capacity.StorageMib)
	require.ErrorIs(t, w.reserve(id, types.Resources{MemoryMib: 1}, 1), types.ErrNoCapacity)
	w.check()
}

func TestReportsAreForTheReporter(t *testing.T) {
	w := newWorld(t)
	id := w.register(w.rich("alice", 5*fog, 100*fog), "one")
	for _, authority := range []string{w.Authority, w.Text(sdk.AccAddress("somebody............")), ""} {
		_, err := w.msgs.RecordBenchmark(w.Ctx, &types.MsgRecordBenchmark{Authority: authority, NodeId: id.Bech32("node"), Boot: boot, Quorum: 1})
		require.ErrorIs(t, err, sdkerrors.ErrUnauthorized)
		_, err = w.msgs.RecordLiveness(w.Ctx, &types.MsgRecordLiveness{Authority: authority, Quorum: 1})
		require.ErrorIs(t, err, sdkerrors.ErrUnauthorized)
	}
	// A report without a quorum would be one in which nobody need agree.
	_, err := w.msgs.RecordBenchmark(w.Ctx, &types.MsgRecordBenchmark{Authority: w.Text(reporter), NodeId: id.Bech32("node"), Boot: boot})
	require.ErrorIs(t, err, types.ErrInvalidReport)
	_, err = w.msgs.RecordLiveness(w.Ctx, &types.MsgRecordLiveness{Authority: w.Text(reporter)})
	require.ErrorIs(t, err, types.ErrInvalidReport)
	_, err = w.msgs.RecordBenchmark(w.Ctx, &types.MsgRecordBenchmark{Authority: w.Text(reporter), NodeId: "node1", Boot: boot, Quorum: 1})
	require.ErrorIs(t, err, escrowtypes.ErrInvalidID)
}
