package app_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/baseapp/txnrunner"
	"github.com/cosmos/cosmos-sdk/server"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
	"github.com/cosmos/cosmos-sdk/store/v2/rootmulti"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
	"github.com/foggrid/fogd/app/testapp/grid"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const stmWorkers = 8

// maxExecutions of a transaction on average: the messages that fill blocks may hardly ever conflict.
const maxExecutions = 1.1

// countingRunner counts how often transactions are executed, those executed again after a conflict included.
type countingRunner struct {
	sdk.TxRunner
	executions *atomic.Int64
}

// Run counts every call of deliver.
func (r countingRunner) Run(
	ctx context.Context, ms storetypes.MultiStore, txs [][]byte, deliver sdk.DeliverTxFunc,
) ([]*abci.ExecTxResult, error) {
	return r.TxRunner.Run(ctx, ms, txs,
		func(tx []byte, decoded sdk.Tx, ms storetypes.MultiStore, index int, cache map[string]any) *abci.ExecTxResult {
			r.executions.Add(1)

			return deliver(tx, decoded, ms, index, cache)
		})
}

// countExecutions puts a counter around the runner that app.toml's block-stm installs.
func countExecutions(t *testing.T, chain *testapp.Chain) *atomic.Int64 {
	t.Helper()

	store, ok := chain.App.CommitMultiStore().(*rootmulti.Store)
	require.True(t, ok)
	var keys []storetypes.StoreKey
	for _, key := range store.StoreKeysByName() {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b storetypes.StoreKey) int { return strings.Compare(a.Name(), b.Name()) })
	denom := func(storetypes.MultiStore) string { return app.BondDenom }
	runner := countingRunner{
		TxRunner:   txnrunner.NewSTMRunner(chain.App.TxConfig().TxDecoder(), keys, stmWorkers, false, denom),
		executions: new(atomic.Int64),
	}
	chain.App.SetBlockSTMTxRunner(runner)

	return runner.executions
}

// The life of jobs under both executors: equal to the last byte and unit of gas, and without conflicts where blocks are full.
func TestExecutorsAgreeOnTheGrid(t *testing.T) {
	const many = 20

	start := func(executor string) *grid.Grid {
		return grid.New(t, grid.Config{
			Oracles: many, Providers: many, Developers: many, SliceTasks: 4,
			Nodes: func(p *nodestypes.Params) { p.ProbationTasks = 0 },
			Jobs:  func(p *jobstypes.Params) { p.AcceptWindow = 0 },
			Options: []testapp.Option{
				testapp.WithAppOption(server.FlagBlockExecutor, executor),
				testapp.WithAppOption(server.FlagBlockSTMWorkers, stmWorkers),
			},
		})
	}
	sequential, parallel := start(serverconfig.BlockExecutorSequential), start(serverconfig.BlockExecutorBlockSTM)
	require.Equal(t, sequential.Last().AppHash, parallel.Last().AppHash)
	executions := countExecutions(t, parallel.Chain)

	// Both grids sign the same transactions, since they are in the same state. The result is how often each was executed.
	agree := func(what string, txs func(g *grid.Grid) [][]byte) float64 {
		t.Helper()

		want := sequential.Succeed(txs(sequential)...)
		executions.Store(0)
		got := parallel.Succeed(txs(parallel)...)
		require.Equal(t, want.AppHash, got.AppHash, what)
		for i := range want.Results {
			where := fmt.Sprintf("%s: transaction %d", what, i)
			require.Equal(t, want.Results[i].GasUsed, got.Results[i].GasUsed, where)
			require.Equal(t, want.Results[i].Data, got.Results[i].Data, where)
			require.Equal(t, want.Results[i].Events, got.Results[i].Events, where)
		}
		require.Equal(t, want.Events, got.Events, what)
		average := float64(executions.Load()) / float64(max(1, len(want.Results)))
		t.Logf("%-30s %3d transactions, %.2f executions each", what, len(want.Results), average)

		return average
	}
	step := func(what string, txs func(g *grid.Grid) [][]byte) {
		t.Helper()
		require.LessOrEqual(t, agree(what, txs), maxExecutions, what)
	}
	deposits := func(g *grid.Grid) (txs [][]byte) {
		for _, owner := range g.Providers {
			txs = append(txs, g.Tx(owner, g.DepositMsg(owner, 1_000)))
		}
		return txs
	}
	submits := func(g *grid.Grid) (txs [][]byte) {
		for _, owner := range g.Developers {
			txs = append(txs, g.Tx(owner, g.JobMsg(owner, 8)))
		}
		return txs
	}
	votes := func(g *grid.Grid) [][]byte { return g.Votes() }

	step("registrations", func(g *grid.Grid) (txs [][]byte) {
		for _, owner := range g.Providers {
			txs = append(txs, g.Tx(owner, g.RegisterMsgs(owner, 16)...))
		}
		return txs
	})
	step("attests of benchmarks", votes)
	step("deposits", deposits)
	step("submits", submits)
	step("attests of matches", votes)
	step("attests of outcomes", votes)
	step("submits again", submits)
	step("attests, deposits and submits", func(g *grid.Grid) [][]byte {
		return slices.Concat(votes(g), deposits(g), submits(g))
	})
	for len(sequential.Rounds("")) > 0 {
		step("attests of what is left", votes)
	}
	// That conflicts would be seen: here every transaction writes the balance that the others write. Whether two of them are under way
	// at once is up to the machine, so there are many such blocks.
	conflicts := false
	for try := 0; try < 100 && !conflicts; try++ {
		conflicts = agree("sends to one account", func(g *grid.Grid) (txs [][]byte) {
			for _, owner := range g.Developers {
				txs = append(txs, g.Tx(owner, send(owner, g.Providers[0], 1)))
			}
			return txs
		}) > 1
	}
	require.True(t, conflicts || runtime.GOMAXPROCS(0) == 1, "nothing was executed twice")

	for _, g := range []*grid.Grid{sequential, parallel} {
		g.CheckInvariants()
		require.Len(t, g.Nodes, many)
		require.Len(t, g.Jobs(jobstypes.JOB_STATUS_CLOSED), 3*many)
	}
}
