package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

const day = 24 * 3600

func TestFlipsNeedAQuorum(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	one, two := w.active(alice, "one"), w.active(alice, "two")

	w.end(60, w.liveness(down(1), down(1, 2), down(2), types.LivenessObservation{}))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(one).Status, "two of four are no quorum")
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(two).Status)
	require.Empty(t, w.heard())

	w.end(60, w.liveness(down(1), down(1, 2), down(2), down(1)))
	require.Equal(t, types.NODE_STATUS_INACTIVE, w.node(one).Status, "each item is counted alone")
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(two).Status)
	require.Equal(t, []string{"inactive " + one.Bech32("node")}, w.heard())
	require.Equal(t, []*types.EventNodeStatusChanged{{
		NodeId: one.Bech32("node"), From: types.NODE_STATUS_ACTIVE, To: types.NODE_STATUS_INACTIVE, Reason: "seen down by a quorum",
	}}, eventsOf[*types.EventNodeStatusChanged](w))
	require.ErrorIs(t, w.reserve(one, types.Resources{CpuMilli: 1}, 1), types.ErrWrongStatus)

	w.end(60, w.liveness(up(1), up(1), down(2), down(2)))
	require.Equal(t, types.NODE_STATUS_INACTIVE, w.node(one).Status)
	w.end(60, w.liveness(up(1), up(1), types.LivenessObservation{Down: []uint32{2}, Up: []uint32{1}}, down(2)))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(one).Status)
	require.Equal(t, []string{"up " + one.Bech32("node")}, w.heard())
	w.check()
}

// Between the votes and the report the state can change; what does not fit any more is left out, the rest is done.
func TestStaleItems(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	w.active(alice, "one")
	two := w.active(alice, "two")
	require.NoError(t, w.retire(w.node(types.NodeID(alice, "one"))))
	w.end(60, w.seen(types.LivenessObservation{
		Down: []uint32{1, 2, 99}, Up: []uint32{3}, Restarted: []types.Restart{{Index: 1, Boot: "aaaaaaaa"}, {Index: 98, Boot: "aaaaaaaa"}},
	}))
	require.Equal(t, types.NODE_STATUS_INACTIVE, w.node(two).Status)
	require.Equal(t, types.NODE_STATUS_RETIRED, w.node(types.NodeID(alice, "one")).Status)
	w.end(60, w.seen(down(2)))
	require.Len(t, w.node(two).Outages, 1, "it is down already")
	w.end(60, w.seen(up(2)), w.seen(up(2)))
	require.Len(t, eventsOf[*types.EventNodeStatusChanged](w), 1)
}

func TestNetworkIsGradedByTheMedianOfAQuorum(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	one, two := w.active(alice, "one"), w.active(alice, "two")
	saw := func(index, rtt uint32) types.LivenessObservation {
		return types.LivenessObservation{Network: []types.NetworkObservation{{Index: index, RttUs: rtt, JitterUs: rtt / 10, LossPpm: 7}}}
	}
	require.Equal(t, types.NETWORK_GRADE_UNSPECIFIED, w.node(one).Grade)
	w.end(60, w.liveness(saw(1, 50_000), saw(1, 70_000), saw(2, 1_000), types.LivenessObservation{}))
	require.Equal(t, types.Network{}, w.node(one).Network, "two of four are no quorum")

	w.end(60, w.liveness(saw(1, 50_000), saw(1, 70_000), saw(1, 3_000_000), saw(2, 1_000)))
	n := w.node(one)
	require.Equal(t, []uint32{70_000, 7_000, 7}, []uint32{n.Network.RttUs, n.Network.JitterUs, n.Network.LossPpm})
	require.Equal(t, types.NETWORK_GRADE_B, n.Grade)
	require.Equal(t, types.NETWORK_GRADE_UNSPECIFIED, w.node(two).Grade)
	require.Equal(t, []*types.EventNodeGraded{{
		NodeId: one.Bech32("node"), To: types.NETWORK_GRADE_B, RttUs: 70_000, JitterUs: 7_000, LossPpm: 7,
	}}, eventsOf[*types.EventNodeGraded](w))

	w.end(60, w.liveness(saw(1, 60_000), saw(1, 60_000), saw(1, 60_000), saw(1, 60_000)))
	require.Equal(t, types.NETWORK_GRADE_A, w.node(one).Grade)
	require.NoError(t, w.retire(w.node(one)))
	w.end(60, w.liveness(saw(1, 900_000), saw(1, 900_000), saw(1, 900_000), saw(1, 900_000)))
	require.Equal(t, types.NETWORK_GRADE_A, w.node(one).Grade, "nobody asks about a node that has ended")
	w.check()
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 50*fog, 900*fog), "one")
	w.end(60, w.liveness(restarted(1, "aaaaaaaa"), restarted(1, "aaaaaaaa"), restarted(1, "bbbbbbbb"), restarted(1, "bbbbbbbb")))
	require.Equal(t, boot, w.node(id).Boot, "a quorum must name the same boot")
	w.end(60, w.seen(restarted(1, boot)))
	require.False(t, w.benchmarkOpen(id, boot), "it is known already")

	w.end(60, w.liveness(restarted(1, "aaaaaaaa"), restarted(1, "aaaaaaaa"), restarted(1, "bbbbbbbb"), restarted(1, "aaaaaaaa")))
	n := w.node(id)
	require.Equal(t, "aaaaaaaa", n.Boot)
	require.True(t, w.benchmarkOpen(id, "aaaaaaaa"))
	require.Equal(t, types.NODE_STATUS_ACTIVE, n.Status)
	require.NoError(t, w.reserve(id, types.Resources{CpuMilli: 1}, 1), "it works on meanwhile")
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: types.Resources{CpuMilli: 1}, Tasks: 1}))

	// In one report: seen up again, with a new boot.
	w.end(60, w.seen(down(1)))
	w.end(60, w.seen(types.LivenessObservation{Up: []uint32{1}, Restarted: []types.Restart{{Index: 1, Boot: "bbbbbbbb"}}}))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
	require.True(t, w.benchmarkOpen(id, "bbbbbbbb"))
	require.False(t, w.benchmarkOpen(id, "aaaaaaaa"))
	w.check()
}

func TestTransitionsJail(t *testing.T) {
	for name, c := range map[string]struct {
		gaps   [2]int // seconds between the first, second and third time
		jailed bool
	}{
		"in a week":            {[2]int{3 * day, 3 * day}, true},
		"at once":              {[2]int{120, 120}, true},
		"just over a week":     {[2]int{3*day + day/2, 3*day + day/2}, false},
		"the first forgotten":  {[2]int{8 * day, 120}, false},
		"the second forgotten": {[2]int{120, 8 * day}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.active(w.rich("alice", 50*fog, 900*fog), "one")
			for _, gap := range c.gaps {
				w.end(60, w.seen(down(1)))
				require.Equal(t, types.NODE_STATUS_INACTIVE, w.node(id).Status)
				w.end(gap-60, w.seen(up(1)))
				require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
			}
			w.heard()
			w.end(60, w.seen(down(1)))
			require.Equal(t, []string{"inactive " + id.Bech32("node")}, w.heard(), "its work is lost after the grace either way")
			if !c.jailed {
				require.Equal(t, types.NODE_STATUS_INACTIVE, w.node(id).Status)
				return
			}
			n := w.node(id)
			require.Equal(t, types.NODE_STATUS_JAILED, n.Status)
			require.Equal(t, "went down too often", n.JailReason)
			require.True(t, n.BenchmarkPending)
			require.Zero(t, n.Offences)
			require.EqualValues(t, 100*fog, n.Deposit)
			w.check()
		})
	}
}

// jailed is a node that went down three times in a row, while a task ran.
func (w *world) jailed() escrowtypes.ID {
	id := w.active(w.rich("alice", 50*fog, 900*fog), "one")
	require.NoError(w.tb, w.reserve(id, types.Resources{CpuMilli: 1_000}, 1))
	for range 2 {
		w.end(60, w.seen(down(1)))
		w.end(60, w.seen(up(1)))
	}
	w.end(60, w.seen(down(1)))
	require.Equal(w.tb, types.NODE_STATUS_JAILED, w.node(id).Status)
	w.heard()
	return id
}

func TestJailedForOutagesIsBenchmarkedAgain(t *testing.T) {
	w := newWorld(t)
	id := w.jailed()
	w.end(60, w.seen(up(1)))
	require.Equal(t, types.NODE_STATUS_JAILED, w.node(id).Status, "being up is not enough")
	require.Empty(t, w.heard())
	require.NoError(t, w.send(w.registration(w.ownerOf(id), "two")), "an unsteady machine does not bar its owner")
	require.ErrorIs(t, w.retire(w.node(id)), types.ErrInUse)

	require.NoError(t, w.resume(w.node(id)))
	w.end(1)
	w.end(1, w.benchmark(id, measured(100), measured(100), measured(100)))
	n := w.node(id)
	require.Equal(t, types.NODE_STATUS_ACTIVE, n.Status)
	require.Empty(t, n.Outages, "it starts anew")
	require.EqualValues(t, 1, n.RunningTasks)
	require.Equal(t, []string{"up " + n.Id}, w.heard(), "work that is not lost yet goes on")
	w.check()
}

// A benchmark that was under way when the node was jailed does not let it out.
func TestJailEndsBenchmarks(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 50*fog, 900*fog), "one")
	for range 2 {
		w.end(60, w.seen(down(1)))
		w.end(60, w.seen(up(1)))
	}
	w.end(60, w.seen(restarted(1, "aaaaaaaa")))
	require.True(t, w.benchmarkOpen(id, "aaaaaaaa"))
	w.end(60, w.seen(down(1)))
	require.False(t, w.benchmarkOpen(id, "aaaaaaaa"))
	w.end(60, w.seen(types.LivenessObservation{Up: []uint32{1}, Restarted: []types.Restart{{Index: 1, Boot: "bbbbbbbb"}}}))
	require.False(t, w.benchmarkOpen(id, "bbbbbbbb"))
	require.Equal(t, types.NODE_STATUS_JAILED, w.node(id).Status)
	require.NoError(t, w.resume(w.node(id)))
}

func TestUptimeJails(t *testing.T) {
	const most = 7 * day * 5 / 100
	for name, c := range map[string]struct {
		away   [2]int
		pause  int
		jailed bool
	}{
		"one outage of 5 %":           {[2]int{most, 0}, 60, false},
		"one outage of more":          {[2]int{most + 1, 0}, 60, true},
		"two outages of 5 %":          {[2]int{most - 60, 60}, 60, false},
		"two outages of more":         {[2]int{most - 60, 61}, 60, true},
		"half of the first forgotten": {[2]int{most - 60, most / 2}, 7*day - most, false},
		"a second less of it":         {[2]int{most - 60, most / 2}, 7*day - most - 1, true},
		"the first wholly forgotten":  {[2]int{most, most}, 8 * day, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.active(w.rich("alice", 50*fog, 900*fog), "one")
			for i, away := range c.away {
				if away == 0 {
					continue
				}
				require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status, "outage %d", i)
				w.end(away, w.seen(down(1)))
				w.heard()
				w.end(c.pause, w.seen(up(1)))
			}
			if !c.jailed {
				require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
				require.Equal(t, []string{"up " + id.Bech32("node")}, w.heard())
				return
			}
			n := w.node(id)
			require.Equal(t, types.NODE_STATUS_JAILED, n.Status)
			require.Equal(t, "was up for too little of the time", n.JailReason)
			require.True(t, n.BenchmarkPending)
			require.Empty(t, w.heard(), "the grace of its work runs on")
			w.check()
		})
	}
}

// A report never runs out of gas: it does what it can, and the oracles name the rest again.
func TestLivenessIsBoundedByGas(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 5_000*fog)
	const many = 20
	var all []uint32
	for i := range uint32(many) {
		w.active(alice, string(rune('a'+i)))
		all = append(all, i+1)
	}
	inactive := func() (n int) {
		for _, i := range all {
			node, err := w.k.NodeByIndex(w.Ctx, i)
			require.NoError(t, err)
			if node.Status == types.NODE_STATUS_INACTIVE {
				n++
			}
		}
		return n
	}
	limited := func(gas uint64) report {
		r := w.seen(down(all...))
		run := r.run
		r.run = func(ctx sdk.Context) error { return run(ctx.WithGasMeter(storetypes.NewGasMeter(gas))) }
		return r
	}
	w.end(60, limited(700_000))
	first := inactive()
	require.Positive(t, first)
	require.Less(t, first, many)
	for range 4 {
		w.end(60, limited(700_000))
	}
	require.Equal(t, many, inactive())
	w.check()
}

func (w *world) ownerOf(id escrowtypes.ID) sdk.AccAddress {
	owner, err := w.Addresses.StringToBytes(w.node(id).Owner)
	require.NoError(w.tb, err)
	return owner
}
