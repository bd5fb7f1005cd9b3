package app

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	reflectionv1 "cosmossdk.io/api/cosmos/reflection/v1"

	runtimeservices "github.com/cosmos/cosmos-sdk/runtime/services"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authsims "github.com/cosmos/cosmos-sdk/x/auth/simulation"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/auth/vesting"
	vestingtypes "github.com/cosmos/cosmos-sdk/x/auth/vesting/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	authzmodule "github.com/cosmos/cosmos-sdk/x/authz/module"
	"github.com/cosmos/cosmos-sdk/x/bank"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distr "github.com/cosmos/cosmos-sdk/x/distribution"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	"github.com/cosmos/cosmos-sdk/x/evidence"
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantmodule "github.com/cosmos/cosmos-sdk/x/feegrant/module"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/cosmos/cosmos-sdk/x/gov"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	"github.com/cosmos/cosmos-sdk/x/mint"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	"github.com/cosmos/cosmos-sdk/x/slashing"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/cosmos/cosmos-sdk/x/upgrade"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/foggrid/fogd/x/escrow"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	"github.com/foggrid/fogd/x/nodes"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	"github.com/foggrid/fogd/x/oracle"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// newModuleManager returns the manager of all modules of the chain.
func (app *App) newModuleManager() *module.Manager {
	cdc := app.appCodec

	return module.NewManager(
		genutil.NewAppModule(app.AccountKeeper, app.StakingKeeper, app, app.txConfig),
		auth.NewAppModule(cdc, app.AccountKeeper, authsims.RandomGenesisAccounts),
		vesting.NewAppModule(app.AccountKeeper, app.BankKeeper),
		bank.NewAppModule(cdc, app.BankKeeper, app.AccountKeeper),
		staking.NewAppModule(cdc, app.StakingKeeper, app.AccountKeeper, app.BankKeeper),
		slashing.NewAppModule(cdc, app.SlashingKeeper, app.AccountKeeper, app.BankKeeper, app.StakingKeeper, app.interfaceRegistry),
		distr.NewAppModule(cdc, app.DistrKeeper, app.AccountKeeper, app.BankKeeper, app.StakingKeeper),
		mint.NewAppModule(cdc, app.MintKeeper, app.AccountKeeper, nil),
		gov.NewAppModule(cdc, app.GovKeeper, app.AccountKeeper, app.BankKeeper),
		consensus.NewAppModule(cdc, app.ConsensusKeeper),
		upgrade.NewAppModule(app.UpgradeKeeper, app.AccountKeeper.AddressCodec()),
		evidence.NewAppModule(*app.EvidenceKeeper),
		authzmodule.NewAppModule(cdc, app.AuthzKeeper, app.AccountKeeper, app.BankKeeper, app.interfaceRegistry),
		feegrantmodule.NewAppModule(cdc, app.AccountKeeper, app.BankKeeper, app.FeeGrantKeeper, app.interfaceRegistry),

		escrow.NewAppModule(app.EscrowKeeper, app.AccountKeeper.AddressCodec()),
		oracle.NewAppModule(app.OracleKeeper, app.AccountKeeper.AddressCodec()),
		nodes.NewAppModule(app.NodesKeeper, app.AccountKeeper.AddressCodec()),
		jobs.NewAppModule(app.JobsKeeper),
	)
}

// orderPreBlockers: an upgrade comes before everything that could read what it migrates.
func orderPreBlockers() []string {
	return []string{upgradetypes.ModuleName, authtypes.ModuleName}
}

// orderBeginBlockers: new coins first, then their distribution; slashing after distribution, so that a slashed validator's
// pool is already empty.
func orderBeginBlockers() []string {
	return []string{
		minttypes.ModuleName,
		distrtypes.ModuleName,
		slashingtypes.ModuleName,
		evidencetypes.ModuleName,
		stakingtypes.ModuleName,
		authz.ModuleName,
	}
}

// orderEndBlockers: bank first, so that what was sent virtually in the block lies in its account before any other end blocker
// looks at balances. Of ours the oracles first, whose reports change nodes and jobs; escrow last, which checks what all of them
// did to the ledger.
func orderEndBlockers() []string {
	return []string{
		banktypes.ModuleName,
		govtypes.ModuleName,
		stakingtypes.ModuleName,
		feegrant.ModuleName,
		oracletypes.ModuleName,
		nodestypes.ModuleName,
		jobstypes.ModuleName,
		escrowtypes.ModuleName,
	}
}

// orderGenesis: accounts and balances first; genutil after staking, whose pools its transactions fill, and after auth, whose
// parameters they are checked with; escrow before those whose money it holds.
func orderGenesis() []string {
	return []string{
		consensustypes.ModuleName,
		authtypes.ModuleName,
		banktypes.ModuleName,
		distrtypes.ModuleName,
		stakingtypes.ModuleName,
		slashingtypes.ModuleName,
		govtypes.ModuleName,
		minttypes.ModuleName,
		genutiltypes.ModuleName,
		evidencetypes.ModuleName,
		authz.ModuleName,
		feegrant.ModuleName,
		upgradetypes.ModuleName,
		vestingtypes.ModuleName,
		escrowtypes.ModuleName,
		oracletypes.ModuleName,
		nodestypes.ModuleName,
		jobstypes.ModuleName,
	}
}

func (app *App) registerModules() error {
	app.ModuleManager = app.newModuleManager()
	app.ModuleManager.SetOrderPreBlockers(orderPreBlockers()...)
	app.ModuleManager.SetOrderBeginBlockers(orderBeginBlockers()...)
	app.ModuleManager.SetOrderEndBlockers(orderEndBlockers()...)
	app.ModuleManager.SetOrderInitGenesis(orderGenesis()...)
	app.ModuleManager.SetOrderExportGenesis(orderGenesis()...)

	app.BasicModuleManager = module.NewBasicManagerFromManager(app.ModuleManager, basicOverrides(app.ModuleManager))
	app.BasicModuleManager.RegisterLegacyAminoCodec(app.legacyAmino)
	app.BasicModuleManager.RegisterInterfaces(app.interfaceRegistry)

	app.configurator = module.NewConfigurator(app.appCodec, app.MsgServiceRouter(), app.GRPCQueryRouter())
	if err := app.ModuleManager.RegisterServices(app.configurator); err != nil {
		return err
	}
	// These two let a client that knows nothing of this chain build its commands.
	autocliv1.RegisterQueryServer(app.GRPCQueryRouter(), runtimeservices.NewAutoCLIQueryService(app.ModuleManager.Modules))
	reflection, err := runtimeservices.NewReflectionService()
	if err != nil {
		return err
	}
	reflectionv1.RegisterReflectionServiceServer(app.GRPCQueryRouter(), reflection)

	app.simulationManager = module.NewSimulationManagerFromAppModules(app.ModuleManager.Modules, nil)
	app.simulationManager.RegisterStoreDecoders()

	return nil
}
