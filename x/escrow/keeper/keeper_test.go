package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/gogoproto/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

var (
	alice, bob   = fixture.Address("alice"), fixture.Address("bob")
	aliceAccount = types.ProviderAccountID(alice)
	bobAccount   = types.ProviderAccountID(bob)
	nobody       = types.ID{9}
)

// funded starts with a provider account of each, alice's with 100 ufog of which 30 are locked, both wallets with 1000 left.
func funded(t *testing.T) *fixture.Env {
	t.Helper()
	e := fixture.New(t)
	e.Fund(alice, 1100)
	e.Fund(bob, 1000)
	require.NoError(t, e.Tx(func(ctx sdk.Context) error {
		require.NoError(t, e.Escrow.Open(ctx, aliceAccount, alice, types.ACCOUNT_KIND_PROVIDER))
		require.NoError(t, e.Escrow.Open(ctx, bobAccount, bob, types.ACCOUNT_KIND_PROVIDER))
		require.NoError(t, e.Escrow.Deposit(ctx, alice, aliceAccount, 100))
		return e.Escrow.Lock(ctx, aliceAccount, 30)
	}))
	e.NextBlock()
	e.CheckInvariants()
	return e
}

func requireAccount(t *testing.T, e *fixture.Env, id types.ID, balance, locked uint64) {
	t.Helper()
	account, err := e.Escrow.Account(e.Ctx, id)
	require.NoError(t, err)
	require.Equal(t, [2]uint64{balance, locked}, [2]uint64{account.Balance, account.Locked}, "balance and locked of %s", account.Id)
}

func requireEvent(t *testing.T, e *fixture.Env, want proto.Message) {
	t.Helper()
	event, err := sdk.TypedEventToEvent(want)
	require.NoError(t, err)
	require.Contains(t, e.Events, event)
}
