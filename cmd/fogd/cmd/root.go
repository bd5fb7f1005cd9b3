// Package cmd is the command tree of fogd.
package cmd

import (
	"fmt"
	"os"

	dbm "github.com/cosmos/cosmos-db"
	"github.com/spf13/cobra"
	"github.com/spf13/viper"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/client"
	clientconfig "github.com/cosmos/cosmos-sdk/client/config"
	"github.com/cosmos/cosmos-sdk/server"
	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/version"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/foggrid/fogd/app"
)

// envPrefix starts the environment variables that stand for flags: FOGD_HOME for --home.
const envPrefix = "FOGD"

// Run executes the command line of the process and returns its exit code.
func Run() int {
	if version.AppName == "" {
		version.AppName = app.Name
	}
	sdk.GetConfig().Seal()

	root, err := NewRoot()
	if err == nil {
		err = svrcmd.Execute(root, envPrefix, app.DefaultNodeHome())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return 1
	}

	return 0
}

// NewRoot returns the root command with all others below it.
func NewRoot() (*cobra.Command, error) {
	// The commands need the codecs and the services of an app; this one never runs a block.
	wired := app.New(log.NewNopLogger(), dbm.NewMemDB(), true, viper.New())

	clientCtx := client.Context{}.
		WithCodec(wired.AppCodec()).
		WithInterfaceRegistry(wired.InterfaceRegistry()).
		WithLegacyAmino(wired.LegacyAmino()).
		WithTxConfig(wired.TxConfig()).
		WithInput(os.Stdin).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithHomeDir(app.DefaultNodeHome()).
		WithViper(envPrefix)

	root := &cobra.Command{
		Use:           app.Name,
		Short:         "Daemon and client of the fog chain",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.OutOrStdout())
			cmd.SetErr(cmd.ErrOrStderr())

			ctx := clientCtx.WithCmdContext(cmd.Context())
			ctx, err := client.ReadPersistentCommandFlags(ctx, cmd.Flags())
			if err != nil {
				return err
			}
			if ctx, err = clientconfig.ReadFromClientConfig(ctx); err != nil {
				return err
			}
			if err := client.SetCmdClientContextHandler(ctx, cmd); err != nil {
				return err
			}

			if err := ensureAppConfig(ctx.HomeDir); err != nil {
				return err
			}

			return server.InterceptConfigsPreRunHandler(cmd, "", nil, cometConfig())
		},
	}
	addCommands(root, wired)

	options := wired.AutoCLIOptions()
	options.ClientCtx = clientCtx
	if err := options.EnhanceRootCommand(root); err != nil {
		return nil, err
	}

	return root, nil
}
