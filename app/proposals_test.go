package app_test

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/app/testapp"
)

func TestProcessProposalBoundsTheGasOfABlock(t *testing.T) {
	chain := testapp.New(t, testapp.WithConsensusParams(func(params *cmttypes.ConsensusParams) {
		params.Block.MaxGas = 3 * testapp.DefaultGas
	}))
	alice, bob := chain.Accounts[0], chain.Accounts[1]
	txs := [][]byte{
		chain.Tx(alice, send(alice, bob, 1)),
		chain.Tx(alice, send(alice, bob, 2)),
		chain.Tx(bob, send(bob, alice, 3)),
		chain.TxPaying(bob, 1, nil, send(bob, alice, 3)),
	}

	for _, tc := range []struct {
		name string
		txs  [][]byte
		want abci.ResponseProcessProposal_ProposalStatus
	}{
		{"no transactions", nil, abci.ResponseProcessProposal_ACCEPT},
		{"as much gas as fits", txs[:3], abci.ResponseProcessProposal_ACCEPT},
		{"one more than fits", txs, abci.ResponseProcessProposal_REJECT},
		{"not a transaction", [][]byte{{1, 2, 3}}, abci.ResponseProcessProposal_REJECT},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, err := chain.App.ProcessProposal(&abci.RequestProcessProposal{Height: chain.Last().Height + 1, Txs: tc.txs})
			require.NoError(t, err)
			require.Equal(t, tc.want, res.Status)
		})
	}
}
