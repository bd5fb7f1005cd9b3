package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	dbm "github.com/cosmos/cosmos-db"
	"github.com/spf13/cobra"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/server"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"

	"github.com/foggrid/fogd/app"
)

// createApp makes the app of a node from its configuration.
func createApp(logger log.Logger, db dbm.DB, appOpts servertypes.AppOptions) servertypes.Application {
	return app.New(logger, db, true, appOpts, server.DefaultBaseappOptions(appOpts)...)
}

// exportApp returns the state at a height, or at the last one if height is -1, as a genesis state.
func exportApp(
	logger log.Logger,
	db dbm.DB,
	height int64,
	forZeroHeight bool,
	jailAllowedAddrs []string,
	appOpts servertypes.AppOptions,
	modulesToExport []string,
) (servertypes.ExportedApp, error) {
	latest := height == -1
	exported := app.New(logger, db, latest, appOpts)
	if !latest {
		if err := exported.LoadHeight(height); err != nil {
			return servertypes.ExportedApp{}, fmt.Errorf("load the state at height %d: %w", height, err)
		}
	}

	return exported.ExportAppStateAndValidators(forZeroHeight, jailAllowedAddrs, modulesToExport)
}

// needsGenesis makes a command and those below it fail with advice where the node has no genesis file. Without it the SDK
// panics, since it takes the chain id from there.
func needsGenesis(cmd *cobra.Command) *cobra.Command {
	for _, sub := range cmd.Commands() {
		needsGenesis(sub)
	}
	if cmd.RunE == nil {
		return cmd
	}

	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		file := server.GetServerContextFromCmd(cmd).Config.GenesisFile()
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no genesis file %s; make one with `%s init`, or name the node's folder with --home", file, app.Name)
		}
		if before == nil {
			return nil
		}

		return before(cmd, args)
	}

	return cmd
}
