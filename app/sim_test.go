package app_test

import (
	"encoding/json"
	"flag"
	"math/rand"
	"testing"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/stretchr/testify/require"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	simtestutil "github.com/cosmos/cosmos-sdk/testutil/sims"
	"github.com/cosmos/cosmos-sdk/testutil/simsx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	simtypes "github.com/cosmos/cosmos-sdk/types/simulation"
	authzkeeper "github.com/cosmos/cosmos-sdk/x/authz/keeper"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	simcli "github.com/cosmos/cosmos-sdk/x/simulation/client/cli"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// The full simulation is -sim.blocks=100 -sim.ops=200.
var (
	simBlocks = flag.Int("sim.blocks", 20, "blocks to simulate")
	simOps    = flag.Int("sim.ops", 60, "operations in a block")
	simSeed   = flag.Int64("sim.seed", 3, "seed of the simulation")
)

func simulate(t *testing.T, after func(t testing.TB, run simsx.TestInstance[*app.App], accounts []simtypes.Account)) {
	t.Helper()

	// The simulation signs its transactions; let them be verified.
	simcli.FlagSigverifyTxValue = true
	config := simtypes.Config{
		NumBlocks:          *simBlocks,
		BlockSize:          *simOps,
		InitialBlockHeight: 1,
		GenesisTime:        testapp.GenesisTime.Unix(),
		ChainID:            simsx.SimAppChainID,
		Commit:             true,
		DBBackend:          "memdb",
	}
	simsx.RunWithSeedAndRandAcc(t, config, newSimulated, simState, *simSeed, nil, simAccounts, after)
}

// simAccounts are few enough to meet each other again: who has nodes also has jobs, and bonds.
func simAccounts(r *rand.Rand, n int) []simtypes.Account {
	const most = 400

	return simtypes.RandomAccounts(r, min(n, most))
}

// newSimulated is the app for the simulator, which executes its transactions after the end blockers of the block that they are
// committed with. What handlers leave for the end of the block, virtual credits and changes of the ledger, is therefore taken
// once more before the commit; it would be lost with the block's object stores.
func newSimulated(logger log.Logger, db dbm.DB, load bool, options servertypes.AppOptions, base ...func(*baseapp.BaseApp)) *app.App {
	simulated := app.New(logger, db, false, options, base...)
	simulated.SetPrecommiter(func(ctx sdk.Context) {
		if err := simulated.BankKeeper.CreditVirtualAccounts(ctx); err != nil {
			panic(err)
		}
		if err := simulated.EscrowKeeper.EndBlock(ctx); err != nil {
			panic(err)
		}
		ctx.MultiStore().(storetypes.CacheMultiStore).Write()
	})
	manager := simulated.SimulationManager()
	manager.Modules = append(manager.Modules, &simGrid{app: simulated})
	if load {
		if err := simulated.LoadLatestVersion(); err != nil {
			panic(err)
		}
	}

	return simulated
}

func simState(simulated *app.App) simsx.SimStateFactory {
	return simsx.SimStateFactory{
		Codec:         simulated.AppCodec(),
		AppStateFn:    simtestutil.AppStateFn(simulated.AppCodec(), simulated.SimulationManager(), simulated.DefaultGenesis()),
		BlockedAddr:   app.BlockedAddresses(),
		AccountSource: simulated.AccountKeeper,
		BalanceSource: simulated.BankKeeper,
	}
}

// Random operations of users, oracles and machines keep the ledger and the jobs in order, leave a state whose export gives the same
// state again, and give that state whenever they are repeated.
func TestSimulation(t *testing.T) {
	t.Cleanup(func() {
		if t.Skipped() {
			t.Error("the simulator gave up, for example because no validator is left; choose another -sim.seed")
		}
	})
	var hash []byte
	simulate(t, func(t testing.TB, run simsx.TestInstance[*app.App], _ []simtypes.Account) {
		t.Helper()

		hash = run.App.LastCommitID().Hash
		requireInvariants(t, run.App)
		requireLife(t, run.App)
		requireImport(t, run)
	})
	simulate(t, func(t testing.TB, run simsx.TestInstance[*app.App], _ []simtypes.Account) {
		t.Helper()

		require.Equal(t, hash, run.App.LastCommitID().Hash, "the same seed gives the same state")
	})
}

// requireImport exports the state and wants the same from its import.
func requireImport(t testing.TB, run simsx.TestInstance[*app.App]) {
	t.Helper()

	exported, err := run.App.ExportAppStateAndValidators(false, nil, nil)
	require.NoError(t, err)
	var state map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(exported.AppState, &state))

	imported := simsx.NewSimulationAppInstance(t, run.Cfg, newSimulated).App
	header := cmtproto.Header{Height: run.App.LastBlockHeight(), Time: testapp.GenesisTime}
	ctx := imported.NewContextLegacy(true, header)
	_, err = imported.ModuleManager.InitGenesis(ctx, imported.AppCodec(), state)
	require.NoError(t, err)

	// Derived from the rest when a state is imported, or rewritten when it is used.
	skipped := map[string][][]byte{
		stakingtypes.StoreKey: {
			stakingtypes.UnbondingQueueKey, stakingtypes.RedelegationQueueKey, stakingtypes.ValidatorQueueKey,
			stakingtypes.HistoricalInfoKey, stakingtypes.UnbondingIDKey, stakingtypes.UnbondingIndexKey,
			stakingtypes.UnbondingTypeKey, stakingtypes.ValidatorUpdatesKey,
		},
		authzkeeper.StoreKey:   {authzkeeper.GrantQueuePrefix},
		feegrant.StoreKey:      {feegrant.FeeAllowanceQueueKeyPrefix},
		slashingtypes.StoreKey: {slashingtypes.ValidatorMissedBlockBitmapKeyPrefix},
	}
	before := run.App.NewContextLegacy(true, header)
	decoders := run.App.SimulationManager().StoreDecoders
	for name, key := range run.App.StoreKeys() {
		// Upgrade and consensus keep no genesis state.
		if name == "upgrade" || name == "Consensus" || name == "consensus" {
			continue
		}
		a, b := simtestutil.DiffKVStores(before.KVStore(key), ctx.KVStore(imported.StoreKeys()[name]), skipped[name])
		if len(a)+len(b) > 0 {
			require.Failf(t, "stores differ", "%s:\n%s", name, simtestutil.GetSimulationLog(name, decoders, a, b))
		}
	}
}

// requireInvariants recomputes the ledger and the jobs in full.
func requireInvariants(t testing.TB, simulated *app.App) {
	t.Helper()

	ctx := simulated.NewContextLegacy(true, cmtproto.Header{Height: simulated.LastBlockHeight()})
	ledger, err := simulated.EscrowKeeper.Invariants(ctx)
	require.NoError(t, err)
	require.Empty(t, ledger.Broken)
	require.NotZero(t, ledger.Accounts)
	jobs, err := simulated.JobsKeeper.Invariants(ctx)
	require.NoError(t, err)
	require.Empty(t, jobs.Broken)
}

// requireLife wants that a run has seen nodes at work, votes of all sorts and money that moves. A run that is cut short may not.
func requireLife(t testing.TB, simulated *app.App) {
	t.Helper()

	ctx := simulated.NewContextLegacy(true, cmtproto.Header{Height: simulated.LastBlockHeight()})
	nodes, err := simulated.NodesKeeper.ExportGenesis(ctx)
	require.NoError(t, err)
	jobs, err := simulated.JobsKeeper.ExportGenesis(ctx)
	require.NoError(t, err)

	count := make(map[string]uint64)
	for _, node := range nodes.Nodes {
		if node.Activated {
			count["nodes that were ACTIVE"]++
		}
		if node.Class != 0 {
			count["nodes with a class"]++
		}
	}
	for _, slice := range jobs.Slices {
		if slice.Serving != nil {
			count["epochs of services that were paid"] += slice.Serving.PaidEpochs
		}
		if slice.Status == jobstypes.SLICE_STATUS_SETTLED {
			count["slices that are SETTLED"]++
		}
	}
	for _, job := range jobs.Jobs {
		if job.Status == jobstypes.JOB_STATUS_CLOSED {
			count["jobs that are CLOSED"]++
		}
		count["ufog paid to providers"] += job.Paid
		count["ufog paid to oracles"] += job.Fees
		count["ufog back to developers"] += job.Refunded
	}
	modules := simulated.SimulationManager().Modules
	attested := modules[len(modules)-1].(*simGrid).attested
	count["votes taken"] = uint64(attested.Votes)
	count["votes that were false"] = uint64(attested.False)
	count["votes refused beside others"] = uint64(attested.Refused)
	count["transactions of votes that failed"] = uint64(attested.Failed)

	for _, what := range []string{
		"nodes that were ACTIVE", "nodes with a class", "slices that are SETTLED", "jobs that are CLOSED", "ufog paid to providers",
		"ufog paid to oracles", "ufog back to developers", "votes taken", "votes that were false", "votes refused beside others",
		"transactions of votes that failed", "epochs of services that were paid",
	} {
		t.Logf("%s: %d", what, count[what])
		require.Positive(t, count[what], what)
	}
}
