package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/types/module"
	genutilcli "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/foggrid/fogd/app"
)

// initCommand is the SDK's init with the consensus parameters of this chain, and with one possible denomination.
func initCommand(basics module.BasicManager, home string) *cobra.Command {
	cmd := genutilcli.InitCmd(basics, home)
	denomFlag := cmd.Flags().Lookup(genutilcli.FlagDefaultBondDenom)
	denomFlag.Hidden = true

	initNode := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if denom := denomFlag.Value.String(); denom != "" && denom != app.BondDenom {
			return fmt.Errorf("--%s is %q, but this chain has one denomination, %s; leave the flag out", genutilcli.FlagDefaultBondDenom, denom, app.BondDenom)
		}
		if err := initNode(cmd, args); err != nil {
			return err
		}

		return setConsensusParams(server.GetServerContextFromCmd(cmd).Config.GenesisFile())
	}

	return cmd
}

// setConsensusParams writes the chain's consensus parameters to a genesis file. The algorithm of the consensus keys stays as it
// was asked for.
func setConsensusParams(file string) error {
	genesis, err := genutiltypes.AppGenesisFromFile(file)
	if err != nil {
		return err
	}
	params := app.DefaultConsensusParams()
	params.Validator = genesis.Consensus.Params.Validator
	genesis.Consensus.Params = params

	return genesis.SaveAs(file)
}
