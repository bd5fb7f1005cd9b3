package keeper_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"cosmossdk.io/collections"
	"cosmossdk.io/collections/codec"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/nodes/keeper"
	"github.com/foggrid/fogd/x/nodes/types"
)

const (
	fog         = 1_000_000
	roundsStore = "testrounds"
	boot        = "0123456789abcdef"
)

var reporter = sdk.AccAddress("reporter............")

// tb is what *testing.T, *testing.B and *rapid.T have in common.
type tb interface {
	fixture.TB
	require.TestingT
}

// world is x/nodes on a real ledger. Instead of x/oracle, which knows nothing of nodes, it has the rounds that were opened and executes
// reports where x/oracle does, before the module's EndBlock.
type world struct {
	*fixture.Env
	tb       tb
	k        keeper.Keeper
	msgs     types.MsgServer
	rounds   rounds
	listener *listener
	reports  []report
	results  []error
}

// report is executed by a quorum; its round is closed afterwards, whatever came of it.
type report struct {
	kind    string
	subject []byte
	run     func(sdk.Context) error
}

func newWorld(t tb) *world {
	w := &world{Env: fixture.New(t, fixture.WithStores(types.StoreKey, roundsStore)), tb: t, listener: &listener{}}
	w.rounds = newRounds(w.Env)
	w.k = keeper.NewKeeper(w.Codec, w.StoreService(types.StoreKey), w.Addresses, w.Escrow, w.Bank, w.rounds, w.Text(reporter), w.Authority)
	w.k.AddHooks(w.listener)
	w.msgs = keeper.NewMsgServer(w.k)
	require.NoError(t, w.k.InitGenesis(w.Ctx, *types.DefaultGenesis()))
	w.OnEndBlock(w.oracleEndBlock, w.k.EndBlock)
	return w
}

func (w *world) oracleEndBlock(ctx context.Context) error {
	w.results = nil
	for _, report := range w.reports {
		cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
		err := report.run(cached)
		if err == nil {
			write()
		}
		w.results = append(w.results, err)
		if err := w.rounds.CancelRounds(ctx, report.kind, report.subject); err != nil {
			return err
		}
	}
	w.reports = nil
	return nil
}

// end ends the block, in which these reports are executed, after the given number of seconds; all must succeed.
func (w *world) end(seconds int, reports ...report) {
	w.tb.Helper()
	for i, err := range w.try(seconds, reports...) {
		require.NoError(w.tb, err, "report %d", i)
	}
}

func (w *world) try(seconds int, reports ...report) []error {
	w.tb.Helper()
	w.reports = reports
	w.NextBlockAfter(time.Duration(seconds) * time.Second)
	return w.results
}

func (w *world) setParams(edit func(*types.Params)) {
	p, err := w.k.Params.Get(w.Ctx)
	require.NoError(w.tb, err)
	edit(&p)
	require.NoError(w.tb, w.Tx(func(ctx sdk.Context) error {
		_, err := w.msgs.UpdateParams(ctx, &types.MsgUpdateParams{Authority: w.Authority, Params: p})
		return err
	}))
}

// rich gives an owner a wallet, and money that is free in its provider account.
func (w *world) rich(owner string, wallet, free uint64) sdk.AccAddress {
	addr := fixture.Address(owner)
	w.Fund(addr, wallet+free)
	id := escrowtypes.ProviderAccountID(addr)
	require.NoError(w.tb, w.Tx(func(ctx sdk.Context) error {
		return errors.Join(w.Escrow.EnsureOpen(ctx, id, addr, escrowtypes.ACCOUNT_KIND_PROVIDER), w.Escrow.Deposit(ctx, addr, id, free))
	}))
	w.NextBlock()
	return addr
}

func (w *world) account(owner sdk.AccAddress) escrowtypes.Account {
	account, err := w.Escrow.Account(w.Ctx, escrowtypes.ProviderAccountID(owner))
	require.NoError(w.tb, err)
	return account
}

func (w *world) fees() uint64 { return w.ModuleBalance(authtypes.FeeCollectorName) }

func agentKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// registration is a valid one; each salt has an agent of its own.
func (w *world) registration(owner sdk.AccAddress, salt string) *types.MsgRegisterNode {
	key := agentKey(w.Text(owner) + salt)
	return &types.MsgRegisterNode{
		Owner: w.Text(owner), Salt: salt, AgentKey: key.Public().(ed25519.PublicKey), Boot: boot, Region: "eu", Datacenter: "eu-1",
		Capacity:   types.Resources{CpuMilli: 8_000, MemoryMib: 16_000, StorageMib: 100_000, Gpus: 1},
		Hardware:   types.Hardware{CpuModel: "EPYC 7763", Cores: 8, CpuMhzMax: 3_500, StorageType: types.STORAGE_TYPE_NVME, Os: "linux", Arch: "amd64"},
		Declared:   declared,
		Attributes: []types.Attribute{{Key: "tier", Value: "gold"}},
		Prices:     types.Prices{Cpu: 10_000, Memory: 1_000, Storage: 10, Gpu: 500_000},
		Deposit:    100 * fog, AgentSignature: ed25519.Sign(key, types.RegistrationBytes(owner, salt)),
	}
}

var declared = types.Benchmark{
	CpuSingle: 1_000, CpuAll: 8_000, MemoryMib: 16_000, MemoryBandwidth: 20_000, DiskRead: 500, StorageMib: 100_000,
}

// scaled is the declaration at that percentage.
func scaled(b types.Benchmark, percent uint64) types.Benchmark {
	return types.Benchmark{
		CpuSingle: b.CpuSingle * percent / 100, CpuAll: b.CpuAll * percent / 100, MemoryMib: b.MemoryMib * percent / 100,
		MemoryBandwidth: b.MemoryBandwidth * percent / 100, DiskRead: b.DiskRead * percent / 100, StorageMib: b.StorageMib * percent / 100,
	}
}

// send runs a message of an owner as a transaction.
func (w *world) send(msg sdk.Msg) error {
	return w.Tx(func(ctx sdk.Context) error {
		var err error
		switch m := msg.(type) {
		case *types.MsgRegisterNode:
			_, err = w.msgs.RegisterNode(ctx, m)
		case *types.MsgUpdateNode:
			_, err = w.msgs.UpdateNode(ctx, m)
		case *types.MsgDrainNode:
			_, err = w.msgs.DrainNode(ctx, m)
		case *types.MsgResumeNode:
			_, err = w.msgs.ResumeNode(ctx, m)
		case *types.MsgRetireNode:
			_, err = w.msgs.RetireNode(ctx, m)
		default:
			w.tb.Fatalf("no such message: %T", msg)
		}
		return err
	})
}

func (w *world) drain(n types.Node) error {
	return w.send(&types.MsgDrainNode{Owner: n.Owner, NodeId: n.Id})
}

func (w *world) resume(n types.Node) error {
	return w.send(&types.MsgResumeNode{Owner: n.Owner, NodeId: n.Id})
}

func (w *world) retire(n types.Node) error {
	return w.send(&types.MsgRetireNode{Owner: n.Owner, NodeId: n.Id})
}

// register makes a PENDING node whose benchmark round is open.
func (w *world) register(owner sdk.AccAddress, salt string) escrowtypes.ID {
	w.tb.Helper()
	require.NoError(w.tb, w.send(w.registration(owner, salt)))
	w.end(1)
	return types.NodeID(owner, salt)
}

// active makes an ACTIVE node.
func (w *world) active(owner sdk.AccAddress, salt string) escrowtypes.ID {
	w.tb.Helper()
	id := w.register(owner, salt)
	if len(w.inJoint(owner)) > 0 {
		w.endJoint(owner)
	}
	if len(w.inJoint(owner)) > 0 { // the first one was under way already
		w.endJoint(owner)
	}
	if w.node(id).Status == types.NODE_STATUS_PENDING {
		w.end(1, w.reachedBy(100, id)...)
	}
	require.Equal(w.tb, types.NODE_STATUS_ACTIVE, w.node(id).Status)
	return id
}

func (w *world) node(id escrowtypes.ID) types.Node {
	w.tb.Helper()
	n, err := w.k.Node(w.Ctx, id)
	require.NoError(w.tb, err)
	return n
}

// edit changes a node behind the back of the module.
func (w *world) edit(id escrowtypes.ID, change func(*types.Node)) {
	n := w.node(id)
	change(&n)
	require.NoError(w.tb, w.k.Nodes.Set(w.Ctx, id, n))
}

func measured(percent uint64) types.BenchmarkObservation {
	return types.BenchmarkObservation{Measured: scaled(declared, percent)}
}

var unreachable = types.BenchmarkObservation{Unreachable: true}

// benchmark is a report about the present boot with a quorum of 3, through the bodies of votes, as x/oracle executes it.
func (w *world) benchmark(id escrowtypes.ID, observations ...types.BenchmarkObservation) report {
	return w.benchmarkOf(id, w.node(id).Boot, observations...)
}

func (w *world) benchmarkOf(id escrowtypes.ID, boot string, observations ...types.BenchmarkObservation) report {
	subject, err := types.EncodeBenchmarkSubject(id, boot)
	require.NoError(w.tb, err)
	var bodies [][]byte
	for _, o := range observations {
		body, err := o.Marshal()
		require.NoError(w.tb, err)
		require.NoError(w.tb, types.ValidateBenchmarkBody(subject, body))
		bodies = append(bodies, body)
	}
	msg, err := types.NewMsgRecordBenchmark(w.Text(reporter), subject, bodies, 3)
	require.NoError(w.tb, err)
	return report{types.RoundKindBenchmark, subject, func(ctx sdk.Context) error {
		_, err := w.msgs.RecordBenchmark(ctx, msg)
		return err
	}}
}

// liveness is a report of observations with a quorum of 3.
func (w *world) liveness(observations ...types.LivenessObservation) report {
	subject := types.EncodeLivenessSubject(1)
	var bodies [][]byte
	for _, o := range observations {
		body, err := o.Marshal()
		require.NoError(w.tb, err)
		require.NoError(w.tb, types.ValidateLivenessBody(subject, body))
		bodies = append(bodies, body)
	}
	msg, err := types.NewMsgRecordLiveness(w.Text(reporter), subject, bodies, 3)
	require.NoError(w.tb, err)
	return report{types.RoundKindLiveness, subject, func(ctx sdk.Context) error {
		_, err := w.msgs.RecordLiveness(ctx, msg)
		return err
	}}
}

// seen is what three of four oracles agree on.
func (w *world) seen(o types.LivenessObservation) report {
	return w.liveness(o, o, o, types.LivenessObservation{})
}

func down(index ...uint32) types.LivenessObservation { return types.LivenessObservation{Down: index} }

func up(index ...uint32) types.LivenessObservation { return types.LivenessObservation{Up: index} }

func restarted(index uint32, boot string) types.LivenessObservation {
	return types.LivenessObservation{Restarted: []types.Restart{{Index: index, Boot: boot}}}
}

// benchmarkOpen says whether the round about a node's boot is open.
func (w *world) benchmarkOpen(id escrowtypes.ID, boot string) bool {
	subject, err := types.EncodeBenchmarkSubject(id, boot)
	require.NoError(w.tb, err)
	open, err := w.rounds.open.Has(w.Ctx, collections.Join(types.RoundKindBenchmark, subject))
	require.NoError(w.tb, err)
	return open
}

// eventsOf lists the typed events of one type of the last transaction or block.
func eventsOf[E any](w *world) []E {
	var out []E
	for _, raw := range w.Events.ToABCIEvents() {
		msg, err := sdk.ParseTypedEvent(raw)
		if err != nil { // an event of the bank
			continue
		}
		if event, ok := msg.(E); ok {
			out = append(out, event)
		}
	}
	return out
}

// check compares the records with each other, with the indexes and with the ledger. It holds while no collateral is locked.
func (w *world) check() {
	w.tb.Helper()
	w.CheckInvariants()
	locked, indexes := map[string]uint64{}, map[uint32]bool{}
	err := w.k.Nodes.Walk(w.Ctx, nil, func(id escrowtypes.ID, n types.Node) (bool, error) {
		require.NoError(w.tb, n.Validate(w.Addresses), n.Id)
		require.Equal(w.tb, id.Bech32("node"), n.Id)
		locked[n.Owner] += n.Deposit
		if n.Index != 0 {
			require.False(w.tb, indexes[n.Index])
			indexes[n.Index] = true
			byIndex, err := w.k.NodeByIndex(w.Ctx, n.Index)
			require.NoError(w.tb, err)
			require.Equal(w.tb, n.Id, byIndex.Id)
		}
		return false, nil
	})
	require.NoError(w.tb, err)
	for owner, deposits := range locked {
		addr, err := w.Addresses.StringToBytes(owner)
		require.NoError(w.tb, err)
		require.Equal(w.tb, deposits, w.account(addr).Locked, "Σ deposits = locked")
	}
	next, err := w.k.NextIndex.Get(w.Ctx)
	require.NoError(w.tb, err)
	require.Len(w.tb, indexes, int(next)-1, "indexes have no gaps")
}

// rounds are those that x/nodes opened, with their deadlines.
type rounds struct {
	open collections.Map[collections.Pair[string, []byte], collections.Pair[int64, int64]]
	next collections.Sequence
}

func newRounds(e *fixture.Env) rounds {
	sb := collections.NewSchemaBuilder(e.StoreService(roundsStore))
	r := rounds{
		open: collections.NewMap(sb, collections.NewPrefix(0), "open", collections.PairKeyCodec(collections.StringKey, collections.BytesKey),
			codec.KeyToValueCodec(collections.PairKeyCodec(collections.Int64Key, collections.Int64Key))),
		next: collections.NewSequence(sb, collections.NewPrefix(1), "next"),
	}
	if _, err := sb.Build(); err != nil {
		panic(err)
	}
	return r
}

func (r rounds) OpenRound(ctx context.Context, kind string, subject []byte, deadline, final int64) (uint64, error) {
	open, err := r.open.Has(ctx, collections.Join(kind, subject))
	if err != nil {
		return 0, err
	}
	if open {
		return 0, errors.New("round is open already")
	}
	if err := r.open.Set(ctx, collections.Join(kind, subject), collections.Join(deadline, final)); err != nil {
		return 0, err
	}
	return r.next.Next(ctx)
}

func (r rounds) CancelRounds(ctx context.Context, kind string, subject []byte) error {
	return r.open.Remove(ctx, collections.Join(kind, subject))
}

// listener takes the place of x/jobs: it writes down what it is told, and on a condemnation moves the award and releases what runs.
type listener struct {
	told  []string
	award func(ctx context.Context, id escrowtypes.ID, most uint64) (uint64, error)
}

func (l *listener) AfterNodeInactive(_ context.Context, id escrowtypes.ID, _ int64) error {
	l.told = append(l.told, "inactive "+id.Bech32(types.NodeHRP))
	return nil
}

func (l *listener) AfterNodeUp(_ context.Context, id escrowtypes.ID) error {
	l.told = append(l.told, "up "+id.Bech32(types.NodeHRP))
	return nil
}

func (l *listener) AfterNodeCondemned(ctx context.Context, id escrowtypes.ID, most uint64) (uint64, error) {
	l.told = append(l.told, "condemned "+id.Bech32(types.NodeHRP))
	if l.award == nil {
		return 0, nil
	}
	return l.award(ctx, id, most)
}

// heard returns what the listener was told since the last call.
func (w *world) heard() []string {
	told := w.listener.told
	w.listener.told = nil
	return told
}

// reserve takes resources of a node as it is now.
func (w *world) reserve(id escrowtypes.ID, total types.Resources, tasks uint32) error {
	n, err := w.k.Node(w.Ctx, id)
	if err != nil {
		return err
	}
	return w.k.Reserve(w.Ctx, id, n, total, tasks, nil)
}
