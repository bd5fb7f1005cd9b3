package app_test

import (
	"encoding/json"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
)

// A chain that starts from an export has the state of the chain that it was exported from.
func TestExportAndImport(t *testing.T) {
	chain := testapp.New(t)
	alice, bob := chain.Accounts[0], chain.Accounts[1]
	chain.Deliver(alice, send(alice, bob, 1_000))
	chain.SkipBlocks(2)

	exported, err := chain.App.ExportAppStateAndValidators(false, nil, nil)
	require.NoError(t, err)
	require.Equal(t, chain.Last().Height+1, exported.Height)
	require.Len(t, exported.Validators, 1)

	imported := app.New(log.NewNopLogger(), dbm.NewMemDB(), true, viper.New(), baseapp.SetChainID(testapp.ChainID))
	_, err = imported.InitChain(&abci.RequestInitChain{
		ChainId:         testapp.ChainID,
		Time:            chain.Last().Time,
		InitialHeight:   exported.Height,
		ConsensusParams: &exported.ConsensusParams,
		AppStateBytes:   exported.AppState,
	})
	require.NoError(t, err)
	_, err = imported.FinalizeBlock(&abci.RequestFinalizeBlock{Height: exported.Height, Time: chain.Last().Time})
	require.NoError(t, err)
	_, err = imported.Commit()
	require.NoError(t, err)

	// The imported chain has executed one block more: what an empty block changes differs, all else is the same.
	again, err := imported.ExportAppStateAndValidators(false, nil, nil)
	require.NoError(t, err)
	var want, got map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(exported.AppState, &want))
	require.NoError(t, json.Unmarshal(again.AppState, &got))
	changing := map[string]bool{"bank": true, "mint": true, "distribution": true, "slashing": true}
	for name := range want {
		if !changing[name] {
			require.JSONEq(t, string(want[name]), string(got[name]), name)
		}
	}
	require.Equal(t, len(want), len(got))
	require.Equal(t, exported.ConsensusParams, again.ConsensusParams)
}

func TestExportOfSomeModules(t *testing.T) {
	chain := testapp.New(t)

	exported, err := chain.App.ExportAppStateAndValidators(false, nil, []string{"escrow"})
	require.NoError(t, err)
	var state map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(exported.AppState, &state))
	require.Len(t, state, 1)
	require.Contains(t, state, "escrow")
}

func TestExportForZeroHeightIsRefused(t *testing.T) {
	chain := testapp.New(t)

	_, err := chain.App.ExportAppStateAndValidators(true, nil, nil)
	require.ErrorContains(t, err, "without --for-zero-height")
}
