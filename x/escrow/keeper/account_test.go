package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

func TestOpenAndClose(t *testing.T) {
	e := fixture.New(t)
	k, ctx := e.Escrow, e.Ctx
	_, err := k.Account(ctx, aliceAccount)
	require.ErrorIs(t, err, types.ErrAccountNotFound)
	require.ErrorIs(t, k.Close(ctx, aliceAccount), types.ErrAccountNotFound)

	require.ErrorIs(t, k.Open(ctx, aliceAccount, alice, types.ACCOUNT_KIND_UNSPECIFIED), types.ErrInvalidAccount)
	require.ErrorIs(t, k.Open(ctx, aliceAccount, alice, types.AccountKind(4)), types.ErrInvalidAccount)
	require.ErrorIs(t, k.Open(ctx, aliceAccount, nil, types.ACCOUNT_KIND_JOB), types.ErrInvalidAccount)

	require.NoError(t, k.Open(ctx, aliceAccount, alice, types.ACCOUNT_KIND_PROVIDER))
	account, err := k.Account(ctx, aliceAccount)
	require.NoError(t, err)
	require.Equal(t, types.Account{Id: aliceAccount.Bech32("acct"), Owner: e.Text(alice), Kind: types.ACCOUNT_KIND_PROVIDER}, account)
	require.ErrorIs(t, k.Open(ctx, aliceAccount, alice, types.ACCOUNT_KIND_PROVIDER), types.ErrAccountExists)
	e.CheckInvariants()

	require.NoError(t, k.Close(ctx, aliceAccount))
	_, err = k.Account(ctx, aliceAccount)
	require.ErrorIs(t, err, types.ErrAccountNotFound)
	e.CheckInvariants() // the index entry went with it
	require.NoError(t, k.Open(ctx, aliceAccount, bob, types.ACCOUNT_KIND_JOB), "a closed id can be opened anew")
}

func TestCloseNeedsAnEmptyAccount(t *testing.T) {
	e := funded(t)
	require.ErrorIs(t, e.Escrow.Close(e.Ctx, aliceAccount), types.ErrAccountNotEmpty)
	requireAccount(t, e, aliceAccount, 100, 30)
	require.NoError(t, e.Escrow.MoveLocked(e.Ctx, aliceAccount, bobAccount, 30))
	require.NoError(t, e.Escrow.Move(e.Ctx, aliceAccount, bobAccount, 70))
	require.NoError(t, e.Escrow.Close(e.Ctx, aliceAccount))
	e.NextBlock()
	e.CheckInvariants()
}

func TestEnsureOpen(t *testing.T) {
	e := funded(t)
	ensure := func(id types.ID, owner sdk.AccAddress, kind types.AccountKind) error {
		return e.Escrow.EnsureOpen(e.Ctx, id, owner, kind)
	}
	require.NoError(t, ensure(aliceAccount, alice, types.ACCOUNT_KIND_PROVIDER))
	requireAccount(t, e, aliceAccount, 100, 30)
	require.ErrorIs(t, ensure(aliceAccount, bob, types.ACCOUNT_KIND_PROVIDER), types.ErrAccountMismatch)
	require.ErrorIs(t, ensure(aliceAccount, alice, types.ACCOUNT_KIND_ORACLE), types.ErrAccountMismatch)
	require.ErrorIs(t, ensure(nobody, alice, types.ACCOUNT_KIND_UNSPECIFIED), types.ErrInvalidAccount)
	require.NoError(t, ensure(nobody, alice, types.ACCOUNT_KIND_ORACLE))
	require.NoError(t, ensure(nobody, alice, types.ACCOUNT_KIND_ORACLE))
	requireAccount(t, e, nobody, 0, 0)
}
