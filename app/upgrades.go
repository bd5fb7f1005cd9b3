package app

import (
	"context"
	"slices"

	"github.com/cosmos/cosmos-sdk/types/module"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
)

// UpgradeV020 is the name of the plan that brings a chain from v0.1 to v0.2.
const UpgradeV020 = "v0.2.0"

// migration is what a plan with its name does, after the migrations of the modules themselves.
type migration struct {
	name    string
	migrate func(ctx context.Context) error
}

func (app *App) upgrades() []migration {
	return []migration{
		{name: UpgradeV020, migrate: app.addMilliFog},
	}
}

// registerUpgrades lets governance's plans find their handlers. A node whose binary lacks the handler of a plan stops at its height.
func (app *App) registerUpgrades() {
	for _, u := range app.upgrades() {
		handler := func(ctx context.Context, _ upgradetypes.Plan, from module.VersionMap) (module.VersionMap, error) {
			to, err := app.ModuleManager.RunMigrations(ctx, app.configurator, from)
			if err != nil {
				return nil, err
			}

			return to, u.migrate(ctx)
		}
		app.UpgradeKeeper.SetUpgradeHandler(u.name, handler)
	}
}

// addMilliFog adds the unit mfog to the stored description of the coin, as a new chain has it from genesis. What governance has
// written there meanwhile stays.
func (app *App) addMilliFog(ctx context.Context) error {
	metadata, found := app.BankKeeper.GetDenomMetaData(ctx, BondDenom)
	if !found {
		metadata = DenomMetadata()
	}

	unit := milliFog()
	at, exists := slices.BinarySearchFunc(metadata.DenomUnits, unit.Exponent, func(u *banktypes.DenomUnit, exponent uint32) int {
		return int(u.Exponent) - int(exponent)
	})
	if exists {
		return nil
	}
	metadata.DenomUnits = slices.Insert(metadata.DenomUnits, at, unit)
	if err := metadata.Validate(); err != nil {
		return err
	}
	app.BankKeeper.SetDenomMetaData(ctx, metadata)

	return nil
}
