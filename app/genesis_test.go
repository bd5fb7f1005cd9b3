package app_test

import (
	"testing"

	dbm "github.com/cosmos/cosmos-db"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"

	"cosmossdk.io/log/v2"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/foggrid/fogd/app"
)

func TestDefaultGenesis(t *testing.T) {
	wired := app.New(log.NewNopLogger(), dbm.NewMemDB(), true, viper.New())
	cdc := wired.AppCodec()
	state := wired.DefaultGenesis()
	require.NoError(t, wired.BasicModuleManager.ValidateGenesis(cdc, wired.TxConfig(), state))

	var bank banktypes.GenesisState
	cdc.MustUnmarshalJSON(state[banktypes.ModuleName], &bank)
	require.Len(t, bank.DenomMetadata, 1)
	want := app.DenomMetadata()
	require.JSONEq(t, string(cdc.MustMarshalJSON(&want)), string(cdc.MustMarshalJSON(&bank.DenomMetadata[0])))
	require.NoError(t, bank.DenomMetadata[0].Validate())

	var staking stakingtypes.GenesisState
	cdc.MustUnmarshalJSON(state[stakingtypes.ModuleName], &staking)
	require.Equal(t, "ufog", staking.Params.BondDenom)
	require.Equal(t, "ufog", staking.Params.KeyRotationFee.Denom)

	var mint minttypes.GenesisState
	cdc.MustUnmarshalJSON(state[minttypes.ModuleName], &mint)
	require.Equal(t, "ufog", mint.Params.MintDenom)
	require.EqualValues(t, 31_557_600, mint.Params.BlocksPerYear)

	var gov govv1.GenesisState
	cdc.MustUnmarshalJSON(state[govtypes.ModuleName], &gov)
	require.Equal(t, "10000000ufog", sdk.Coins(gov.Params.MinDeposit).String())

	var slashing slashingtypes.GenesisState
	cdc.MustUnmarshalJSON(state[slashingtypes.ModuleName], &slashing)
	require.EqualValues(t, 10_000, slashing.Params.SignedBlocksWindow)
}

func TestDefaultConsensusParams(t *testing.T) {
	params := app.DefaultConsensusParams()
	require.NoError(t, params.ValidateBasic())
	require.EqualValues(t, app.MaxBlockGas, params.Block.MaxGas)

	// Evidence has to stay valid as long as stake can still be slashed, in time as in blocks.
	require.Equal(t, stakingtypes.DefaultUnbondingTime, params.Evidence.MaxAgeDuration)
	require.EqualValues(t, params.Evidence.MaxAgeDuration.Seconds(), params.Evidence.MaxAgeNumBlocks)
}

func TestModuleAccountsTakeNoCoins(t *testing.T) {
	blocked := app.BlockedAddresses()
	require.False(t, blocked[app.Authority()], "governance receives what a proposal pays")
	require.Len(t, blocked, 8)
}

func TestAddresses(t *testing.T) {
	require.Equal(t, "fog", sdk.GetConfig().GetBech32AccountAddrPrefix())
	require.Equal(t, "fogvaloper", sdk.GetConfig().GetBech32ValidatorAddrPrefix())
	require.Equal(t, "fogvalcons", sdk.GetConfig().GetBech32ConsensusAddrPrefix())
	require.EqualValues(t, 118, sdk.GetConfig().GetCoinType())
	require.Equal(t, "fog10d07y265gmmuvt4z0w9aw880jnsr700jz0a2us", app.Authority())
}
