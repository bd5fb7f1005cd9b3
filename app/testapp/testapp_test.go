package testapp_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
)

func TestChain(t *testing.T) {
	chain := testapp.New(t)
	alice, bob := chain.Accounts[0], chain.Accounts[1]
	send := &banktypes.MsgSend{FromAddress: alice.String(), ToAddress: bob.String(), Amount: testapp.Ufog(100)}

	chain.Deliver(alice, send)
	chain.Deliver(alice, send)
	require.EqualValues(t, testapp.DefaultBalance-2*(100+testapp.DefaultFee), chain.Balance(alice.Address))
	require.EqualValues(t, testapp.DefaultBalance+200, chain.Balance(bob.Address))

	send.Amount = testapp.Ufog(2 * testapp.DefaultBalance)
	chain.Refused("insufficient funds", alice, send)

	answer, err := banktypes.NewQueryClient(chain.Conn()).Balance(t.Context(), &banktypes.QueryBalanceRequest{Address: bob.String(), Denom: app.BondDenom})
	require.NoError(t, err)
	require.EqualValues(t, testapp.DefaultBalance+200, answer.Balance.Amount.Int64())
	require.EqualValues(t, 4, chain.Last().Height)
}

func TestChainsAreEqual(t *testing.T) {
	run := func() []byte {
		chain := testapp.New(t)
		chain.Deliver(chain.Accounts[0], &banktypes.MsgSend{
			FromAddress: chain.Accounts[0].String(), ToAddress: chain.Accounts[1].String(), Amount: testapp.Ufog(7),
		})

		return chain.SkipBlocks(3).AppHash
	}

	require.Equal(t, run(), run())
}
