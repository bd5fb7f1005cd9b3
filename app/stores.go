package app

import (
	"maps"
	"slices"

	"github.com/cosmos/cosmos-sdk/baseapp/blockexec"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	authzkeeper "github.com/cosmos/cosmos-sdk/x/authz/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

func kvStoreNames() []string {
	return []string{
		authtypes.StoreKey,
		authzkeeper.StoreKey,
		banktypes.StoreKey,
		consensustypes.StoreKey,
		distrtypes.StoreKey,
		evidencetypes.StoreKey,
		feegrant.StoreKey,
		govtypes.StoreKey,
		minttypes.StoreKey,
		slashingtypes.StoreKey,
		stakingtypes.StoreKey,
		upgradetypes.StoreKey,
		escrowtypes.StoreKey,
		jobstypes.StoreKey,
		nodestypes.StoreKey,
		oracletypes.StoreKey,
	}
}

func objectStoreNames() []string {
	return []string{
		banktypes.ObjectStoreKey,
		escrowtypes.ObjectStoreKey,
		oracletypes.ObjectStoreKey,
	}
}

// applyBlockExecutor installs the executor that app.toml names, sequential or block-stm. Both give the same state.
func (app *App) applyBlockExecutor(appOpts servertypes.AppOptions) {
	var stores []storetypes.StoreKey
	for _, name := range slices.Sorted(maps.Keys(app.keys)) {
		stores = append(stores, app.keys[name])
	}
	for _, name := range slices.Sorted(maps.Keys(app.objKeys)) {
		stores = append(stores, app.objKeys[name])
	}

	blockexec.Apply(app.BaseApp, appOpts, stores, app.txConfig.TxDecoder(), func(storetypes.MultiStore) string { return BondDenom })
}
