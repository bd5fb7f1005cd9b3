// Package app wires the chain: the modules of the Cosmos SDK and those of this repository into one state machine.
//
// The wiring is by hand and split by job: keepers.go makes the keepers, modules.go lists the modules and all their orderings,
// ante.go checks and charges transactions, proposals.go bounds blocks, genesis.go sets defaults, upgrades.go migrates.
package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/gogoproto/proto"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/std"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	"github.com/cosmos/cosmos-sdk/version"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
)

var (
	_ runtime.AppI            = (*App)(nil)
	_ servertypes.Application = (*App)(nil)
)

// App is the state machine of the chain.
type App struct {
	*baseapp.BaseApp
	Keepers

	legacyAmino       *codec.LegacyAmino
	appCodec          codec.Codec
	txConfig          client.TxConfig
	interfaceRegistry codectypes.InterfaceRegistry

	keys    map[string]*storetypes.KVStoreKey
	objKeys map[string]*storetypes.ObjectStoreKey

	// ModuleManager runs the modules; BasicModuleManager knows their codecs and default genesis states.
	ModuleManager      *module.Manager
	BasicModuleManager module.BasicManager

	simulationManager *module.SimulationManager
	configurator      module.Configurator

	// close closes the databases the first time; the server asks for it twice, and a database fails the second time.
	close func() error
}

// New returns the app over db, loaded at its latest version if loadLatest is set. It panics if the wiring is wrong or the
// stored state cannot be loaded, since a node can do nothing without it.
func New(
	logger log.Logger,
	db dbm.DB,
	loadLatest bool,
	appOpts servertypes.AppOptions,
	baseAppOptions ...func(*baseapp.BaseApp),
) *App {
	app, err := newApp(logger, db, appOpts, baseAppOptions...)
	if err != nil {
		panic(fmt.Errorf("wire the app: %w", err))
	}

	if loadLatest {
		if err := app.LoadLatestVersion(); err != nil {
			panic(fmt.Errorf("load the latest version of the state: %w", err))
		}
	}

	return app
}

func newApp(
	logger log.Logger,
	db dbm.DB,
	appOpts servertypes.AppOptions,
	baseAppOptions ...func(*baseapp.BaseApp),
) (*App, error) {
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: signing.Options{
			AddressCodec:          address.NewBech32Codec(sdk.GetConfig().GetBech32AccountAddrPrefix()),
			ValidatorAddressCodec: address.NewBech32Codec(sdk.GetConfig().GetBech32ValidatorAddrPrefix()),
		},
	})
	if err != nil {
		return nil, err
	}

	app := &App{
		legacyAmino:       codec.NewLegacyAmino(),
		appCodec:          codec.NewProtoCodec(registry),
		interfaceRegistry: registry,
		keys:              storetypes.NewKVStoreKeys(kvStoreNames()...),
		objKeys:           storetypes.NewObjectStoreKeys(objectStoreNames()...),
	}
	app.txConfig = authtx.NewTxConfig(app.appCodec, authtx.DefaultSignModes)

	std.RegisterLegacyAminoCodec(app.legacyAmino)
	std.RegisterInterfaces(registry)

	app.BaseApp = baseapp.NewBaseApp(Name, logger, db, app.txConfig.TxDecoder(), baseAppOptions...)
	app.close = sync.OnceValue(app.BaseApp.Close)
	app.SetVersion(version.Version)
	app.SetInterfaceRegistry(registry)
	app.SetTxEncoder(app.txConfig.TxEncoder())

	if err := app.RegisterStreamingServices(appOpts, app.keys); err != nil {
		return nil, err
	}

	app.applyBlockExecutor(appOpts)
	app.makeKeepers(logger, appOpts)
	if err := app.registerModules(); err != nil {
		return nil, err
	}
	app.registerUpgrades()

	app.MountKVStores(app.keys)
	app.MountObjectStores(app.objKeys)

	app.SetAnteHandler(app.newAnteHandler())
	app.SetProcessProposal(app.processProposal)
	app.SetInitChainer(app.InitChainer)
	app.SetPreBlocker(app.PreBlocker)
	app.SetBeginBlocker(app.BeginBlocker)
	app.SetEndBlocker(app.EndBlocker)

	files, err := proto.MergedRegistry()
	if err != nil {
		return nil, err
	}
	if err := msgservice.ValidateProtoAnnotations(files); err != nil {
		return nil, err
	}

	return app, nil
}

// Close closes the databases.
func (app *App) Close() error { return app.close() }

// Name returns the name of the app.
func (app *App) Name() string { return app.BaseApp.Name() }

// PreBlocker runs before a block: upgrades first.
func (app *App) PreBlocker(ctx sdk.Context, _ *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
	return app.ModuleManager.PreBlock(ctx)
}

// BeginBlocker runs before the transactions of a block.
func (app *App) BeginBlocker(ctx sdk.Context) (sdk.BeginBlock, error) {
	return app.ModuleManager.BeginBlock(ctx)
}

// EndBlocker runs after the transactions of a block.
func (app *App) EndBlocker(ctx sdk.Context) (sdk.EndBlock, error) {
	return app.ModuleManager.EndBlock(ctx)
}

// InitChainer sets the state that a genesis file describes.
func (app *App) InitChainer(ctx sdk.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(req.AppStateBytes, &state); err != nil {
		return nil, fmt.Errorf("the app state of the genesis file is not a JSON object of modules: %w", err)
	}
	if len(state) == 0 {
		return nil, errors.New("the app state of the genesis file is empty; make one with `fogd init`")
	}

	if err := app.UpgradeKeeper.SetModuleVersionMap(ctx, app.ModuleManager.GetVersionMap()); err != nil {
		return nil, err
	}

	return app.ModuleManager.InitGenesis(ctx, app.appCodec, state)
}

// LoadHeight loads the state of a height that is still kept.
func (app *App) LoadHeight(height int64) error { return app.LoadVersion(height) }

// LegacyAmino returns the amino codec, which ledger devices still need.
func (app *App) LegacyAmino() *codec.LegacyAmino { return app.legacyAmino }

// AppCodec returns the codec of state and messages.
func (app *App) AppCodec() codec.Codec { return app.appCodec }

// InterfaceRegistry returns the registry of the messages and other types packed into Any.
func (app *App) InterfaceRegistry() codectypes.InterfaceRegistry { return app.interfaceRegistry }

// TxConfig returns how transactions are built, encoded and signed.
func (app *App) TxConfig() client.TxConfig { return app.txConfig }

// Configurator returns the configurator with which the modules registered services and migrations.
func (app *App) Configurator() module.Configurator { return app.configurator }

// SimulationManager returns the manager of the randomised simulation.
func (app *App) SimulationManager() *module.SimulationManager { return app.simulationManager }

// GetBaseApp returns the embedded base app, as the simulation asks for it.
func (app *App) GetBaseApp() *baseapp.BaseApp { return app.BaseApp }

// StoreKeys returns the keys of the persistent stores by name.
func (app *App) StoreKeys() map[string]*storetypes.KVStoreKey { return app.keys }
