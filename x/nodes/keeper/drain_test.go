package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestDrainAndResume(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	task := types.Resources{CpuMilli: 1_000, MemoryMib: 1_000}
	require.NoError(t, w.reserve(id, task, 1))

	require.NoError(t, w.drain(w.node(id)))
	require.Equal(t, types.NODE_STATUS_DRAINING, w.node(id).Status)
	require.ErrorIs(t, w.reserve(id, task, 1), types.ErrWrongStatus, "no new work")
	require.ErrorIs(t, w.drain(w.node(id)), types.ErrWrongStatus)
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: task, Tasks: 1}), "what it has, it finishes")

	require.NoError(t, w.resume(w.node(id)))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
	require.NoError(t, w.reserve(id, task, 1))
	require.ErrorIs(t, w.resume(w.node(id)), types.ErrWrongStatus, "there is nothing to resume")
	w.check()
}

// Draining and liveness do not forget each other.
func TestDrainWhileInactive(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	w.end(60, w.seen(down(1)))
	require.NoError(t, w.drain(w.node(id)))
	require.Equal(t, []*types.EventNodeUpdated{{NodeId: id.Bech32("node"), Draining: true}}, eventsOf[*types.EventNodeUpdated](w))
	require.Equal(t, types.NODE_STATUS_INACTIVE, w.node(id).Status)
	require.ErrorIs(t, w.drain(w.node(id)), types.ErrWrongStatus, "it will drain already")
	w.end(60, w.seen(up(1)))
	require.Equal(t, types.NODE_STATUS_DRAINING, w.node(id).Status)

	w.end(60, w.seen(down(1)))
	require.True(t, w.node(id).Draining)
	require.NoError(t, w.resume(w.node(id)))
	require.Equal(t, types.NODE_STATUS_INACTIVE, w.node(id).Status, "the owner cannot say that a node is up")
	require.ErrorIs(t, w.resume(w.node(id)), types.ErrWrongStatus)
	w.end(60, w.seen(up(1)))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
	w.check()
}

func TestDrainRefuses(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 300*fog)
	pending := w.register(alice, "pending")
	require.ErrorIs(t, w.drain(w.node(pending)), types.ErrWrongStatus)
	jailed := w.active(alice, "jailed")
	w.edit(jailed, func(n *types.Node) { n.Status, n.BenchmarkPending = types.NODE_STATUS_JAILED, true })
	require.ErrorIs(t, w.drain(w.node(jailed)), types.ErrWrongStatus)
	retired := w.active(alice, "retired")
	require.NoError(t, w.retire(w.node(retired)))
	require.ErrorIs(t, w.drain(w.node(retired)), types.ErrWrongStatus)
	require.ErrorIs(t, w.resume(w.node(retired)), types.ErrWrongStatus)

	stranger := w.node(pending)
	stranger.Owner = w.Text(fixture.Address("bob"))
	require.ErrorIs(t, w.drain(stranger), types.ErrNotOwner)
	require.ErrorIs(t, w.resume(stranger), types.ErrNotOwner)
	require.ErrorIs(t, w.retire(stranger), types.ErrNotOwner)
}
