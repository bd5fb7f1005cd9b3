package app

import (
	"github.com/spf13/cast"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/codec/address"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/server"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	authzkeeper "github.com/cosmos/cosmos-sdk/x/authz/keeper"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distrkeeper "github.com/cosmos/cosmos-sdk/x/distribution/keeper"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	evidencekeeper "github.com/cosmos/cosmos-sdk/x/evidence/keeper"
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantkeeper "github.com/cosmos/cosmos-sdk/x/feegrant/keeper"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1beta1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1beta1"
	mintkeeper "github.com/cosmos/cosmos-sdk/x/mint/keeper"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	escrowkeeper "github.com/foggrid/fogd/x/escrow/keeper"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobskeeper "github.com/foggrid/fogd/x/jobs/keeper"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodeskeeper "github.com/foggrid/fogd/x/nodes/keeper"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oraclekeeper "github.com/foggrid/fogd/x/oracle/keeper"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Keepers are the keepers of all modules.
type Keepers struct {
	AccountKeeper   authkeeper.AccountKeeper
	BankKeeper      bankkeeper.BaseKeeper
	StakingKeeper   *stakingkeeper.Keeper
	SlashingKeeper  slashingkeeper.Keeper
	MintKeeper      mintkeeper.Keeper
	DistrKeeper     distrkeeper.Keeper
	GovKeeper       *govkeeper.Keeper
	UpgradeKeeper   *upgradekeeper.Keeper
	EvidenceKeeper  *evidencekeeper.Keeper
	AuthzKeeper     authzkeeper.Keeper
	FeeGrantKeeper  feegrantkeeper.Keeper
	ConsensusKeeper consensuskeeper.Keeper

	EscrowKeeper escrowkeeper.Keeper
	OracleKeeper oraclekeeper.Keeper
	NodesKeeper  nodeskeeper.Keeper
	JobsKeeper   jobskeeper.Keeper
}

// modulePermissions are what a module account may do with coins; a module without an entry has no account.
func modulePermissions() map[string][]string {
	return map[string][]string{
		authtypes.FeeCollectorName:          nil,
		distrtypes.ModuleName:               nil,
		minttypes.ModuleName:                {authtypes.Minter},
		stakingtypes.BondedPoolName:         {authtypes.Burner, authtypes.Staking},
		stakingtypes.NotBondedPoolName:      {authtypes.Burner, authtypes.Staking},
		stakingtypes.KeyRotationFeePoolName: {authtypes.Burner},
		govtypes.ModuleName:                 {authtypes.Burner},
		escrowtypes.ModuleName:              {authtypes.Burner},
		oracletypes.ModuleName:              nil,
	}
}

// BlockedAddresses are the module accounts to which nobody can send coins directly: all of them but governance, which pays
// what a proposal says.
func BlockedAddresses() map[string]bool {
	blocked := make(map[string]bool)
	for name := range modulePermissions() {
		blocked[authtypes.NewModuleAddress(name).String()] = true
	}
	delete(blocked, Authority())

	return blocked
}

// Authority is the address of governance, which alone changes parameters and upgrades the chain.
func Authority() string { return authtypes.NewModuleAddress(govtypes.ModuleName).String() }

func (app *App) makeKeepers(logger log.Logger, appOpts servertypes.AppOptions) {
	var (
		cdc        = app.appCodec
		authority  = Authority()
		config     = sdk.GetConfig()
		accCodec   = address.NewBech32Codec(config.GetBech32AccountAddrPrefix())
		valCodec   = address.NewBech32Codec(config.GetBech32ValidatorAddrPrefix())
		consCodec  = address.NewBech32Codec(config.GetBech32ConsensusAddrPrefix())
		storeOf    = runtime.NewKVStoreService
		skipHeight = make(map[int64]bool)
	)
	for _, height := range cast.ToIntSlice(appOpts.Get(server.FlagUnsafeSkipUpgrades)) {
		skipHeight[int64(height)] = true
	}

	app.ConsensusKeeper = consensuskeeper.NewKeeper(cdc, storeOf(app.keys[consensustypes.StoreKey]), authority, runtime.EventService{})
	app.SetParamStore(app.ConsensusKeeper.ParamsStore)

	app.AccountKeeper = authkeeper.NewAccountKeeper(
		cdc, storeOf(app.keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount, modulePermissions(), accCodec,
		config.GetBech32AccountAddrPrefix(), authority,
	)
	// The object store collects what is sent virtually, fees above all, until the bank's end blocker credits it.
	app.BankKeeper = bankkeeper.NewBaseKeeper(
		cdc, storeOf(app.keys[banktypes.StoreKey]), app.AccountKeeper, BlockedAddresses(), authority, logger,
	).WithObjStoreKey(app.objKeys[banktypes.ObjectStoreKey])
	app.StakingKeeper = stakingkeeper.NewKeeper(
		cdc, storeOf(app.keys[stakingtypes.StoreKey]), app.AccountKeeper, app.BankKeeper, authority, valCodec, consCodec,
	)
	app.MintKeeper = mintkeeper.NewKeeper(
		cdc, storeOf(app.keys[minttypes.StoreKey]), app.StakingKeeper, app.AccountKeeper, app.BankKeeper,
		authtypes.FeeCollectorName, authority,
	)
	app.DistrKeeper = distrkeeper.NewKeeper(
		cdc, storeOf(app.keys[distrtypes.StoreKey]), app.AccountKeeper, app.BankKeeper, app.StakingKeeper,
		authtypes.FeeCollectorName, authority,
	)
	app.SlashingKeeper = slashingkeeper.NewKeeper(
		cdc, app.legacyAmino, storeOf(app.keys[slashingtypes.StoreKey]), app.StakingKeeper, authority,
	)
	app.StakingKeeper.SetHooks(stakingtypes.NewMultiStakingHooks(app.DistrKeeper.Hooks(), app.SlashingKeeper.Hooks()))

	app.AuthzKeeper = authzkeeper.NewKeeper(storeOf(app.keys[authzkeeper.StoreKey]), cdc, app.MsgServiceRouter(), app.AccountKeeper)
	app.FeeGrantKeeper = feegrantkeeper.NewKeeper(cdc, storeOf(app.keys[feegrant.StoreKey]), app.AccountKeeper)
	app.EvidenceKeeper = evidencekeeper.NewKeeper(
		cdc, storeOf(app.keys[evidencetypes.StoreKey]), app.StakingKeeper, app.SlashingKeeper, accCodec,
		runtime.ProvideCometInfoService(),
	)
	app.UpgradeKeeper = upgradekeeper.NewKeeper(
		skipHeight, storeOf(app.keys[upgradetypes.StoreKey]), cdc, cast.ToString(appOpts.Get(flags.FlagHome)), app.BaseApp, authority,
	)
	app.GovKeeper = govkeeper.NewKeeper(
		cdc, storeOf(app.keys[govtypes.StoreKey]), app.AccountKeeper, app.BankKeeper, app.DistrKeeper, app.MsgServiceRouter(),
		govtypes.DefaultConfig(), authority, govkeeper.NewDefaultCalculateVoteResultsAndVotingPower(app.StakingKeeper),
	)
	// Old-style proposals of pure text are still taken; without a router they would panic.
	legacyRouter := govv1beta1.NewRouter()
	legacyRouter.AddRoute(govtypes.RouterKey, govv1beta1.ProposalHandler)
	app.GovKeeper.SetLegacyRouter(legacyRouter)

	app.EscrowKeeper = escrowkeeper.NewKeeper(
		cdc, storeOf(app.keys[escrowtypes.StoreKey]), app.objKeys[escrowtypes.ObjectStoreKey], accCodec, app.AccountKeeper,
		app.BankKeeper, authority,
	)
	app.OracleKeeper = oraclekeeper.NewKeeper(
		cdc, storeOf(app.keys[oracletypes.StoreKey]), app.objKeys[oracletypes.ObjectStoreKey], accCodec, app.EscrowKeeper,
		app.MsgServiceRouter(), reportTypes(), authority,
	)

	reporter := app.OracleKeeper.Reporter()
	app.NodesKeeper = nodeskeeper.NewKeeper(
		cdc, storeOf(app.keys[nodestypes.StoreKey]), accCodec, app.EscrowKeeper, app.BankKeeper, app.OracleKeeper, reporter, authority,
	)
	app.JobsKeeper = jobskeeper.NewKeeper(
		cdc, storeOf(app.keys[jobstypes.StoreKey]), accCodec, app.EscrowKeeper, app.NodesKeeper, app.OracleKeeper, authority, reporter,
	)
	app.NodesKeeper.AddHooks(app.JobsKeeper)
}
