package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/keeper"
	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

func TestGenesisRoundTrip(t *testing.T) {
	e := funded(t)
	require.NoError(t, e.Escrow.Open(e.Ctx, nobody, bob, types.ACCOUNT_KIND_ORACLE))
	require.NoError(t, e.Escrow.Move(e.Ctx, aliceAccount, nobody, 40))
	e.NextBlock()
	exported, err := e.Escrow.ExportGenesis(e.Ctx)
	require.NoError(t, err)
	exported.Params.OutflowsPaused = true

	fresh := fixture.New(t)
	fresh.Fund(bob, 100)
	require.NoError(t, fresh.Bank.SendCoinsFromAccountToModule(fresh.Ctx, bob, types.ModuleName, sdk.NewCoins(types.Coin(100))))
	require.NoError(t, fresh.Escrow.InitGenesis(fresh.Ctx, *exported))
	again, err := fresh.Escrow.ExportGenesis(fresh.Ctx)
	require.NoError(t, err)
	require.Equal(t, exported, again)
	fresh.CheckInvariants()
	res, err := keeper.NewQueryServer(fresh.Escrow).Accounts(fresh.Ctx, &types.QueryAccountsRequest{Owner: fresh.Text(bob)})
	require.NoError(t, err)
	require.Len(t, res.Accounts, 2, "the index was rebuilt")
	fresh.NextBlock()
	fresh.CheckInvariants()
}

func TestGenesisMustBeCovered(t *testing.T) {
	e := funded(t)
	exported, err := e.Escrow.ExportGenesis(e.Ctx)
	require.NoError(t, err)
	fresh := fixture.New(t)
	err = fresh.Escrow.InitGenesis(fresh.Ctx, *exported)
	require.ErrorIs(t, err, types.ErrInvalidGenesis)
	require.ErrorContains(t, err, "the module account holds 0ufog, the accounts together 100")

	exported.Accounts[0].Kind = 0
	require.ErrorIs(t, fresh.Escrow.InitGenesis(fresh.Ctx, *exported), types.ErrInvalidGenesis)
}
