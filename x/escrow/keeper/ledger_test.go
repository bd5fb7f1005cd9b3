package keeper_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"

	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

// Each refused operation leaves both accounts, the wallets and the supply as they were, even without a rollback.
func TestRefusedOperationsChangeNothing(t *testing.T) {
	type op func(*fixture.Env, sdk.Context) error
	for name, tc := range map[string]struct {
		op  op
		err error
	}{
		"deposit nothing":         {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Deposit(ctx, alice, aliceAccount, 0) }, types.ErrZeroAmount},
		"deposit nowhere":         {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Deposit(ctx, alice, nobody, 1) }, types.ErrAccountNotFound},
		"deposit more than owned": {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Deposit(ctx, alice, aliceAccount, 1001) }, sdkerrors.ErrInsufficientFunds},
		"deposit overflows": {func(e *fixture.Env, ctx sdk.Context) error {
			return e.Escrow.Deposit(ctx, alice, aliceAccount, math.MaxUint64)
		}, types.ErrOverflow},
		"withdraw nothing":  {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Withdraw(ctx, aliceAccount, 0) }, types.ErrZeroAmount},
		"withdraw nowhere":  {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Withdraw(ctx, nobody, 1) }, types.ErrAccountNotFound},
		"withdraw locked":   {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Withdraw(ctx, aliceAccount, 71) }, types.ErrInsufficientFree},
		"lock nowhere":      {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Lock(ctx, nobody, 1) }, types.ErrAccountNotFound},
		"lock too much":     {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Lock(ctx, aliceAccount, 71) }, types.ErrInsufficientFree},
		"lock overflows":    {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Lock(ctx, aliceAccount, math.MaxUint64) }, types.ErrInsufficientFree},
		"unlock nowhere":    {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Unlock(ctx, nobody, 1) }, types.ErrAccountNotFound},
		"unlock too much":   {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Unlock(ctx, aliceAccount, 31) }, types.ErrInsufficientLocked},
		"move from nowhere": {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Move(ctx, nobody, aliceAccount, 1) }, types.ErrAccountNotFound},
		"move to nowhere":   {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Move(ctx, aliceAccount, nobody, 1) }, types.ErrAccountNotFound},
		"move to itself":    {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Move(ctx, aliceAccount, aliceAccount, 1) }, types.ErrSameAccount},
		"move locked":       {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Move(ctx, aliceAccount, bobAccount, 71) }, types.ErrInsufficientFree},
		"move unlocked": {func(e *fixture.Env, ctx sdk.Context) error {
			return e.Escrow.MoveLocked(ctx, aliceAccount, bobAccount, 31)
		}, types.ErrInsufficientLocked},
		"move locked nowhere": {func(e *fixture.Env, ctx sdk.Context) error {
			return e.Escrow.MoveLocked(ctx, aliceAccount, nobody, 30)
		}, types.ErrAccountNotFound},
		"slash nowhere": {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Slash(ctx, nobody, 1) }, types.ErrAccountNotFound},
		"slash free":    {func(e *fixture.Env, ctx sdk.Context) error { return e.Escrow.Slash(ctx, aliceAccount, 31) }, types.ErrInsufficientLocked},
	} {
		t.Run(name, func(t *testing.T) {
			e := funded(t)
			require.ErrorIs(t, tc.op(e, e.Ctx), tc.err)
			requireAccount(t, e, aliceAccount, 100, 30)
			requireAccount(t, e, bobAccount, 0, 0)
			require.EqualValues(t, 1000, e.Wallet(alice))
			e.NextBlock()
			e.CheckInvariants()
			require.EqualValues(t, 100, e.ModuleBalance(types.ModuleName))
			require.EqualValues(t, 2100, e.Supply())
		})
	}
}

func TestNothingIsANoOp(t *testing.T) {
	e := funded(t)
	require.NoError(t, e.Escrow.Lock(e.Ctx, aliceAccount, 0))
	require.NoError(t, e.Escrow.Unlock(e.Ctx, aliceAccount, 0))
	require.NoError(t, e.Escrow.Move(e.Ctx, aliceAccount, bobAccount, 0))
	require.NoError(t, e.Escrow.MoveLocked(e.Ctx, aliceAccount, bobAccount, 0))
	require.NoError(t, e.Escrow.Slash(e.Ctx, aliceAccount, 0))
	requireAccount(t, e, aliceAccount, 100, 30)
	e.NextBlock()
	e.CheckInvariants()
}

func TestDepositAndWithdraw(t *testing.T) {
	e := funded(t)
	require.NoError(t, e.Tx(func(ctx sdk.Context) error { return e.Escrow.Deposit(ctx, bob, aliceAccount, 5) }))
	requireEvent(t, e, &types.EventDeposited{
		Account: aliceAccount.Bech32("acct"), Depositor: e.Text(bob), Kind: types.ACCOUNT_KIND_PROVIDER, Amount: 5,
	})
	requireAccount(t, e, aliceAccount, 105, 30)
	require.EqualValues(t, 995, e.Wallet(bob))

	require.NoError(t, e.Tx(func(ctx sdk.Context) error { return e.Escrow.Withdraw(ctx, aliceAccount, 75) }))
	requireEvent(t, e, &types.EventWithdrawn{Account: aliceAccount.Bech32("acct"), Owner: e.Text(alice), Amount: 75})
	requireAccount(t, e, aliceAccount, 30, 30)
	require.EqualValues(t, 1075, e.Wallet(alice), "coins go to the owner, whoever deposited them")
	e.NextBlock()
	e.CheckInvariants()
	require.EqualValues(t, 30, e.ModuleBalance(types.ModuleName))
}

// Coins that came in with a virtual send of this block are there from the next block on.
func TestWithdrawOfCoinsOfTheSameBlock(t *testing.T) {
	e := fixture.New(t)
	e.Fund(alice, 10)
	require.NoError(t, e.Tx(func(ctx sdk.Context) error {
		require.NoError(t, e.Escrow.Open(ctx, aliceAccount, alice, types.ACCOUNT_KIND_PROVIDER))
		return e.Escrow.Deposit(ctx, alice, aliceAccount, 10)
	}))
	withdraw := func(ctx sdk.Context) error { return e.Escrow.Withdraw(ctx, aliceAccount, 10) }
	err := e.Tx(withdraw)
	require.ErrorIs(t, err, sdkerrors.ErrInsufficientFunds)
	require.ErrorContains(t, err, "from the next one on")
	requireAccount(t, e, aliceAccount, 10, 0)
	e.NextBlock()
	require.NoError(t, e.Tx(withdraw))
	require.EqualValues(t, 10, e.Wallet(alice))
	e.NextBlock()
	e.CheckInvariants()
}

// The bank credits virtual sends before any other EndBlocker: what governance deposits after that must not be lost.
func TestDepositInEndBlock(t *testing.T) {
	e := funded(t)
	gov := authtypes.NewModuleAddress(govtypes.ModuleName)
	e.Fund(gov, 50)
	done := false
	e.OnEndBlock(endBlock(func(ctx sdk.Context) error {
		if done {
			return nil
		}
		done = true
		return e.Escrow.Deposit(ctx, gov, aliceAccount, 50)
	}))
	e.NextBlock()
	requireAccount(t, e, aliceAccount, 150, 30)
	require.EqualValues(t, 150, e.ModuleBalance(types.ModuleName))
	e.NextBlock()
	e.CheckInvariants()
}

// Index −1 is a delivery after which no EndBlock comes: neither coins nor deltas may wait for one.
func TestDeliveryOutsideOfABlock(t *testing.T) {
	e := funded(t)
	ctx := e.Ctx.WithTxIndex(-1).WithTxBytes([]byte("tx"))
	require.NoError(t, e.Escrow.Deposit(ctx, bob, bobAccount, 50))
	require.NoError(t, e.Escrow.Lock(ctx, bobAccount, 20))
	require.EqualValues(t, 150, e.ModuleBalance(types.ModuleName))
	e.CheckInvariants()
	require.NoError(t, e.Escrow.Withdraw(ctx, bobAccount, 30))
	e.CheckInvariants()
	e.NextBlock()
	e.CheckInvariants()
}

func TestLockAndMove(t *testing.T) {
	e := funded(t)
	require.NoError(t, e.Tx(func(ctx sdk.Context) error { return e.Escrow.Lock(ctx, aliceAccount, 70) }))
	requireAccount(t, e, aliceAccount, 100, 100)
	require.NoError(t, e.Tx(func(ctx sdk.Context) error { return e.Escrow.Unlock(ctx, aliceAccount, 60) }))
	requireAccount(t, e, aliceAccount, 100, 40)

	require.NoError(t, e.Tx(func(ctx sdk.Context) error { return e.Escrow.Move(ctx, aliceAccount, bobAccount, 60) }))
	requireEvent(t, e, &types.EventMoved{From: aliceAccount.Bech32("acct"), To: bobAccount.Bech32("acct"), Amount: 60})
	requireAccount(t, e, aliceAccount, 40, 40)
	requireAccount(t, e, bobAccount, 60, 0)

	require.NoError(t, e.Tx(func(ctx sdk.Context) error { return e.Escrow.MoveLocked(ctx, aliceAccount, bobAccount, 15) }))
	requireEvent(t, e, &types.EventMoved{From: aliceAccount.Bech32("acct"), To: bobAccount.Bech32("acct"), Amount: 15})
	requireAccount(t, e, aliceAccount, 25, 25)
	requireAccount(t, e, bobAccount, 75, 0)
	e.NextBlock()
	e.CheckInvariants()
}

func TestSlashBurns(t *testing.T) {
	e := funded(t)
	slashed := false
	e.OnEndBlock(endBlock(func(ctx sdk.Context) error {
		if slashed {
			return nil
		}
		slashed = true
		return e.Escrow.Slash(ctx, aliceAccount, 12)
	}))
	e.NextBlock()
	requireEvent(t, e, &types.EventSlashed{Account: aliceAccount.Bech32("acct"), Amount: 12})
	requireAccount(t, e, aliceAccount, 88, 18)
	require.EqualValues(t, 2088, e.Supply())
	require.EqualValues(t, 88, e.ModuleBalance(types.ModuleName))
	e.CheckInvariants()
}
