package app_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
)

const votingPeriod = time.Minute

// withGenesisOfV01 is a genesis state as v0.1 wrote it: the coin has no unit mfog. The chain's owners have written a description
// of their own.
func withGenesisOfV01() testapp.Option {
	return testapp.WithGenesis(func(cdc codec.JSONCodec, state map[string]json.RawMessage) {
		var bank banktypes.GenesisState
		cdc.MustUnmarshalJSON(state[banktypes.ModuleName], &bank)
		units := bank.DenomMetadata[0].DenomUnits
		bank.DenomMetadata[0].DenomUnits = []*banktypes.DenomUnit{units[0], units[2]}
		bank.DenomMetadata[0].Description = "ours"
		state[banktypes.ModuleName] = cdc.MustMarshalJSON(&bank)

		var gov govv1.GenesisState
		cdc.MustUnmarshalJSON(state[govtypes.ModuleName], &gov)
		period, half := votingPeriod, votingPeriod/2
		gov.Params.VotingPeriod, gov.Params.ExpeditedVotingPeriod = &period, &half
		state[govtypes.ModuleName] = cdc.MustMarshalJSON(&gov)
	})
}

// The whole way of an upgrade: proposed, voted for, executed at its height, and the stored record is another one afterwards.
func TestUpgradeV020AddsTheUnit(t *testing.T) {
	chain := testapp.New(t, withGenesisOfV01())
	owner := chain.Accounts[0] // who delegated all the stake there is

	units := func() []string {
		metadata, found := chain.App.BankKeeper.GetDenomMetaData(chain.Context(), app.BondDenom)
		require.True(t, found)
		require.Equal(t, "ours", metadata.Description)
		var names []string
		for _, unit := range metadata.DenomUnits {
			names = append(names, unit.Denom)
		}

		return names
	}
	require.Equal(t, []string{"ufog", "FOG"}, units())

	// Submitted in the next block, voted for in the one after, passed in the third: the plan's height is the fourth.
	height := chain.Last().Height + 4
	proposal, err := govv1.NewMsgSubmitProposal(
		[]sdk.Msg{&upgradetypes.MsgSoftwareUpgrade{Authority: app.Authority(), Plan: upgradetypes.Plan{Name: app.UpgradeV020, Height: height}}},
		testapp.Ufog(10_000_000), owner.String(), "", "v0.2", "the unit mfog", false,
	)
	require.NoError(t, err)
	chain.Deliver(owner, proposal)
	chain.Deliver(owner, &govv1.MsgVote{ProposalId: 1, Voter: owner.String(), Option: govv1.OptionYes})
	chain.NextBlockAfter(votingPeriod)
	require.Equal(t, []string{"ufog", "FOG"}, units())

	require.Equal(t, height, chain.NextBlock().Height)
	require.Equal(t, []string{"ufog", "mfog", "FOG"}, units())
	done, err := chain.App.UpgradeKeeper.GetDoneHeight(chain.Context(), app.UpgradeV020)
	require.NoError(t, err)
	require.Equal(t, height, done)

	versions, err := chain.App.UpgradeKeeper.GetModuleVersionMap(chain.Context())
	require.NoError(t, err)
	require.Equal(t, chain.App.ModuleManager.GetVersionMap(), versions)
	chain.SkipBlocks(2)
}

// A chain that has the unit from genesis is left as it is.
func TestUpgradeV020OnANewChain(t *testing.T) {
	chain := testapp.New(t)
	ctx := chain.Context()
	before, _ := chain.App.BankKeeper.GetDenomMetaData(ctx, app.BondDenom)
	require.Equal(t, app.DenomMetadata(), before)

	plan := upgradetypes.Plan{Name: app.UpgradeV020, Height: ctx.BlockHeight()}
	require.NoError(t, chain.App.UpgradeKeeper.ApplyUpgrade(ctx, plan))
	after, _ := chain.App.BankKeeper.GetDenomMetaData(ctx, app.BondDenom)
	require.Equal(t, before, after)
}
