package app_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/server"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"

	"github.com/foggrid/fogd/app/testapp"
)

// Which executor a node uses is its own choice, so both have to give the same state, results and gas.
func TestExecutorsAgree(t *testing.T) {
	const accounts = 16

	start := func(executor string) *testapp.Chain {
		return testapp.New(t,
			testapp.WithAccounts(accounts),
			testapp.WithAppOption(server.FlagBlockExecutor, executor),
			testapp.WithAppOption(server.FlagBlockSTMWorkers, 4),
		)
	}
	chains := []*testapp.Chain{start(serverconfig.BlockExecutorSequential), start(serverconfig.BlockExecutorBlockSTM)}

	for height := range 4 {
		var blocks []*testapp.Block
		for _, chain := range chains {
			blocks = append(blocks, chain.NextBlock(mixedTxs(chain, height)...))
		}

		require.Equal(t, blocks[0].AppHash, blocks[1].AppHash, "app hash of block %d", height)
		require.Equal(t, len(blocks[0].Results), len(blocks[1].Results))
		failed := 0
		for i, want := range blocks[0].Results {
			got := blocks[1].Results[i]
			where := fmt.Sprintf("transaction %d of block %d", i, height)
			require.Equal(t, want.Code, got.Code, where)
			require.Equal(t, want.Data, got.Data, where)
			require.Equal(t, want.GasUsed, got.GasUsed, where)
			require.Equal(t, want.Events, got.Events, where)
			if want.Code != 0 {
				failed++
			}
		}
		require.Equal(t, 1, failed, "transactions of block %d that fail by intent", height)
		require.Equal(t, blocks[0].Events, blocks[1].Events)
	}
}

// mixedTxs sends between disjoint pairs, from everybody to one account, several times from one account, and more than there is.
func mixedTxs(chain *testapp.Chain, height int) [][]byte {
	var txs [][]byte
	n := len(chain.Accounts)
	for i := 0; i+1 < n; i += 2 {
		txs = append(txs, chain.Tx(chain.Accounts[i], send(chain.Accounts[i], chain.Accounts[i+1], int64(height*n+i+1))))
	}
	for i := 1; i < n; i++ {
		txs = append(txs, chain.Tx(chain.Accounts[i], send(chain.Accounts[i], chain.Accounts[0], 10)))
	}
	for range 3 {
		txs = append(txs, chain.Tx(chain.Accounts[0], send(chain.Accounts[0], chain.Accounts[1], 5)))
	}

	return append(txs, chain.Tx(chain.Accounts[2], send(chain.Accounts[2], chain.Accounts[3], 2*testapp.DefaultBalance)))
}
