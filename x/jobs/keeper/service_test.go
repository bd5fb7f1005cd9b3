package keeper_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestServiceIsFundedAndItsReplicasWait(t *testing.T) {
	w := newWorld(t)
	job := w.submitService(w.serviceMsg("dev", "s", 3))
	require.EqualValues(t, 3*replicaFunds, job.Funded)
	require.Zero(t, w.Wallet(fixture.Address("dev")))
	require.Equal(t, account{3 * replicaFunds, 3 * replicaFunds}, w.jobAccount(job.Id))
	require.EqualValues(t, 3*(replicaFunds-heldAtCap), job.Service.Pool)
	require.EqualValues(t, 3*10_801, job.Service.Rate)
	require.Equal(t, types.TaskCounts{Pending: 3}, job.Counts)
	require.EqualValues(t, 3, job.OpenSlices)
	for i := range uint32(3) {
		s := w.slice(job.Id, i)
		require.EqualValues(t, 1, s.TaskCount)
		require.Equal(t, i, s.FirstTask)
		require.Equal(t, types.Revision{Number: 1, SpecDigest: digest, ImageDigest: digest}, s.Serving.Revision)
	}
	w.NextBlock()
	w.check()
}

func TestMatchOfAReplicaLocksADayAndTakesPorts(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	msg := w.serviceMsg("dev", "s", 1)
	msg.Ports = append(msg.Ports, types.Port{Name: "game", ContainerPort: 9, Protocol: types.PROTOCOL_UDP, HostPort: 20_009})
	job := w.submitService(msg)
	w.matchAll(job.Id, 0, 1, node)
	require.Equal(t, account{1_000_000, dayCollateral}, w.provider("prov"))
	job = w.job(job.Id)
	require.EqualValues(t, replicaFunds-heldAtTwo, job.Service.Pool)
	require.EqualValues(t, 7_200, job.Service.Rate)
	require.Empty(t, w.rounds.subjects(w.Ctx, types.RoundKindOutcome), "no outcome is asked for")
	w.NextBlock()
	w.check()
	endpoints := w.endpoints(job.Id)
	require.Len(t, endpoints, 1)
	require.Equal(t, "node1.example", endpoints[0].Address)
	dynamic := endpoints[0].Ports[0].HostPort
	require.True(t, dynamic >= 20_000 && dynamic < 20_009)
	require.EqualValues(t, 20_009, endpoints[0].Ports[1].HostPort)
	require.Equal(t, []uint32{dynamic, 20_009}, w.nodes.get(w.Ctx, node.Id).PortsInUse)

	other := w.submitService(func() *types.MsgSubmitJob { m := w.serviceMsg("dev", "t", 1); m.Ports = msg.Ports; return m }())
	require.EqualValues(t, 1, w.match(item(other.Id, 0, 1, node)).Stale, "the static port is taken")
	w.cancel(job.Id)
	w.NextBlock()
	require.Empty(t, w.nodes.get(w.Ctx, node.Id).PortsInUse)
	w.matchAll(other.Id, 0, 1, node)
	w.NextBlock()
	w.check()
}

func TestServiceIsPaidByEpoch(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	s := w.slice(job.Id, 0)
	require.EqualValues(t, w.clock().JudgedEnded, s.Serving.StartedTime, "from the end of the epoch in which it was seen")
	require.Zero(t, s.Paid, "not before")
	require.EqualValues(t, 1_000, job.Service.Burned, "its next epoch comes up")
	supply := w.Supply()

	w.epochs(1)
	s, job = w.slice(job.Id, 0), w.job(job.Id)
	require.Equal(t, []uint64{epochPaid, epochFee, 1, 300_000}, []uint64{s.Paid, s.Fee, s.Serving.PaidEpochs, s.MeteredMs})
	require.Equal(t, account{1_000_000 + epochPaid, dayCollateral}, w.provider("prov"))
	require.Equal(t, [3]uint64{2, 2, 2}, w.rewards(), "equal parts to who judged the epoch")
	require.Equal(t, supply-1_000, w.Supply())
	require.EqualValues(t, replicaFunds-heldAtTwo-1_000-epochCost, job.Service.Pool)
	require.Equal(t, []uint64{epochPaid, epochFee, 0}, []uint64{job.Paid, job.Fees, job.Refunded})
	require.EqualValues(t, 1, w.nodes.get(w.Ctx, nodes[0].Id).Statistics.Successes, "an epoch is a task")

	w.toEpochEnd() // nobody judges it
	w.end(60)
	w.check()
	require.EqualValues(t, 2*epochPaid, w.slice(job.Id, 0).Paid, "nothing was named, so all is paid")
	rating := w.nodes.get(w.Ctx, nodes[0].Id).Rating
	require.EqualValues(t, []uint64{nodestypes.RatingOne, nodestypes.RatingOne}, []uint64{rating.Successes, rating.Trials}, "one outcome, with its first epoch")
	require.Equal(t, [3]uint64{4, 4, 4}, w.rewards(), "to who matched it")
	query, err := keeper.NewQueryServer(w.k).Job(w.Ctx, &types.QueryJobRequest{Id: job.Id})
	require.NoError(t, err)
	require.EqualValues(t, uint64(w.clock().Ends)+60+300*(w.job(job.Id).Service.Pool/(600+6+1000)), query.FundedUntil)
}

func TestEpochsThatDidNotRunAreUnpaidAndMoveTheReplica(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	w.epochs(1)
	w.notRunning(job.Id, 0)
	w.notRunning(job.Id, 0)
	w.epochs(1)
	s := w.slice(job.Id, 0)
	require.EqualValues(t, 2*epochPaid, s.Paid, "two of four epochs")
	require.Equal(t, types.SLICE_STATUS_MATCHED, s.Status)
	for range 3 {
		w.notRunning(job.Id, 0)
	}
	s = w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_LOST, s.Status)
	require.EqualValues(t, 2*epochPaid, s.Paid, "counted epochs stay paid")
	require.Equal(t, account{1_000_000 + 2*epochPaid, 0}, w.provider("prov"), "without a slash: the node is up")
	next := w.slice(job.Id, 1)
	require.Equal(t, types.SLICE_STATUS_PENDING, next.Status)
	require.Equal(t, []string{nodes[0].Id}, next.Excluded)
	require.Zero(t, next.Attempt, "it had served, so attempts count anew")
	require.Equal(t, types.JOB_STATUS_OPEN, w.job(job.Id).Status)
}

func TestUnhealthyEpochsArePaidAndEndTheService(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 2)
	w.unhealthy(job.Id, 1)
	w.unhealthy(job.Id, 1)
	w.epochs(1)
	require.EqualValues(t, 3*epochPaid, w.slice(job.Id, 1).Paid)
	require.Equal(t, types.JOB_STATUS_OPEN, w.job(job.Id).Status, "not in a row")
	for range 3 {
		w.unhealthy(job.Id, 1)
	}
	job = w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_UNHEALTHY, job.CloseReason)
	// Each of the two was paid six epochs, and the 60 s until the last was judged.
	require.EqualValues(t, 2*(6*epochPaid+120), job.Paid)
	require.Equal(t, job.Funded, job.Paid+job.Fees+job.Refunded+job.Service.Burned)
	require.Equal(t, account{job.Refunded, 0}, w.jobAccount(job.Id))
	require.Zero(t, w.provider("prov").locked)
}

func TestReplicaThatNobodySawStartsElsewhereThenFails(t *testing.T) {
	w := newWorld(t)
	job := w.submitService(w.serviceMsg("dev", "s", 1))
	nothing := func() types.ServiceObservation { return types.ServiceObservation{} }
	for i := range uint32(3) {
		w.matchAll(job.Id, i, 1, w.addNode("prov", 1+i, 7200))
		require.EqualValues(t, i+1, w.slice(job.Id, i).Attempt)
		for range 4 {
			if w.slice(job.Id, i).Status == types.SLICE_STATUS_MATCHED {
				w.epoch(nothing)
			}
		}
		require.Equal(t, types.SLICE_STATUS_LOST, w.slice(job.Id, i).Status)
	}
	job = w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_UNHEALTHY, job.CloseReason, "no attempt is left and nothing serves")
	require.Equal(t, []uint64{0, 0, job.Funded}, []uint64{job.Paid, job.Service.Burned, job.Refunded}, "all back")
	require.Zero(t, w.provider("prov").locked)
}

func TestServiceWithoutANodeExpires(t *testing.T) {
	w := newWorld(t)
	job := w.submitService(w.serviceMsg("dev", "s", 2))
	w.end(3600)
	w.check()
	job = w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_EXPIRED, job.CloseReason)
	require.Equal(t, account{job.Funded, 0}, w.jobAccount(job.Id))

	// One that serves with fewer replicas goes on waiting for the others.
	job = w.submitService(w.serviceMsg("dev", "t", 2))
	w.matchAll(job.Id, 0, 1, w.addNode("prov", 1, 7200))
	w.epochs(13)
	require.Greater(t, w.now(), job.Deadline)
	require.Equal(t, types.SLICE_STATUS_PENDING, w.slice(job.Id, 1).Status)
}

func TestCancelledServiceIsPaidToTheSecond(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 2)
	w.after(w.clock().Ends - w.now() - 100) // 200 s of an epoch
	w.cancel(job.Id)
	w.NextBlock()
	w.check()
	job = w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_CANCELLED, job.CloseReason)
	require.EqualValues(t, 2*400, job.Paid)
	require.EqualValues(t, 2*4, job.Fees)
	require.Equal(t, job.Funded, job.Paid+job.Fees+job.Refunded+job.Service.Burned)
	require.Equal(t, account{1_000_000*2 + 800, 0}, w.provider("prov"))

	// At least 60 s, also before it was seen running.
	job = w.submitService(w.serviceMsg("dev", "t", 1))
	w.matchAll(job.Id, 0, 1, w.addNode("other", 1, 7200))
	w.cancel(job.Id)
	w.NextBlock()
	w.check()
	require.EqualValues(t, 120, w.job(job.Id).Paid)
}

func TestMoneyOfAServiceEndsWithNotice(t *testing.T) {
	w := newWorld(t)
	msg := w.serviceMsg("dev", "s", 1)
	msg.FundedTime = 900 // ⌈2700.25⌉ + 28 + 3 · 1000
	job := w.submitService(msg)
	require.EqualValues(t, 2_701+28+3_000, job.Funded)
	w.matchAll(job.Id, 0, 1, w.addNode("prov", 1, 7200))
	w.epochs(1) // seen, and the next epoch comes up: 1000 burned
	require.EqualValues(t, 5_729-heldAtTwo-1_000, w.job(job.Id).Service.Pool)
	w.epochs(1)
	require.False(t, w.job(job.Id).Service.Noticed)
	w.epochs(1)
	require.EqualValues(t, 5_729-heldAtTwo-1_000-2*epochCost, w.job(job.Id).Service.Pool, "789, under an epoch")
	require.True(t, w.job(job.Id).Service.Noticed)
	notices := 0
	for _, e := range w.Events {
		if e.Type == "fog.jobs.v1.EventServiceNotice" {
			notices++
		}
	}
	require.Equal(t, 1, notices)
	ends := w.clock().Ends
	w.must(w.topUp("dev", job.Id, 2*epochCost), "top up")
	require.False(t, w.job(job.Id).Service.Noticed, "a top-up takes it back")
	w.epochs(2)
	require.True(t, w.job(job.Id).Service.Noticed)
	require.Equal(t, types.JOB_STATUS_OPEN, w.job(job.Id).Status)
	w.epochs(1)
	job = w.job(job.Id)
	require.Equal(t, types.CLOSE_REASON_OUT_OF_FUNDS, job.CloseReason)
	require.EqualValues(t, ends+2*300+60, job.ClosedTime, "one epoch after the notice, when its end has been judged")
	require.EqualValues(t, 5*epochPaid+120, job.Paid)
	require.Equal(t, job.Funded, job.Paid+job.Fees+job.Refunded+job.Service.Burned)
	require.ErrorIs(t, w.topUp("dev", job.Id, 1), types.ErrJobClosed)
}

func TestLostNodeKeepsItsEpochsAndLosesAPart(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	w.epochs(2)
	supply := w.Supply()
	w.down(nodes[0])
	w.end(testGrace + 1)
	w.check()
	s := w.slice(job.Id, 0)
	require.Equal(t, types.SLICE_STATUS_LOST, s.Status)
	require.EqualValues(t, 2*epochPaid, s.Paid)
	require.EqualValues(t, dayCollateral/20, s.CollateralBurned, "5 %")
	require.Equal(t, account{1_000_000 + 2*epochPaid - dayCollateral/20, 0}, w.provider("prov"))
	require.Equal(t, supply-dayCollateral/20, w.Supply())
	require.Equal(t, types.SLICE_STATUS_PENDING, w.slice(job.Id, 1).Status)
	require.EqualValues(t, 1, w.nodes.get(w.Ctx, nodes[0].Id).Statistics.Lost)
	w.matchAll(job.Id, 1, 1, w.addNode("other", 7, 7200))
	w.epochs(2)
	require.EqualValues(t, epochPaid, w.slice(job.Id, 1).Paid)
}

// A node that was away when an epoch ended is not paid for it, whoever judged it.
func TestNodeThatWasAwayAtTheEndOfAnEpochIsNotPaid(t *testing.T) {
	w := newWorld(t)
	job, nodes := w.serve("s", 1)
	w.after(w.clock().Ends - w.now() - 10)
	w.down(nodes[0])
	w.nodes.change(w.Ctx, nodes[0].Id, func(n *nodestypes.Node) { n.StatusSince = w.now() })
	w.toEpochEnd()
	w.end(60)
	w.check()
	require.Zero(t, w.slice(job.Id, 0).Paid)
	w.up(nodes[0])
	w.epochs(1)
	require.EqualValues(t, epochPaid, w.slice(job.Id, 0).Paid)
}

func TestReportsAboutServicesThatDoNotFit(t *testing.T) {
	w := newWorld(t)
	job, _ := w.serve("s", 1)
	w.toEpochEnd()
	good := w.serviceItem(job.Id, 0)
	stale := good
	stale.Attempt++
	missing := good
	missing.Slice = 99
	res := w.judge(types.ServiceObservation{
		NotRunning: []types.ServiceItem{stale}, Unhealthy: []types.ServiceItem{good}, Started: []types.ServiceItem{missing},
	})
	require.Equal(t, &types.MsgRecordServicesResponse{Unhealthy: 1}, res)
	bodies := []types.ServiceObservation{{NotRunning: []types.ServiceItem{good}}, {}, {NotRunning: []types.ServiceItem{good}}}
	msg := &types.MsgRecordServices{Authority: w.reporter, Epoch: w.clock().Judged, Observations: bodies, Quorum: 3, Voters: w.oracles}
	res, err := w.server().RecordServices(w.Ctx, msg)
	require.NoError(t, err)
	require.Zero(t, res.NotRunning, "two of three are no quorum")
	msg.Quorum = 2
	res, err = w.server().RecordServices(w.Ctx, msg)
	require.NoError(t, err)
	require.EqualValues(t, 1, res.NotRunning)
	msg.Epoch++
	_, err = w.server().RecordServices(w.Ctx, msg)
	require.ErrorIs(t, err, types.ErrInvalidReport)
	msg.Authority = w.Authority
	_, err = w.server().RecordServices(w.Ctx, msg)
	require.ErrorIs(t, err, types.ErrUnauthorized)
	require.ErrorIs(t, w.tryReport(job.Id, 0, 1, 5), types.ErrSliceState, "a service has no outcome")
	require.ErrorIs(t, w.Tx(func(ctx sdk.Context) error {
		_, err := w.server().ClaimTimeout(ctx, &types.MsgClaimTimeout{Sender: job.Owner, JobId: job.Id, Slices: []uint64{0}})
		return err
	}), types.ErrSliceState)
}

// What a report sets aside for an item is more than the item of the longest records takes.
func TestGasOfServiceItems(t *testing.T) {
	w := newWorld(t)
	for i := len(w.oracles); i < types.MaxVoters; i++ {
		w.oracles = append(w.oracles, w.Text(fixture.Address(fmt.Sprintf("oracle %d", i))))
	}
	msg := w.serviceMsg("dev", "s", 1)
	msg.Ports = nil
	for i := range uint32(types.MaxPorts) {
		name := fmt.Sprintf("%s%02d", strings.Repeat("p", 30), i)
		msg.Ports = append(msg.Ports, types.Port{Name: name, ContainerPort: 1 + i, Protocol: types.PROTOCOL_TCP})
	}
	job := w.submitService(msg)
	node := w.addNode("prov", 1, 7200)
	w.nodes.change(w.Ctx, node.Id, func(n *nodestypes.Node) { n.Ports.To = 20_100 })
	w.matchAll(job.Id, 0, 1, node)
	w.toEpochEnd()
	gas := func(items ...types.ServiceItem) uint64 {
		meter := storetypes.NewInfiniteGasMeter()
		cached, _ := w.Ctx.CacheContext()
		_, err := w.server().RecordServices(cached.WithGasMeter(meter), &types.MsgRecordServices{
			Authority: w.reporter, Epoch: w.clock().Judged, Observations: []types.ServiceObservation{{Started: items}}, Quorum: 1, Voters: w.oracles,
		})
		require.NoError(t, err)
		return meter.GasConsumed()
	}
	item := gas(w.serviceItem(job.Id, 0)) - gas()
	t.Logf("%d gas", item)
	require.Less(t, item, uint64(500_000))
}
