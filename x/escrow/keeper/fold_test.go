package keeper_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"

	"github.com/foggrid/fogd/x/escrow/keeper"
	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

func endBlock(fn func(sdk.Context) error) func(context.Context) error {
	return func(ctx context.Context) error { return fn(sdk.UnwrapSDKContext(ctx)) }
}

func foldedTotals(t *testing.T, e *fixture.Env) types.Totals {
	t.Helper()
	res, err := e.Escrow.Invariants(e.Ctx)
	require.NoError(t, err)
	return res.Folded
}

// Several operations a transaction, several transactions a block, one of them rolled back, and an EndBlocker.
func TestFoldOverTransactions(t *testing.T) {
	e := funded(t)
	require.Equal(t, types.Totals{Balance: 100, Locked: 30}, foldedTotals(t, e))

	k := e.Escrow
	require.NoError(t, e.Tx(func(ctx sdk.Context) error {
		return errors.Join(k.Deposit(ctx, alice, aliceAccount, 50), k.Lock(ctx, aliceAccount, 10), k.Unlock(ctx, aliceAccount, 25))
	}))
	require.NoError(t, e.Tx(func(ctx sdk.Context) error {
		return errors.Join(k.Deposit(ctx, bob, bobAccount, 7), k.MoveLocked(ctx, aliceAccount, bobAccount, 5))
	}))
	refused := errors.New("refused")
	require.ErrorIs(t, e.Tx(func(ctx sdk.Context) error {
		return errors.Join(k.Deposit(ctx, bob, bobAccount, 400), k.Lock(ctx, bobAccount, 400), refused)
	}), refused)
	require.NoError(t, e.Tx(func(ctx sdk.Context) error { return k.Withdraw(ctx, aliceAccount, 20) }))
	require.Equal(t, types.Totals{Balance: 100, Locked: 30}, foldedTotals(t, e), "handlers do not touch the totals")

	ended := false
	e.OnEndBlock(endBlock(func(ctx sdk.Context) error {
		if ended {
			return nil
		}
		ended = true
		return errors.Join(k.Slash(ctx, aliceAccount, 3), k.Lock(ctx, bobAccount, 2))
	}))
	e.NextBlock()
	require.Equal(t, types.Totals{Balance: 100 + 50 + 7 - 20 - 3, Locked: 30 + 10 - 25 - 5 - 3 + 2}, foldedTotals(t, e))
	e.CheckInvariants()

	e.NextBlock()
	require.Equal(t, types.Totals{Balance: 134, Locked: 9}, foldedTotals(t, e), "a block without deltas changes nothing")
	require.NoError(t, k.EndBlock(e.Ctx))
	require.Equal(t, types.Totals{Balance: 134, Locked: 9}, foldedTotals(t, e))
	e.CheckInvariants()
}

func TestABreachPausesOutflowsAndTheChainGoesOn(t *testing.T) {
	e := funded(t)
	// No path of the code does this: coins leave the module account behind the ledger's back.
	require.NoError(t, e.Bank.BurnCoins(e.Ctx, types.ModuleName, sdk.NewCoins(types.Coin(1))))
	e.NextBlock()
	requireEvent(t, e, &types.EventInvariantBroken{Detail: "the module account holds 99ufog, the accounts together 100"})
	params, err := e.Escrow.Params(e.Ctx)
	require.NoError(t, err)
	require.True(t, params.OutflowsPaused)

	require.ErrorIs(t, e.Escrow.Withdraw(e.Ctx, aliceAccount, 1), types.ErrOutflowsPaused)
	require.NoError(t, e.Escrow.Move(e.Ctx, aliceAccount, bobAccount, 1), "settlement goes on")
	require.NoError(t, e.Escrow.Lock(e.Ctx, aliceAccount, 1))

	res, err := e.Escrow.Invariants(e.Ctx)
	require.NoError(t, err)
	require.False(t, res.Holds)
	require.Contains(t, strings.Join(res.Broken, "\n"), "the module account holds 99ufog")
	require.EqualValues(t, 99, res.ModuleBalance)

	_, err = keeper.NewMsgServer(e.Escrow).UpdateParams(e.Ctx, &types.MsgUpdateParams{Authority: e.Authority})
	require.NoError(t, err)
	e.NextBlock()
	require.NotEmpty(t, e.Events)
	require.ErrorIs(t, e.Escrow.Withdraw(e.Ctx, aliceAccount, 1), types.ErrOutflowsPaused, "resumed too early, paused again")

	e.Fund(alice, 1)
	require.NoError(t, e.Bank.SendCoinsFromAccountToModule(e.Ctx, alice, types.ModuleName, sdk.NewCoins(types.Coin(1))))
	e.NextBlock()
	e.CheckInvariants()
	params, err = e.Escrow.Params(e.Ctx)
	require.NoError(t, err)
	require.True(t, params.OutflowsPaused, "only governance resumes outflows")
}

func TestModuleAccountBeyondTheLedger(t *testing.T) {
	e := funded(t)
	for range 2 {
		e.Fund(bob, 1<<63)
		require.NoError(t, e.Bank.SendCoinsFromAccountToModule(e.Ctx, bob, types.ModuleName, sdk.NewCoins(types.Coin(1<<63))))
	}
	e.NextBlock()
	requireEvent(t, e, &types.EventInvariantBroken{Detail: "the module account holds 18446744073709551716ufog, more than the ledger can count"})
}

// Governance's own coins may sit in the module account: the ledger claims at most what is there.
func TestASurplusIsNoBreach(t *testing.T) {
	e := funded(t)
	require.NoError(t, e.Bank.SendCoinsFromAccountToModule(e.Ctx, bob, types.ModuleName, sdk.NewCoins(types.Coin(5))))
	e.NextBlock()
	require.Empty(t, e.Events)
	e.CheckInvariants()
	require.EqualValues(t, 105, e.ModuleBalance(types.ModuleName))
	require.Zero(t, e.ModuleBalance(govtypes.ModuleName))
}
