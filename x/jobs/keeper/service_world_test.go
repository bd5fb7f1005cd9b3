package keeper_test

import (
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	otherDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	thirdDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000002"

	// What a replica of serviceMsg brings: an hour at the cap, 10,801 ufog, 1 % of it rounded up, and 1,000 burned for each of 12 epochs.
	replicaFunds = 10_801 + 109 + 12*1_000
	// What a slice holds before its match: 360 s at the cap, ⌈1080.1⌉, and the fee on it.
	heldAtCap = 1_081 + 11
	// What it holds at 7,200 ufog an hour: 360 s at 2 a second, and ⌈7.2⌉.
	heldAtTwo = 720 + 8
	// The collateral at that price: 30 % of 24 h.
	dayCollateral = 51_840
	// An epoch at that price, with the fee, and with the burned fee as well.
	epochPaid, epochFee, epochCost = 600, 6, 600 + 6 + 1_000
)

// serviceMsg asks for replicas with a port, an hour paid.
func (w *world) serviceMsg(owner, salt string, replicas uint32) *types.MsgSubmitJob {
	msg := w.jobMsg(owner, salt, 0)
	msg.Type, msg.MaxDuration, msg.Replicas, msg.FundedTime = types.JOB_TYPE_SERVICE, 0, replicas, 3600
	msg.Ports = []types.Port{{Name: "http", ContainerPort: 80, Protocol: types.PROTOCOL_TCP}}
	return msg
}

// submitService submits a service; the wallet gets exactly what it costs.
func (w *world) submitService(msg *types.MsgSubmitJob) types.Job {
	w.tb.Helper()
	p, err := w.k.Params(w.Ctx)
	w.must(err, "params")
	budget, err := p.ServiceBudget(msg)
	w.must(err, "budget")
	owner, err := w.Addresses.StringToBytes(msg.Owner)
	w.must(err, "owner")
	w.Fund(owner, budget)
	var res *types.MsgSubmitJobResponse
	w.must(w.Tx(func(ctx sdk.Context) (err error) {
		res, err = w.server().SubmitJob(ctx, msg)
		return err
	}), "submit")
	return w.job(res.JobId)
}

func (w *world) clock() types.ServiceClock {
	w.tb.Helper()
	res, err := keeper.NewQueryServer(w.k).ServiceClock(w.Ctx, &types.QueryServiceClockRequest{})
	w.must(err, "clock")
	return res.Clock
}

func (w *world) now() int64 { return w.Ctx.BlockTime().Unix() }

// serviceItem names the present attempt of a slice.
func (w *world) serviceItem(job string, slice uint32) types.ServiceItem {
	w.tb.Helper()
	return types.ServiceItem{JobId: job, Slice: slice, Attempt: w.slice(job, slice).Attempt}
}

func (w *world) items(job string, numbers ...uint32) []types.ServiceItem {
	w.tb.Helper()
	var out []types.ServiceItem
	for _, n := range numbers {
		out = append(out, w.serviceItem(job, n))
	}
	slices.SortFunc(out, types.CompareServiceItems)
	return out
}

// toEpochEnd lets the present epoch end.
func (w *world) toEpochEnd() {
	w.tb.Helper()
	if w.clock().Ends == 0 {
		w.NextBlock() // the first epoch begins
	}
	w.end(max(w.clock().Ends-w.now(), 1))
}

// judge executes what a quorum of all three oracles saw in the epoch that has ended.
func (w *world) judge(o types.ServiceObservation) *types.MsgRecordServicesResponse {
	w.tb.Helper()
	subjects := w.rounds.subjects(w.Ctx, types.RoundKindServices)
	if len(subjects) == 0 {
		w.tb.Fatalf("no round about services")
	}
	for _, expired := range subjects[:len(subjects)-1] {
		w.rounds.end(w.Ctx, types.RoundKindServices, expired)
	}
	subjects = subjects[len(subjects)-1:]
	body, err := o.Marshal()
	w.must(err, "observation")
	w.must(types.ValidateServicesBody(subjects[0], body), "validate observation")
	msg, err := types.NewMsgRecordServices(w.reporter, subjects[0], [][]byte{body, body, body}, w.oracles, 3)
	w.must(err, "build report")
	w.rounds.end(w.Ctx, types.RoundKindServices, subjects[0])
	res, err := w.server().RecordServices(w.Ctx.WithEventManager(sdk.NewEventManager()), msg)
	w.must(err, "record services")
	return res
}

// epoch lets an epoch pass in which a quorum saw what is given, and its slices come up.
func (w *world) epoch(see func() types.ServiceObservation) {
	w.tb.Helper()
	w.toEpochEnd()
	w.judge(see())
	w.end(w.clock().JudgedEnded + 60 - w.now())
	w.check()
}

// well is an epoch in which all slices that wait to be seen are seen to have started.
func (w *world) well() types.ServiceObservation {
	w.tb.Helper()
	return types.ServiceObservation{Started: w.unstarted()}
}

func (w *world) unstarted() []types.ServiceItem {
	w.tb.Helper()
	res, err := keeper.NewQueryServer(w.k).Services(w.Ctx, &types.QueryServicesRequest{})
	w.must(err, "services")
	var out []types.ServiceItem
	for _, s := range res.Services {
		if s.Slice.Serving.StartedTime == 0 {
			out = append(out, w.serviceItem(s.Job.Id, s.Slice.Number))
		}
	}
	slices.SortFunc(out, types.CompareServiceItems)
	return out
}

// epochs lets so many epochs pass in which all is well.
func (w *world) epochs(n int) {
	w.tb.Helper()
	for range n {
		w.epoch(w.well)
	}
}

// unhealthy lets an epoch pass in which slices of a job are unhealthy, and the others well.
func (w *world) unhealthy(job string, numbers ...uint32) {
	w.tb.Helper()
	w.epoch(func() types.ServiceObservation {
		return types.ServiceObservation{Unhealthy: w.items(job, numbers...), Started: w.unstarted()}
	})
}

// notRunning lets an epoch pass in which slices of a job do not run.
func (w *world) notRunning(job string, numbers ...uint32) {
	w.tb.Helper()
	w.epoch(func() types.ServiceObservation {
		return types.ServiceObservation{NotRunning: w.items(job, numbers...), Started: w.unstarted()}
	})
}

// serve starts a service of replicas with an hour paid, each on a node of its own at 7,200 ufog an hour, all of them seen running.
func (w *world) serve(salt string, replicas uint32) (types.Job, []nodestypes.Node) {
	w.tb.Helper()
	job := w.submitService(w.serviceMsg("dev", salt, replicas))
	var nodes []nodestypes.Node
	for i := range replicas {
		n := w.addNode("prov", 100+i, 7200)
		nodes = append(nodes, n)
		w.matchAll(job.Id, i, 1, n)
	}
	w.epochs(1)
	return w.job(job.Id), nodes
}

func (w *world) update(job, spec string) error {
	return w.Tx(func(ctx sdk.Context) error {
		_, err := w.server().UpdateService(ctx, &types.MsgUpdateService{
			Owner: w.Text(addressOf("dev")), JobId: job, SpecDigest: spec, ImageDigest: digest,
		})
		return err
	})
}

func (w *world) scale(job string, replicas uint32) error {
	return w.Tx(func(ctx sdk.Context) error {
		_, err := w.server().ScaleService(ctx, &types.MsgScaleService{Owner: w.Text(addressOf("dev")), JobId: job, Replicas: replicas})
		return err
	})
}

// drainNode is what x/nodes does when an owner drains a node.
func (w *world) drainNode(n nodestypes.Node) {
	w.tb.Helper()
	w.nodes.change(w.Ctx, n.Id, func(n *nodestypes.Node) {
		n.Status, n.Draining, n.StatusSince = nodestypes.NODE_STATUS_DRAINING, true, w.now()
	})
}

func (w *world) endpoints(job string) []types.Endpoint {
	w.tb.Helper()
	res, err := keeper.NewQueryServer(w.k).Endpoints(w.Ctx, &types.QueryEndpointsRequest{JobId: job})
	w.must(err, "endpoints")
	return res.Endpoints
}
