package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/x/escrow/keeper"
	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

func deposit(e *fixture.Env, msg *types.MsgDeposit) (res *types.MsgDepositResponse, err error) {
	err = e.Tx(func(ctx sdk.Context) error {
		res, err = keeper.NewMsgServer(e.Escrow).Deposit(ctx, msg)
		return err
	})
	return res, err
}

func withdraw(e *fixture.Env, msg *types.MsgWithdraw) (res *types.MsgWithdrawResponse, err error) {
	err = e.Tx(func(ctx sdk.Context) error {
		res, err = keeper.NewMsgServer(e.Escrow).Withdraw(ctx, msg)
		return err
	})
	return res, err
}

func TestMsgDeposit(t *testing.T) {
	e := fixture.New(t)
	e.Fund(alice, 100)
	e.Fund(bob, 100)
	own := aliceAccount.Bech32("acct")

	_, err := deposit(e, &types.MsgDeposit{Depositor: e.Text(bob), Account: own, Amount: types.Coin(5)})
	require.ErrorIs(t, err, types.ErrAccountNotFound, "nobody opens an account for another")
	_, err = deposit(e, &types.MsgDeposit{Depositor: e.Text(alice), Amount: types.Coin(0)})
	require.ErrorIs(t, err, types.ErrInvalidField)
	_, err = deposit(e, &types.MsgDeposit{Depositor: e.Text(alice), Amount: types.Coin(101)})
	require.ErrorIs(t, err, sdkerrors.ErrInsufficientFunds)
	_, err = e.Escrow.Account(e.Ctx, aliceAccount)
	require.ErrorIs(t, err, types.ErrAccountNotFound, "the refused deposit did not open it")

	res, err := deposit(e, &types.MsgDeposit{Depositor: e.Text(alice), Amount: types.Coin(10)})
	require.NoError(t, err)
	require.Equal(t, &types.MsgDepositResponse{Account: own, Balance: 10}, res)
	res, err = deposit(e, &types.MsgDeposit{Depositor: e.Text(alice), Amount: types.Coin(10)})
	require.NoError(t, err)
	require.EqualValues(t, 20, res.Balance)
	res, err = deposit(e, &types.MsgDeposit{Depositor: e.Text(bob), Account: own, Amount: types.Coin(5)})
	require.NoError(t, err)
	require.Equal(t, &types.MsgDepositResponse{Account: own, Balance: 25}, res)

	account, err := e.Escrow.Account(e.Ctx, aliceAccount)
	require.NoError(t, err)
	require.Equal(t, types.Account{Id: own, Owner: e.Text(alice), Kind: types.ACCOUNT_KIND_PROVIDER, Balance: 25}, account)
	e.NextBlock()
	e.CheckInvariants()
}

func TestMsgWithdraw(t *testing.T) {
	e := funded(t)
	own := aliceAccount.Bech32("acct")
	owner := e.Text(alice)
	for name, tc := range map[string]struct {
		msg types.MsgWithdraw
		err error
	}{
		"locked":      {types.MsgWithdraw{Owner: owner, Amount: types.Coin(71)}, types.ErrInsufficientFree},
		"of another":  {types.MsgWithdraw{Owner: e.Text(bob), Account: own, Amount: types.Coin(1)}, types.ErrNotOwner},
		"nothing":     {types.MsgWithdraw{Owner: e.Text(bob), Amount: types.Coin(0)}, types.ErrInsufficientFree},
		"no account":  {types.MsgWithdraw{Owner: owner, Account: nobody.Bech32("acct"), Amount: types.Coin(1)}, types.ErrAccountNotFound},
		"field":       {types.MsgWithdraw{Owner: owner, Account: "acct", Amount: types.Coin(1)}, types.ErrInvalidID},
		"other denom": {types.MsgWithdraw{Owner: owner, Amount: sdk.NewInt64Coin("stake", 1)}, types.ErrInvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := withdraw(e, &tc.msg)
			require.ErrorIs(t, err, tc.err)
			requireAccount(t, e, aliceAccount, 100, 30)
		})
	}
	res, err := withdraw(e, &types.MsgWithdraw{Owner: owner, Amount: types.Coin(1)})
	require.NoError(t, err)
	require.Equal(t, &types.MsgWithdrawResponse{Withdrawn: 1, Balance: 99}, res)
	res, err = withdraw(e, &types.MsgWithdraw{Owner: owner, Account: own, Amount: types.Coin(0)})
	require.NoError(t, err)
	require.Equal(t, &types.MsgWithdrawResponse{Withdrawn: 69, Balance: 30}, res)
	require.EqualValues(t, 1070, e.Wallet(alice))
	e.NextBlock()
	e.CheckInvariants()
}

func TestMsgWithdrawOfEachKind(t *testing.T) {
	for _, kind := range []types.AccountKind{types.ACCOUNT_KIND_PROVIDER, types.ACCOUNT_KIND_JOB, types.ACCOUNT_KIND_ORACLE} {
		e := funded(t)
		require.NoError(t, e.Escrow.Open(e.Ctx, nobody, alice, kind))
		require.NoError(t, e.Escrow.Deposit(e.Ctx, alice, nobody, 10))
		res, err := withdraw(e, &types.MsgWithdraw{Owner: e.Text(alice), Account: nobody.Bech32("acct"), Amount: types.Coin(0)})
		require.NoError(t, err, kind)
		require.EqualValues(t, 10, res.Withdrawn)
	}
}

func TestMsgUpdateParams(t *testing.T) {
	e := funded(t)
	update := func(authority string, paused bool) error {
		return e.Tx(func(ctx sdk.Context) error {
			_, err := keeper.NewMsgServer(e.Escrow).UpdateParams(ctx, &types.MsgUpdateParams{
				Authority: authority, Params: types.Params{OutflowsPaused: paused},
			})
			return err
		})
	}
	require.ErrorIs(t, update(e.Text(alice), true), sdkerrors.ErrUnauthorized)
	require.NoError(t, update(e.Authority, true))
	take := &types.MsgWithdraw{Owner: e.Text(alice), Amount: types.Coin(1)}
	_, err := withdraw(e, take)
	require.ErrorIs(t, err, types.ErrOutflowsPaused)
	e.NextBlock()
	require.NoError(t, update(e.Authority, false))
	_, err = withdraw(e, take)
	require.NoError(t, err)
}
