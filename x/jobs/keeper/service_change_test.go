package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/jobs/types"
)

// replicaSlices are the slices of each replica and the successors.
func (w *world) replicaSlices(job string) [][2]uint32 {
	w.tb.Helper()
	var out [][2]uint32
	for _, r := range w.job(job).Service.Replicas {
		out = append(out, [2]uint32{r.Slice, r.Successor})
	}
	return out
}

func TestUpdateGoesByOneCanaryThenOneByOne(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 3)
	w.must(w.topUp("dev", job.Id, 100_000), "top up")
	require.NoError(t, w.update(job.Id, otherDigest))
	w.NextBlock()
	w.check()
	require.Equal(t, [][2]uint32{{0, 3}, {1, 0}, {2, 0}}, w.replicaSlices(job.Id), "a canary waits for a node")
	canary := w.slice(job.Id, 3)
	require.Equal(t, types.Revision{Number: 2, SpecDigest: otherDigest, ImageDigest: digest}, canary.Serving.Revision)

	w.matchAll(job.Id, 3, 1, w.addNode("prov", 11, 7200))
	w.epoch(func() types.ServiceObservation { return types.ServiceObservation{} }) // not seen yet
	require.Equal(t, [][2]uint32{{0, 3}, {1, 0}, {2, 0}}, w.replicaSlices(job.Id))
	before := w.slice(job.Id, 0).Paid
	w.epochs(1)
	require.Equal(t, [][2]uint32{{3, 0}, {1, 0}, {2, 0}}, w.replicaSlices(job.Id), "it has taken over")
	old := w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_SETTLED, old.Status)
	require.EqualValues(t, before+epochPaid+120, old.Paid, "the epoch, and 60 s until it was judged")
	require.Zero(t, w.slice(job.Id, 3).Paid)

	w.epochs(1) // the canary lives through a whole epoch
	require.Equal(t, [][2]uint32{{3, 0}, {1, 4}, {2, 0}}, w.replicaSlices(job.Id))
	w.matchAll(job.Id, 4, 1, w.addNode("prov", 12, 7200))
	w.epochs(1)
	require.Equal(t, [][2]uint32{{3, 0}, {4, 0}, {2, 0}}, w.replicaSlices(job.Id))
	w.unhealthy(job.Id, 4)
	require.Equal(t, [][2]uint32{{3, 0}, {4, 0}, {2, 0}}, w.replicaSlices(job.Id), "it waits while one is unhealthy")
	w.epochs(1)
	require.Equal(t, [][2]uint32{{3, 0}, {4, 0}, {2, 5}}, w.replicaSlices(job.Id))
	w.matchAll(job.Id, 5, 1, w.addNode("prov", 13, 7200))
	w.epochs(1)
	require.EqualValues(t, 1, w.job(job.Id).Service.Stable.Number)
	w.epochs(1)
	svc := w.job(job.Id).Service
	require.Equal(t, svc.Target, svc.Stable, "through")
	require.False(t, svc.Changing())
	require.ErrorIs(t, w.update(job.Id, otherDigest), types.ErrNoChange)

	// The old digest again takes it back, by the same steps.
	require.NoError(t, w.update(job.Id, digest))
	w.NextBlock()
	require.Equal(t, [][2]uint32{{3, 6}, {4, 0}, {5, 0}}, w.replicaSlices(job.Id))
	require.EqualValues(t, 3, w.slice(job.Id, 6).Serving.Revision.Number)
}

func TestCanaryThatIsUnhealthyHaltsTheUpdate(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 2)
	w.must(w.topUp("dev", job.Id, 100_000), "top up")
	require.NoError(t, w.update(job.Id, otherDigest))
	w.NextBlock()
	w.matchAll(job.Id, 2, 1, w.addNode("prov", 11, 7200))
	w.epochs(1)
	require.Equal(t, [][2]uint32{{2, 0}, {1, 0}}, w.replicaSlices(job.Id))
	for range 3 {
		w.unhealthy(job.Id, 2)
	}
	svc := w.job(job.Id).Service
	require.True(t, svc.Halted)
	require.Equal(t, [][2]uint32{{3, 0}, {1, 0}}, w.replicaSlices(job.Id), "the service goes on")
	require.EqualValues(t, 3*epochPaid+120, w.slice(job.Id, 2).Paid, "at the developer's cost")
	require.Equal(t, svc.Stable, w.slice(job.Id, 3).Serving.Revision, "by what ran before")
	w.matchAll(job.Id, 3, 1, w.addNode("prov", 12, 7200))
	w.epochs(2)
	require.Equal(t, [][2]uint32{{3, 0}, {1, 0}}, w.replicaSlices(job.Id), "halted is halted")

	require.NoError(t, w.update(job.Id, digest)) // all run it already
	w.NextBlock()
	svc = w.job(job.Id).Service
	require.EqualValues(t, 3, svc.Stable.Number)
	require.False(t, svc.Halted)
}

func TestCanaryThatDoesNotStartHaltsTheUpdate(t *testing.T) {
	for name, run := range map[string]func(*world, string){
		"no node": func(w *world, job string) {
			for w.job(job).Service.Replicas[0].Successor != 0 {
				w.epochs(1)
			}
		},
		"not seen": func(w *world, job string) {
			for i := range uint32(3) {
				w.matchAll(job, 1+i, 1, w.addNode("prov", 20+i, 7200))
				for w.slice(job, 1+i).Status == types.SLICE_STATUS_MATCHED {
					w.epoch(func() types.ServiceObservation { return types.ServiceObservation{} })
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			job, _ := w.serve("s", 1)
			w.must(w.topUp("dev", job.Id, 100_000), "top up")
			require.NoError(t, w.update(job.Id, otherDigest))
			w.NextBlock()
			require.Equal(t, [][2]uint32{{0, 1}}, w.replicaSlices(job.Id))
			run(w, job.Id)
			require.True(t, w.job(job.Id).Service.Halted)
			require.Equal(t, [][2]uint32{{0, 0}}, w.replicaSlices(job.Id))
			require.Equal(t, types.SLICE_STATUS_MATCHED, w.slice(job.Id, 0).Status)

			require.NoError(t, w.update(job.Id, thirdDigest), "another one goes on")
			w.NextBlock()
			require.NotZero(t, w.job(job.Id).Service.Replicas[0].Successor)
			require.NoError(t, w.update(job.Id, otherDigest), "and another one takes its place")
			w.NextBlock()
			w.check()
			successor := w.job(job.Id).Service.Replicas[0].Successor
			require.Equal(t, otherDigest, w.slice(job.Id, successor).Serving.Revision.SpecDigest)
			require.Equal(t, types.SLICE_STATUS_CANCELLED, w.slice(job.Id, successor-1).Status)
		})
	}
}

func TestScaleUpAndDown(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 1)
	require.ErrorIs(t, w.scale(job.Id, 1), types.ErrNoChange)
	require.ErrorIs(t, w.scale(job.Id, 64), types.ErrUnfunded)
	require.NoError(t, w.scale(job.Id, 3))
	require.EqualValues(t, 1, w.job(job.Id).OpenSlices, "EndBlock does it")
	w.NextBlock()
	w.check()
	require.Equal(t, [][2]uint32{{0, 0}, {1, 0}, {2, 0}}, w.replicaSlices(job.Id))
	w.matchAll(job.Id, 1, 1, w.addNode("prov", 11, 7200))
	w.matchAll(job.Id, 2, 1, w.addNode("prov", 12, 7200))
	w.epochs(2)
	require.EqualValues(t, 3, w.job(job.Id).Counts.Matched)

	w.after(30)
	require.NoError(t, w.scale(job.Id, 2))
	w.NextBlock()
	w.check()
	require.Equal(t, [][2]uint32{{0, 0}, {1, 0}}, w.replicaSlices(job.Id), "the highest goes")
	last := w.slice(job.Id, 2)
	require.Equal(t, types.SLICE_STATUS_SETTLED, last.Status)
	since := uint64(w.now()-1-w.clock().JudgedEnded) * 2
	require.EqualValues(t, epochPaid+since, last.Paid)
	require.NoError(t, w.scale(job.Id, 1))
	require.NoError(t, w.scale(job.Id, 2), "before anything was done")
	w.NextBlock()
	w.check()
	require.Equal(t, [][2]uint32{{0, 0}, {1, 0}}, w.replicaSlices(job.Id))
}

func TestDrainHandsOverWithoutPenalty(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	w.drainNode(nodes[0])
	w.epochs(1)
	require.Equal(t, [][2]uint32{{0, 1}}, w.replicaSlices(job.Id))
	next := w.slice(job.Id, 1)
	require.Equal(t, []string{nodes[0].Id}, next.Excluded)
	require.Equal(t, w.slice(job.Id, 0).Serving.Revision, next.Serving.Revision)
	w.matchAll(job.Id, 1, 1, w.addNode("other", 11, 7200))
	endpoints := w.endpoints(job.Id)
	require.Len(t, endpoints, 2, "both run until the new one was seen")
	require.Equal(t, []bool{false, true}, []bool{endpoints[0].Successor, endpoints[1].Successor})
	w.epochs(1)
	require.Equal(t, [][2]uint32{{1, 0}}, w.replicaSlices(job.Id))
	old := w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_SETTLED, old.Status)
	require.EqualValues(t, dayCollateral, old.CollateralReturned)
	require.EqualValues(t, 2*epochPaid+120, old.Paid)
	require.Zero(t, w.nodes.get(w.Ctx, nodes[0].Id).RunningTasks, "the node can be retired")
}

// A hand-over and an update do not get in each other's way: the drained replica moves with what it runs, and is updated when its turn comes.
func TestDrainDuringAnUpdate(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 2)
	w.must(w.topUp("dev", job.Id, 100_000), "top up")
	require.NoError(t, w.update(job.Id, otherDigest))
	w.NextBlock()
	require.Equal(t, [][2]uint32{{0, 2}, {1, 0}}, w.replicaSlices(job.Id))
	w.drainNode(nodes[1])
	w.epochs(1)
	require.Equal(t, [][2]uint32{{0, 2}, {1, 3}}, w.replicaSlices(job.Id))
	require.EqualValues(t, 1, w.slice(job.Id, 3).Serving.Revision.Number)
	w.epochs(1)
	require.Equal(t, [][2]uint32{{0, 2}, {1, 3}}, w.replicaSlices(job.Id), "both wait for nodes")
	w.matchAll(job.Id, 2, 1, w.addNode("prov", 11, 7200))
	w.matchAll(job.Id, 3, 1, w.addNode("prov", 12, 7200))
	w.epochs(1)
	require.Equal(t, [][2]uint32{{2, 0}, {3, 0}}, w.replicaSlices(job.Id))
	w.epochs(1)
	require.Equal(t, [][2]uint32{{2, 0}, {3, 4}}, w.replicaSlices(job.Id), "its turn")
	w.matchAll(job.Id, 4, 1, w.addNode("prov", 13, 7200))
	w.epochs(2)
	require.EqualValues(t, 2, w.job(job.Id).Service.Stable.Number)
}

func TestDrainHasItsTime(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	w.must(w.topUp("dev", job.Id, 100_000), "top up")
	w.drainNode(nodes[0])
	w.epochs(testDrain/300 + 1) // nobody takes the successor
	require.Equal(t, types.SLICE_STATUS_SETTLED, w.slice(job.Id, 0).Status)
	require.EqualValues(t, dayCollateral, w.slice(job.Id, 0).CollateralReturned)
	replica := w.job(job.Id).Service.Replicas[0]
	require.Zero(t, replica.Successor)
	require.Equal(t, types.SLICE_STATUS_PENDING, w.slice(job.Id, replica.Slice).Status)
	require.Equal(t, types.JOB_STATUS_OPEN, w.job(job.Id).Status)
}

func TestSuccessorTakesThePlaceOfALostSlice(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	w.drainNode(nodes[0])
	w.epochs(1)
	require.Equal(t, [][2]uint32{{0, 1}}, w.replicaSlices(job.Id))
	w.down(nodes[0])
	w.end(testGrace + 1)
	w.check()
	require.Equal(t, types.SLICE_STATUS_LOST, w.slice(job.Id, 0).Status)
	require.Equal(t, [][2]uint32{{1, 0}}, w.replicaSlices(job.Id))
}

func TestChangesAreTheOwners(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 1)
	batch := w.submit(w.jobMsg("dev", "b", 1))
	require.ErrorIs(t, w.scale(batch.Id, 2), types.ErrNotService)
	require.ErrorIs(t, w.Tx(func(ctx sdk.Context) error {
		_, err := w.server().ScaleService(ctx, &types.MsgScaleService{Owner: w.Text(addressOf("other")), JobId: job.Id, Replicas: 2})
		return err
	}), types.ErrNotOwner)
	require.ErrorIs(t, w.topUp("other", job.Id, 5), types.ErrNotOwner)
	require.ErrorIs(t, w.topUp("dev", batch.Id, 5), types.ErrNotSupported)
	w.cancel(job.Id)
	require.ErrorIs(t, w.update(job.Id, otherDigest), types.ErrJobClosed)
	require.ErrorIs(t, w.scale(job.Id, 2), types.ErrJobClosed)
	w.NextBlock()
	w.check()
}

// A change prepays the work of EndBlock, which meters no gas.
func TestChangePrepaysItsWork(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 1)
	w.must(w.topUp("dev", job.Id, 1_000_000), "top up")
	gas := func(replicas uint32) uint64 {
		meter := storetypes.NewInfiniteGasMeter()
		require.NoError(t, w.Tx(func(ctx sdk.Context) error {
			_, err := w.server().ScaleService(ctx.WithGasMeter(meter), &types.MsgScaleService{Owner: job.Owner, JobId: job.Id, Replicas: replicas})
			return err
		}))
		return meter.GasConsumed()
	}
	few := gas(2)
	require.GreaterOrEqual(t, gas(42)-few, uint64(40*20_000))
}

// Slices beyond a block's limit come up in the next ones, in order.
func TestEpochsAreCarriedOver(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 4)
	w.setParams(func(p *types.Params) { p.MaxSlicesPerBlock = 1 })
	w.toEpochEnd()
	w.judge(types.ServiceObservation{})
	w.end(w.clock().JudgedEnded + 60 - w.now())
	paid := func() int {
		n := 0
		for i := range uint32(4) {
			if w.slice(job.Id, i).Paid > 0 {
				n++
			}
		}
		return n
	}
	for n := 1; n <= 4; n++ {
		require.Equal(t, n, paid())
		w.NextBlock()
		w.check()
	}
}
