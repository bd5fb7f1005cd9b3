package keeper_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/cosmos/gogoproto/proto"

	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	nodesStore  = "testnodes"
	roundsStore = "testrounds"
	digest      = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// world is a chain with x/jobs on a real ledger, and nodes and rounds that tests decide about.
type world struct {
	*fixture.Env
	tb       fixture.TB
	k        keeper.Keeper
	nodes    testNodes
	rounds   testRounds
	reporter string
	oracles  []string
	// round numbers reports.
	round uint64
}

func newWorld(tb fixture.TB) *world {
	tb.Helper()
	e := fixture.New(tb, fixture.WithStores(types.StoreKey, nodesStore, roundsStore))
	w := &world{Env: e, tb: tb, nodes: newTestNodes(e), rounds: newTestRounds(e), reporter: e.Text(fixture.Address("oracle module"))}
	w.k = keeper.NewKeeper(e.Codec, e.StoreService(types.StoreKey), e.Addresses, e.Escrow, w.nodes, w.rounds, e.Authority, w.reporter)
	w.must(w.k.InitGenesis(e.Ctx, *types.DefaultGenesis()), "genesis")
	e.OnEndBlock(w.k.EndBlock)
	for i := range 3 {
		w.oracles = append(w.oracles, e.Text(fixture.Address(fmt.Sprintf("oracle %d", i))))
	}
	return w
}

func (w *world) must(err error, format string, args ...any) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
	}
}

func (w *world) setParams(change func(*types.Params)) {
	w.tb.Helper()
	p, err := w.k.Params(w.Ctx)
	w.must(err, "params")
	change(&p)
	_, err = w.server().UpdateParams(w.Ctx, &types.MsgUpdateParams{Authority: w.Authority, Params: p})
	w.must(err, "update params")
}

func (w *world) server() types.MsgServer { return keeper.NewMsgServer(w.k) }

// addNode gives a provider a node with a price per vCPU-hour, and collateral enough.
func (w *world) addNode(owner string, index uint32, price uint64) nodestypes.Node {
	w.tb.Helper()
	addr := fixture.Address(owner)
	n := nodestypes.Node{
		Id: nodestypes.NodeID(addr, fmt.Sprint(index)).Bech32(nodestypes.NodeHRP), Index: index, Owner: w.Text(addr),
		Status: nodestypes.NODE_STATUS_ACTIVE, Region: "eu", Datacenter: "eu-1",
		Capacity: nodestypes.Resources{CpuMilli: 1_000_000, MemoryMib: 1 << 20},
		Hardware: nodestypes.Hardware{Os: "linux", Arch: "amd64"}, Measured: nodestypes.Benchmark{CpuSingle: 1000},
		Prices: nodestypes.Prices{Cpu: price}, Grade: nodestypes.NETWORK_GRADE_B,
		Address: fmt.Sprintf("node%d.example", index), Ports: nodestypes.PortRange{From: 20_000, To: 20_009},
		Attributes: []nodestypes.Attribute{{Key: nodestypes.AttributeVolumes, Value: nodestypes.VolumesDisk}},
	}
	w.nodes.put(w.Ctx, n)
	w.collateral(owner, 1_000_000)
	return n
}

// collateral deposits into a provider's account.
func (w *world) collateral(owner string, amount uint64) {
	w.tb.Helper()
	addr := fixture.Address(owner)
	w.Fund(addr, amount)
	w.must(w.Tx(func(ctx sdk.Context) error {
		id := escrowtypes.ProviderAccountID(addr)
		if err := w.Escrow.EnsureOpen(ctx, id, addr, escrowtypes.ACCOUNT_KIND_PROVIDER); err != nil {
			return err
		}
		return w.Escrow.Deposit(ctx, addr, id, amount)
	}), "collateral of %s", owner)
}

// jobMsg asks for tasks of one vCPU at 10,801 ufog an hour for at most 100 s: 301 ufog a task (300.03 rounded up) and a fee of 4.
func (w *world) jobMsg(owner, salt string, tasks uint32) *types.MsgSubmitJob {
	return &types.MsgSubmitJob{
		Owner: w.Text(fixture.Address(owner)), Salt: salt, Type: types.JOB_TYPE_BATCH, Engine: nodestypes.ENGINE_WASM,
		SpecDigest: digest, ImageDigest: digest, Tasks: tasks, Resources: nodestypes.Resources{CpuMilli: 1000, MemoryMib: 64},
		PriceCap: 10_801, MaxDuration: 100, Deadline: 3600,
	}
}

// submit runs MsgSubmitJob in a transaction; the wallet gets exactly what the job costs.
func (w *world) submit(msg *types.MsgSubmitJob) types.Job {
	w.tb.Helper()
	var res *types.MsgSubmitJobResponse
	p, err := w.k.Params(w.Ctx)
	w.must(err, "params")
	part, err := types.TermsOf(msg.PriceCap, msg.MaxDuration, p.Fee)
	w.must(err, "terms")
	owner, err := w.Addresses.StringToBytes(msg.Owner)
	w.must(err, "owner")
	w.Fund(owner, (part.Budget+part.Fee)*uint64(msg.Tasks))
	w.must(w.Tx(func(ctx sdk.Context) (err error) {
		res, err = w.server().SubmitJob(ctx, msg)
		return err
	}), "submit")
	return w.job(res.JobId)
}

func (w *world) job(id string) types.Job {
	w.tb.Helper()
	job, err := w.k.Job(w.Ctx, w.id(id))
	w.must(err, "job")
	return job
}

func (w *world) id(job string) escrowtypes.ID {
	w.tb.Helper()
	id, err := escrowtypes.ParseID(types.JobHRP, job)
	w.must(err, "job id")
	return id
}

func (w *world) slice(job string, number uint32) types.Slice {
	w.tb.Helper()
	s, err := w.k.Slice(w.Ctx, w.id(job), number)
	w.must(err, "slice")
	return s
}

// snapshot makes EndBlock open a match round and returns its height.
func (w *world) snapshot() int64 {
	w.tb.Helper()
	for range 20 {
		w.NextBlock()
		if height, open := w.rounds.match(w.Ctx); open {
			return height
		}
	}
	w.tb.Fatalf("no match round was opened")
	return 0
}

// match executes a batch on a fresh snapshot, as the oracle module does in EndBlock.
func (w *world) match(items ...types.MatchItem) *types.MsgRecordMatchesResponse {
	w.tb.Helper()
	return w.recordMatches(w.snapshot(), items...)
}

func (w *world) recordMatches(height int64, items ...types.MatchItem) *types.MsgRecordMatchesResponse {
	w.tb.Helper()
	w.round++
	body, err := proto.Marshal(&types.MatchBatch{Height: height, Items: items, Policy: "greedy/1"})
	w.must(err, "batch")
	w.must(types.ValidateMatchBody(types.EncodeMatchSubject(height), body), "validate batch")
	msg, err := types.NewMsgRecordMatches(w.reporter, w.round, body, w.oracles)
	w.must(err, "build report")
	w.rounds.end(w.Ctx, types.RoundKindMatches, types.EncodeMatchSubject(height))
	res, err := w.server().RecordMatches(w.Ctx.WithEventManager(sdk.NewEventManager()), msg)
	w.must(err, "record matches")
	return res
}

// item assigns tasks of a slice to a node at its price.
func item(job string, slice, count uint32, n nodestypes.Node) types.MatchItem {
	return types.MatchItem{JobId: job, Slice: slice, Count: count, NodeIndex: n.Index, Price: n.Prices.Cpu}
}

// matchAll matches count tasks of a slice and fails the test if that is stale.
func (w *world) matchAll(job string, slice, count uint32, n nodestypes.Node) {
	w.tb.Helper()
	height := w.snapshot()
	ctx := w.Ctx.WithEventManager(sdk.NewEventManager())
	w.round++
	w.rounds.end(w.Ctx, types.RoundKindMatches, types.EncodeMatchSubject(height))
	res, err := w.server().RecordMatches(ctx, &types.MsgRecordMatches{
		Authority: w.reporter, Round: w.round, Voters: w.oracles,
		Batch: types.MatchBatch{Height: height, Items: []types.MatchItem{item(job, slice, count, n)}},
	})
	w.must(err, "record matches")
	if res.Matched != 1 {
		w.tb.Fatalf("stale: %v", ctx.EventManager().Events())
	}
}

// report executes an outcome as the oracle module does.
func (w *world) report(job string, slice uint32, ms uint64, failures ...types.TaskFailure) {
	w.tb.Helper()
	w.must(w.tryReport(job, slice, w.slice(job, slice).Attempt, ms, failures...), "record outcome")
}

func (w *world) tryReport(job string, slice, attempt uint32, ms uint64, failures ...types.TaskFailure) error {
	w.tb.Helper()
	root := sha256.Sum256([]byte(job))
	body, err := proto.Marshal(&types.Outcome{Failures: failures, ResultRoot: root[:]})
	w.must(err, "outcome")
	w.round++
	subject := types.OutcomeSubject{Job: w.id(job), Slice: slice, Attempt: attempt}.Encode()
	w.must(types.ValidateOutcomeBody(subject, body), "validate outcome")
	msg, err := types.NewMsgRecordOutcomes(w.reporter, w.round, subject, body, ms, w.oracles)
	w.must(err, "build report")
	cached, write := w.Ctx.CacheContext()
	if _, err = w.server().RecordOutcomes(cached, msg); err == nil {
		write()
		w.rounds.end(w.Ctx, types.RoundKindOutcome, subject)
	}
	return err
}

func (w *world) after(seconds int64) {
	w.tb.Helper()
	w.NextBlockAfter(time.Duration(seconds) * time.Second)
}

// end lets a block pass whose time is seconds after the present one, with its EndBlock.
func (w *world) end(seconds int64) {
	w.tb.Helper()
	w.after(seconds)
	w.NextBlock()
}

// account is an escrow account's balance and what of it is locked.
type account struct{ balance, locked uint64 }

func (w *world) account(id escrowtypes.ID) account {
	w.tb.Helper()
	a, err := w.Escrow.Account(w.Ctx, id)
	if strings.Contains(fmt.Sprint(err), "not found") {
		return account{}
	}
	w.must(err, "account")
	return account{a.Balance, a.Locked}
}

func (w *world) jobAccount(job string) account {
	return w.account(escrowtypes.JobAccountID(w.id(job)))
}

func (w *world) provider(name string) account {
	return w.account(escrowtypes.ProviderAccountID(fixture.Address(name)))
}

// oracle's rewards.
func (w *world) rewards() [3]uint64 {
	var out [3]uint64
	for i := range out {
		out[i] = w.account(escrowtypes.OracleAccountID(fixture.Address(fmt.Sprintf("oracle %d", i)))).balance
	}
	return out
}

// check fails the test if an invariant of jobs or of the ledger is broken; call it at the start of a block.
func (w *world) check() {
	w.tb.Helper()
	w.CheckInvariants()
	w.checkJobs(w.Ctx)
}

func (w *world) checkJobs(ctx context.Context) {
	w.tb.Helper()
	res, err := w.k.Invariants(ctx)
	w.must(err, "invariants")
	if !res.Holds {
		w.tb.Fatalf("broken invariants:\n%s", strings.Join(res.Broken, "\n"))
	}
	w.rounds.check(ctx, w)
}

func jobAccountID(w *world, job string) escrowtypes.ID { return escrowtypes.JobAccountID(w.id(job)) }

func addressOf(name string) sdk.AccAddress { return fixture.Address(name) }

func (w *world) tryCancel(owner, job string) error {
	return w.Tx(func(ctx sdk.Context) error {
		_, err := w.server().CancelJob(ctx, &types.MsgCancelJob{Owner: w.Text(addressOf(owner)), JobId: job})
		return err
	})
}

func (w *world) cancel(job string) {
	w.tb.Helper()
	w.must(w.tryCancel("dev", job), "cancel")
}

// withdraw sends free money of a job to its owner.
func (w *world) withdraw(job string, amount uint64) {
	w.tb.Helper()
	w.must(w.Tx(func(ctx sdk.Context) error { return w.Escrow.Withdraw(ctx, jobAccountID(w, job), amount) }), "withdraw")
}

// down and up are what x/nodes tells after a liveness round.
func (w *world) down(n nodestypes.Node) {
	w.tb.Helper()
	id, err := nodestypes.ParseNodeID(n.Id)
	w.must(err, "node id")
	w.nodes.change(w.Ctx, n.Id, func(n *nodestypes.Node) { n.Status = nodestypes.NODE_STATUS_INACTIVE })
	w.must(w.k.AfterNodeInactive(w.Ctx, id, w.Ctx.BlockTime().Unix()), "node down")
}

func (w *world) up(n nodestypes.Node) {
	w.tb.Helper()
	id, err := nodestypes.ParseNodeID(n.Id)
	w.must(err, "node id")
	w.nodes.change(w.Ctx, n.Id, func(n *nodestypes.Node) { n.Status = nodestypes.NODE_STATUS_ACTIVE })
	w.must(w.k.AfterNodeUp(w.Ctx, id), "node up")
}

func addressText(name string) string {
	text, err := addresscodec.NewBech32Codec(fixture.Prefix).BytesToString(addressOf(name))
	if err != nil {
		panic(err)
	}
	return text
}

func providerID(name string) escrowtypes.ID { return escrowtypes.ProviderAccountID(addressOf(name)) }

func joined(lines []string) string { return strings.Join(lines, "\n") }
