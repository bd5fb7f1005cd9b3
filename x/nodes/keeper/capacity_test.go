package keeper_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestReserveAndRelease(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	w.edit(id, func(n *types.Node) { n.Statistics.Tasks = 10 })
	capacity := w.node(id).Capacity
	half := types.Resources{CpuMilli: 4_000, MemoryMib: 8_000, StorageMib: 50_000}

	require.NoError(t, w.reserve(id, half, 3))
	require.NoError(t, w.reserve(id, half, 5))
	require.EqualValues(t, 8, w.node(id).RunningTasks)
	full := w.node(id)
	for name, one := range map[string]types.Resources{
		"cpu_milli": {CpuMilli: 1}, "memory_mib": {MemoryMib: 1}, "storage_mib": {StorageMib: 1}, "gpus": {Gpus: 2},
	} {
		err := w.reserve(id, one, 1)
		require.ErrorIs(t, err, types.ErrNoCapacity)
		require.ErrorContains(t, err, name)
	}
	require.ErrorIs(t, w.reserve(id, types.Resources{CpuMilli: math.MaxUint64}, 1), escrowtypes.ErrOverflow)
	require.ErrorIs(t, w.reserve(id, types.Resources{}, math.MaxUint32), types.ErrNoCapacity)
	require.ErrorIs(t, w.k.EndWork(w.Ctx, id, types.Work{Released: types.Resources{CpuMilli: 8_001}, Tasks: 1}), escrowtypes.ErrUnderflow)
	require.ErrorIs(t, w.k.EndWork(w.Ctx, id, types.Work{Released: half, Tasks: 9}), escrowtypes.ErrUnderflow)
	require.Equal(t, full, w.node(id), "what is refused changes nothing")

	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: half, Tasks: 3, Done: types.Statistics{Tasks: 3, Successes: 2, Failures: 1, Paid: 70}}))
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: half, Tasks: 5}))
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Done: types.Statistics{Lost: 5, WorkMs: 9}}))
	n := w.node(id)
	require.Zero(t, n.Reserved)
	require.Zero(t, n.RunningTasks)
	require.Equal(t, types.Statistics{Tasks: 13, Successes: 2, Failures: 1, Lost: 5, Paid: 70, WorkMs: 9}, n.Statistics)
	require.NoError(t, w.k.Reserve(w.Ctx, id, n, capacity, 1, nil))
	require.Equal(t, capacity, w.node(id).Reserved, "all of it can be reserved")
	w.check()
}

// A port has one holder, and the range keeps those that are held.
func TestPortsAreReserved(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	w.edit(id, func(n *types.Node) { n.Statistics.Tasks = 10 })
	task := types.Resources{CpuMilli: 1_000}
	n := w.node(id)
	require.ErrorIs(t, w.k.Reserve(w.Ctx, id, n, task, 1, []uint32{2_001}), types.ErrNoCapacity, "it declares none")
	require.ErrorContains(t, w.send(&types.MsgUpdateNode{Owner: n.Owner, NodeId: n.Id, Ports: &types.PortRange{From: 2_000, To: 2_001}}), "without an address")
	require.NoError(t, w.send(&types.MsgUpdateNode{
		Owner: n.Owner, NodeId: n.Id, Address: "a.example", Ports: &types.PortRange{From: 2_000, To: 2_003},
	}))
	require.NoError(t, w.k.Reserve(w.Ctx, id, w.node(id), task, 1, []uint32{2_002, 2_000}))
	require.Equal(t, []uint32{2_000, 2_002}, w.node(id).PortsInUse)
	require.ErrorIs(t, w.k.Reserve(w.Ctx, id, w.node(id), task, 1, []uint32{2_002}), types.ErrNoCapacity)
	require.ErrorIs(t, w.send(&types.MsgUpdateNode{Owner: n.Owner, NodeId: n.Id, Ports: &types.PortRange{}}), types.ErrInUse)
	require.NoError(t, w.send(&types.MsgUpdateNode{Owner: n.Owner, NodeId: n.Id, Address: "b.example"}), "a machine may move")
	w.check()
	require.ErrorIs(t, w.k.EndWork(w.Ctx, id, types.Work{Ports: []uint32{2_001}}), types.ErrInvalidField, "not in use")
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: task, Tasks: 1, Ports: []uint32{2_000, 2_002}}))
	require.Empty(t, w.node(id).PortsInUse)
	require.NoError(t, w.send(&types.MsgUpdateNode{Owner: n.Owner, NodeId: n.Id, Ports: &types.PortRange{}}))
}

// A node that is not ACTIVE takes no work, but what it has can always end.
func TestWorkInEachStatus(t *testing.T) {
	for status := range types.NodeStatus_name {
		status := types.NodeStatus(status)
		t.Run(status.String(), func(t *testing.T) {
			w := newWorld(t)
			id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
			task := types.Resources{CpuMilli: 1_000}
			require.NoError(t, w.reserve(id, task, 1))
			w.edit(id, func(n *types.Node) { n.Status, n.Statistics.Tasks = status, 10 })
			err := w.reserve(id, task, 1)
			if status == types.NODE_STATUS_ACTIVE {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, types.ErrWrongStatus)
			}
			require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: task, Tasks: 1, Done: types.Statistics{Tasks: 1}}))
		})
	}
	w := newWorld(t)
	unknown := escrowtypes.ID{1}
	require.ErrorIs(t, w.reserve(unknown, types.Resources{}, 1), types.ErrNodeNotFound)
	require.ErrorIs(t, w.k.EndWork(w.Ctx, unknown, types.Work{Released: types.Resources{}, Tasks: 1}), types.ErrNodeNotFound)
	require.ErrorIs(t, w.k.EndWork(w.Ctx, unknown, types.Work{Done: types.Statistics{}}), types.ErrNodeNotFound)
}

func TestProbation(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	task := types.Resources{CpuMilli: 1_000}
	for i := range 10 {
		require.ErrorIs(t, w.reserve(id, task, 2), types.ErrNoCapacity, "after %d", i)
		require.NoError(t, w.reserve(id, task, 1))
		require.ErrorIs(t, w.reserve(id, task, 1), types.ErrNoCapacity, "after %d", i)
		require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: task, Tasks: 1, Done: types.Statistics{Tasks: 1}}))
	}
	require.NoError(t, w.reserve(id, task, 2))
	require.NoError(t, w.reserve(id, task, 6))

	// A longer probation holds for nodes that are not past it.
	w.setParams(func(p *types.Params) { p.ProbationTasks = types.MaxProbationTasks })
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: types.Resources{CpuMilli: 2_000}, Tasks: 8, Done: types.Statistics{Tasks: 8}}))
	require.ErrorIs(t, w.reserve(id, task, 2), types.ErrNoCapacity)
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Done: types.Statistics{Tasks: types.MaxProbationTasks - 18}}))
	require.NoError(t, w.reserve(id, task, 2))

	bob := w.active(w.rich("bob", 5*fog, 100*fog), "one")
	w.setParams(func(p *types.Params) { p.ProbationTasks = 0 })
	require.NoError(t, w.reserve(bob, task, 8), "there need not be one")
}

func TestLostGrace(t *testing.T) {
	w := newWorld(t)
	grace, err := w.k.LostGrace(w.Ctx)
	require.NoError(t, err)
	require.EqualValues(t, 120, grace)
}
