package app_test

import (
	"encoding/json"
	"flag"
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
)

// The full simulation is -sim.blocks=100 -sim.ops=200.
var (
	simBlocks = flag.Int("sim.blocks", 10, "blocks to simulate")
	simOps    = flag.Int("sim.ops", 60, "operations in a block")
	simSeed   = flag.Int64("sim.seed", 7, "seed of the simulation")
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
	simsx.RunWithSeed(t, config, newSimulated, simState, *simSeed, nil, after)
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

// Random operations leave a state whose export gives the same state again.
func TestSimulationExportAndImport(t *testing.T) {
	simulate(t, func(t testing.TB, run simsx.TestInstance[*app.App], _ []simtypes.Account) {
		t.Helper()

		requireInvariants(t, run.App)
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
	})
}

// The same seed gives the same state.
func TestSimulationIsDeterministic(t *testing.T) {
	var hashes [][]byte
	for range 2 {
		simulate(t, func(_ testing.TB, run simsx.TestInstance[*app.App], _ []simtypes.Account) {
			hashes = append(hashes, run.App.LastCommitID().Hash)
		})
	}
	require.Equal(t, hashes[0], hashes[1])
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
