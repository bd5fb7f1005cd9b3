package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// keeping starts a service that keeps volumes, as serve does, with money for updates.
func (w *world) keeping(replicas uint32) (types.Job, []nodestypes.Node) {
	w.tb.Helper()
	msg := w.serviceMsg("dev", "keeping", replicas)
	msg.KeepsVolumes = true
	msg.Ports = append(msg.Ports, types.Port{Name: "fixed", ContainerPort: 1, Protocol: types.PROTOCOL_UDP, HostPort: 20_003})
	job := w.submitService(msg)
	w.must(w.topUp("dev", job.Id, 100_000), "top up")
	var nodes []nodestypes.Node
	for i := range replicas {
		n := w.addNode("prov", 100+i, 7200)
		nodes = append(nodes, n)
		w.matchAll(job.Id, i, 1, n)
	}
	w.epochs(1)
	return w.job(job.Id), nodes
}

// TestVolumesStayOnTheirNode updates a service with volumes: replica by replica, each where it is, also where a static port is in use.
func TestVolumesStayOnTheirNode(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.keeping(2)
	before := w.slice(job.Id, 0)
	require.NoError(t, w.update(job.Id, otherDigest))
	w.NextBlock()
	w.check()
	require.Equal(t, [][2]uint32{{2, 0}, {1, 0}}, w.replicaSlices(job.Id), "no successor: the node has room for one")
	old, next := w.slice(job.Id, 0), w.slice(job.Id, 2)
	require.Equal(t, types.SLICE_STATUS_SETTLED, old.Status)
	require.Equal(t, types.SLICE_STATUS_MATCHED, next.Status)
	require.Equal(t, nodes[0].Id, next.NodeId)
	require.Equal(t, before.AgreedPrice, next.AgreedPrice)
	require.Equal(t, old.Collateral, old.CollateralReturned)
	require.EqualValues(t, dayCollateral, next.Collateral)
	require.EqualValues(t, 2, next.Serving.Revision.Number)
	require.EqualValues(t, 20_003, next.Serving.Ports[1].HostPort)

	w.epoch(func() types.ServiceObservation { return types.ServiceObservation{} }) // not seen yet
	require.Equal(t, [][2]uint32{{2, 0}, {1, 0}}, w.replicaSlices(job.Id), "the other waits")
	w.epochs(1)
	w.NextBlock()
	require.Equal(t, [][2]uint32{{2, 0}, {1, 0}}, w.replicaSlices(job.Id), "until the first has lived through a whole epoch")
	w.epochs(1)
	w.NextBlock()
	require.Equal(t, [][2]uint32{{2, 0}, {3, 0}}, w.replicaSlices(job.Id))
	require.Equal(t, nodes[1].Id, w.slice(job.Id, 3).NodeId)
	w.epochs(2)
	w.NextBlock()
	svc := w.job(job.Id).Service
	require.Equal(t, svc.Target, svc.Stable, "through")
	w.check()
}

// TestVolumesNeedADisk: a node whose volumes are memory is no place for a service that keeps any, and one for all others.
func TestVolumesNeedADisk(t *testing.T) {
	w := newWorld(t)
	msg := w.serviceMsg("dev", "keeping", 1)
	fleeting := w.submitService(msg)
	msg = w.serviceMsg("dev", "kept", 1)
	msg.KeepsVolumes = true
	kept := w.submitService(msg)
	memory := w.addNode("prov", 1, 7200)
	w.nodes.change(w.Ctx, memory.Id, func(n *nodestypes.Node) { n.Attributes = nil })
	memory = w.nodes.get(w.Ctx, memory.Id)
	params, err := w.k.Params(w.Ctx)
	require.NoError(t, err)
	now := w.Ctx.BlockTime().Unix()
	_, err = types.CheckMatch(params, w.job(kept.Id), w.slice(kept.Id, 0), memory, now)
	require.ErrorIs(t, err, types.ErrNoMatch)
	require.ErrorContains(t, err, "no disk for volumes")
	_, err = types.CheckMatch(params, w.job(fleeting.Id), w.slice(fleeting.Id, 0), memory, now)
	require.NoError(t, err)
	_, err = types.CheckMatch(params, w.job(kept.Id), w.slice(kept.Id, 0), w.addNode("prov", 2, 7200), now)
	require.NoError(t, err)
}

// TestVolumesStayWhenAnUpdateFails: what ran before comes back where the files are.
func TestVolumesStayWhenAnUpdateFails(t *testing.T) {
	for name, fail := range map[string]func(*world, string){
		"unhealthy": func(w *world, job string) {
			w.epochs(1)
			for range 3 {
				w.unhealthy(job, 1)
			}
		},
		"not seen": func(w *world, job string) {
			for w.slice(job, 1).Status == types.SLICE_STATUS_MATCHED {
				w.epoch(func() types.ServiceObservation { return types.ServiceObservation{} })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			job, nodes := w.keeping(1)
			require.NoError(t, w.update(job.Id, otherDigest))
			w.NextBlock()
			require.Equal(t, nodes[0].Id, w.slice(job.Id, 1).NodeId)
			fail(w, job.Id)
			svc := w.job(job.Id).Service
			require.True(t, svc.Halted)
			require.Equal(t, [][2]uint32{{2, 0}}, w.replicaSlices(job.Id))
			back := w.slice(job.Id, 2)
			require.Equal(t, types.SLICE_STATUS_MATCHED, back.Status)
			require.Equal(t, nodes[0].Id, back.NodeId)
			require.Equal(t, svc.Stable, back.Serving.Revision)
			w.epochs(1)
			w.check()
		})
	}
}

// TestUpdateInPlaceWaits: a node that takes no work, or a pool that is empty, delays an update and moves nothing.
func TestUpdateInPlaceWaits(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.keeping(1)
	w.nodes.change(w.Ctx, nodes[0].Id, func(n *nodestypes.Node) { n.BenchmarkPending = true })
	require.NoError(t, w.update(job.Id, otherDigest))
	w.NextBlock()
	w.epochs(1)
	require.Equal(t, [][2]uint32{{0, 0}}, w.replicaSlices(job.Id))
	w.nodes.change(w.Ctx, nodes[0].Id, func(n *nodestypes.Node) { n.BenchmarkPending = false })
	w.epochs(1)
	w.NextBlock()
	require.Equal(t, [][2]uint32{{1, 0}}, w.replicaSlices(job.Id))
	require.Equal(t, nodes[0].Id, w.slice(job.Id, 1).NodeId)

	batch := w.jobMsg("dev", "batch", 1)
	batch.KeepsVolumes = true
	require.ErrorContains(t, batch.Validate(w.Addresses), "keeps_volumes")
}
