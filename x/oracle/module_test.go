package oracle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/baseapp"

	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/oracle"
	"github.com/foggrid/fogd/x/oracle/keeper"
	"github.com/foggrid/fogd/x/oracle/types"
)

func newModule(t *testing.T) (*fixture.Env, oracle.AppModule) {
	e := fixture.New(t, fixture.WithStores(types.StoreKey), fixture.WithObjectStores(types.ObjectStoreKey))
	k := keeper.NewKeeper(e.Codec, e.StoreService(types.StoreKey), e.ObjectStoreKey(types.ObjectStoreKey), e.Addresses, e.Escrow,
		baseapp.NewMsgServiceRouter(), nil, e.Authority)
	return e, oracle.NewAppModule(k, e.Addresses)
}

func TestGenesisAsJSON(t *testing.T) {
	e, m := newModule(t)
	defaults := m.DefaultGenesis(e.Codec)
	require.NoError(t, m.ValidateGenesis(e.Codec, nil, defaults))
	m.InitGenesis(e.Ctx, e.Codec, defaults)
	require.JSONEq(t, string(defaults), string(m.ExportGenesis(e.Ctx, e.Codec)))

	require.ErrorContains(t, m.ValidateGenesis(e.Codec, nil, []byte(`{"params":7}`)), types.ModuleName)
	g := types.DefaultGenesis()
	g.Params.Epoch = 0
	require.ErrorIs(t, m.ValidateGenesis(e.Codec, nil, e.Codec.MustMarshalJSON(g)), types.ErrInvalidField)
	require.Panics(t, func() { m.InitGenesis(e.Ctx, e.Codec, e.Codec.MustMarshalJSON(g)) })
}

// Every message and query has a command, governance's as a proposal.
func TestEveryMethodHasACommand(t *testing.T) {
	_, m := newModule(t)
	opts := m.AutoCLIOptions()
	commands := map[string]bool{}
	for _, c := range append(opts.Tx.RpcCommandOptions, opts.Query.RpcCommandOptions...) {
		require.NotEmpty(t, c.Short, c.RpcMethod)
		commands[c.RpcMethod] = c.GovProposal
	}
	for method, proposal := range map[string]bool{
		"Bond": false, "Unbond": false, "SetFeeder": false, "Attest": false, "Unjail": false,
		"AdmitOracle": true, "RemoveOracle": true, "PunishOracle": true, "UpdateParams": true,
		"Params": false, "Oracles": false, "Oracle": false, "Rounds": false, "Round": false,
	} {
		got, ok := commands[method]
		require.True(t, ok, method)
		require.Equal(t, proposal, got, method)
	}
}
