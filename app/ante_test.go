package app_test

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
	"github.com/foggrid/fogd/app/testapp/grid"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

func send(from, to *testapp.Account, ufog int64) sdk.Msg {
	return &banktypes.MsgSend{FromAddress: from.String(), ToAddress: to.String(), Amount: testapp.Ufog(ufog)}
}

// Fees reach the collector when the block ends, and are distributed when the next one begins.
func TestFeesAreCreditedAtTheEndOfTheBlock(t *testing.T) {
	chain := testapp.New(t, testapp.WithoutInflation())
	alice, bob := chain.Accounts[0], chain.Accounts[1]
	collector := authtypes.NewModuleAddress(authtypes.FeeCollectorName)
	require.Zero(t, chain.Balance(collector))

	block := chain.NextBlock(
		chain.TxPaying(alice, testapp.DefaultGas, testapp.Ufog(5_000), send(alice, bob, 1)),
		chain.TxPaying(bob, testapp.DefaultGas, testapp.Ufog(7_000), send(bob, alice, 2)),
	)
	for _, result := range block.Results {
		require.Zero(t, result.Code, result.Log)
	}
	require.EqualValues(t, 12_000, chain.Balance(collector))
	require.EqualValues(t, testapp.DefaultBalance-5_000+1, chain.Balance(alice.Address))
	require.EqualValues(t, testapp.DefaultBalance-7_000-1, chain.Balance(bob.Address))

	chain.NextBlock()
	require.Zero(t, chain.Balance(collector))
}

func TestMinimalGasPriceBindsTheMempool(t *testing.T) {
	chain := testapp.New(t, testapp.WithBaseAppOption(baseapp.SetMinGasPrices(app.DefaultMinGasPrices)))
	alice, bob := chain.Accounts[0], chain.Accounts[1]

	for _, tc := range []struct {
		fee  int64
		code uint32
	}{
		{0, sdkerrors.ErrInsufficientFee.ABCICode()},
		{testapp.DefaultFee - 1, sdkerrors.ErrInsufficientFee.ABCICode()},
		{testapp.DefaultFee, abci.CodeTypeOK},
	} {
		tx := chain.TxPaying(alice, testapp.DefaultGas, testapp.Ufog(tc.fee), send(alice, bob, 1))
		alice.SkipSequence(-1)
		res, err := chain.App.CheckTx(&abci.RequestCheckTx{Tx: tx, Type: abci.CheckTxType_New})
		require.NoError(t, err)
		require.Equal(t, tc.code, res.Code, res.Log)
	}
}

// The votes of a stranger pay the chain's minimal price, in a block as in the mempool: no proposer can put them there for
// nothing.
func TestVotesOfAStrangerPay(t *testing.T) {
	chain := testapp.New(t)
	stranger := chain.Accounts[0]
	vote := &oracletypes.MsgAttest{
		Feeder: stranger.String(),
		Votes:  []oracletypes.Vote{{RoundId: 1, Claim: make([]byte, oracletypes.ClaimLength)}},
	}

	for _, tc := range []struct {
		name string
		fee  int64
		paid bool
	}{
		{"nothing", 0, false},
		{"one short", testapp.DefaultFee - 1, false},
		{"enough", testapp.DefaultFee, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := chain.Balance(stranger.Address)
			tx := chain.TxPaying(stranger, testapp.DefaultGas, testapp.Ufog(tc.fee), vote)
			result := chain.NextBlock(tx).Results[0]
			require.NotZero(t, result.Code)

			if tc.paid {
				require.NotContains(t, result.Log, "not free")
				require.Equal(t, before-tc.fee, chain.Balance(stranger.Address))
				return
			}
			require.Equal(t, sdkerrors.ErrInsufficientFee.ABCICode(), result.Code)
			require.Contains(t, result.Log, "offer at least 2000ufog")
			require.Equal(t, before, chain.Balance(stranger.Address))
			stranger.SkipSequence(-1)
		})
	}
}

// The votes of an active oracle's feeder are free within its quota, and only if they do not ask for half of the block.
func TestVotesOfAFeederAreFree(t *testing.T) {
	g := grid.New(t, grid.Config{Oracles: 2, Nodes: func(p *nodestypes.Params) { p.ProbationTasks = 0 }})
	provider := g.Providers[0]
	g.Succeed(g.Tx(provider, g.RegisterMsgs(provider, 4)...))
	feeder := g.Oracles[0].Feeder
	vote := &oracletypes.MsgAttest{Feeder: feeder.String(), Votes: g.Truth(g.Oracles[0])}
	require.Len(t, vote.Votes, 1)
	before := g.Balance(feeder.Address)

	greedy := g.NextBlock(g.TxPaying(feeder, app.MaxBlockGas/2, nil, vote)).Results[0]
	require.Equal(t, sdkerrors.ErrInsufficientFee.ABCICode(), greedy.Code, greedy.Log)
	feeder.SkipSequence(-1)

	// A fee that is offered all the same is not taken.
	g.Succeed(g.TxPaying(feeder, testapp.DefaultGas, testapp.Ufog(testapp.DefaultFee), vote))
	require.Equal(t, before, g.Balance(feeder.Address))

	// The round is voted in: the same vote again can be of no use, so it is not free.
	again := g.NextBlock(g.TxPaying(feeder, testapp.DefaultGas, nil, vote)).Results[0]
	require.Equal(t, sdkerrors.ErrInsufficientFee.ABCICode(), again.Code, again.Log)
	require.Contains(t, again.Log, "these votes are not free")
	feeder.SkipSequence(-1)

	// Together with another message votes are an ordinary transaction.
	mixed := g.NextBlock(g.TxPaying(feeder, testapp.DefaultGas, testapp.Ufog(testapp.DefaultFee), vote, send(feeder, provider, 1))).Results[0]
	require.NotZero(t, mixed.Code)
	require.Equal(t, before-testapp.DefaultFee, g.Balance(feeder.Address))
}
