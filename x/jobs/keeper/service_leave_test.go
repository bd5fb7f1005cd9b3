package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// announce has a node announced to be offline for an hour that begins in so many seconds, as of now.
func (w *world) announce(n nodestypes.Node, in int64) {
	from := w.now() + in
	w.nodes.change(w.Ctx, n.Id, func(n *nodestypes.Node) {
		n.Absences = append(n.Absences, nodestypes.Absence{Span: nodestypes.Span{From: from, To: from + 3_600}})
	})
}

func TestAnnouncedHoursHandOverWithoutPenalty(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	w.announce(nodes[0], 3_600+600)
	w.epochs(1)
	require.Equal(t, [][2]uint32{{0, 0}}, w.replicaSlices(job.Id), "it is early yet")
	w.epochs(2)
	require.Equal(t, [][2]uint32{{0, 1}}, w.replicaSlices(job.Id))
	require.Equal(t, []string{nodes[0].Id}, w.slice(job.Id, 1).Excluded)
	w.matchAll(job.Id, 1, 1, w.addNode("other", 11, 7200))
	w.epochs(1)
	require.Equal(t, [][2]uint32{{1, 0}}, w.replicaSlices(job.Id))
	old := w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_SETTLED, old.Status)
	require.EqualValues(t, dayCollateral, old.CollateralReturned)
	require.Zero(t, w.nodes.get(w.Ctx, nodes[0].Id).RunningTasks)
	w.check()
}

// Without another node the replica is off in time all the same: the node may go when it said it would.
func TestServicesAreOffBeforeAnnouncedHours(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	w.must(w.topUp("dev", job.Id, 100_000), "top up")
	begins := w.now() + 1_500
	w.announce(nodes[0], 1_500)
	for w.slice(job.Id, 0).Status == types.SLICE_STATUS_MATCHED {
		require.Less(t, w.now(), begins, "it is off before the hours begin")
		w.epochs(1)
	}
	old := w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_SETTLED, old.Status)
	require.EqualValues(t, dayCollateral, old.CollateralReturned)
	require.Zero(t, w.nodes.get(w.Ctx, nodes[0].Id).Statistics.Lost)
	replica := w.job(job.Id).Service.Replicas[0]
	require.Equal(t, types.SLICE_STATUS_PENDING, w.slice(job.Id, replica.Slice).Status)
	w.check()
}

// Should the node be gone before the slice is off it, nobody is to blame; a node that goes before its hours is.
func TestLossInAnnouncedHours(t *testing.T) {
	for name, c := range map[string]struct {
		announced bool
		status    types.SliceStatus
		burned    uint64
	}{
		"as announced": {true, types.SLICE_STATUS_SETTLED, 0},
		"unannounced":  {false, types.SLICE_STATUS_LOST, dayCollateral / 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			job, nodes := w.serve("s", 1)
			if c.announced {
				w.announce(nodes[0], 0)
			}
			w.nodes.change(w.Ctx, nodes[0].Id, func(n *nodestypes.Node) {
				n.StatusSince = w.now()
				n.Down(w.now(), nodestypes.DefaultParams())
			})
			w.down(nodes[0])
			w.end(testGrace + 1)
			s := w.slice(job.Id, 0)
			require.Equal(t, c.status, s.Status)
			require.Equal(t, c.burned, s.CollateralBurned)
			require.Equal(t, uint64(dayCollateral), s.CollateralReturned+s.CollateralBurned)
			w.check()
		})
	}
}

// Batch work that a node has when it goes is lost, whatever was announced: it was given to last no longer, or before the announcement.
func TestBatchWorkIsLostInAnnouncedHours(t *testing.T) {
	w := newWorld(t)
	n := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 1))
	w.matchAll(job.Id, 0, 1, n)
	w.announce(n, 0)
	w.nodes.change(w.Ctx, n.Id, func(n *nodestypes.Node) { n.Down(w.now(), nodestypes.DefaultParams()) })
	w.down(n)
	w.end(testGrace + 1)
	require.Equal(t, types.SLICE_STATUS_LOST, w.slice(job.Id, 0).Status)
	require.NotZero(t, w.slice(job.Id, 0).CollateralBurned)
	w.check()
}
