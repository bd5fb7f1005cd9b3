package app_test

import (
	"testing"

	dbm "github.com/cosmos/cosmos-db"
	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/baseapp"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
	"github.com/foggrid/fogd/app/testapp/grid"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// These benchmarks count what FinalizeBlock and Commit to disk take of whole blocks of signed transactions. Making the transactions and
// the state before them is not counted. A run is one long piece of work, so -benchtime 1x is enough.

// BenchmarkSettle takes 1,000 jobs of 100 tasks through match, outcome and settlement in slices of 10.
func BenchmarkSettle(b *testing.B) {
	benchmarkSettle(b, work{jobs: 1_000, tasks: 100, slice: 10})
}

// BenchmarkSettleSingle does so with jobs of one task.
func BenchmarkSettleSingle(b *testing.B) {
	benchmarkSettle(b, work{jobs: 5_000, tasks: 1, slice: 1})
}

// BenchmarkBankSend is the measure of the machine: sends of coins between pairs of accounts.
func BenchmarkBankSend(b *testing.B) {
	const pairs, blocks = 500, 10

	var m meter
	for b.Loop() {
		b.StopTimer()
		chain := testapp.New(b, append(onDisk(b), testapp.WithAccounts(2*pairs))...)
		for range blocks {
			var txs [][]byte
			for i := range pairs {
				from, to := chain.Accounts[i], chain.Accounts[pairs+i]
				txs = append(txs, chain.TxPaying(from, 150_000, testapp.Ufog(150), send(from, to, 1)))
			}
			m.block(b, chain, txs)
		}
		b.StartTimer()
	}
	m.report(b)
}

// onDisk keeps the state where a node does, with the caches of a node's default configuration.
func onDisk(b *testing.B) []testapp.Option {
	b.Helper()

	db, err := dbm.NewGoLevelDB("application", b.TempDir(), nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })

	return []testapp.Option{
		testapp.WithDB(db),
		testapp.WithBaseAppOption(baseapp.SetIAVLCacheSize(int(serverconfig.DefaultConfig().IAVLCacheSize))),
	}
}

// meter counts what the blocks of a benchmark held.
type meter struct {
	blocks int
	txs    int
}

// block executes a block while the clock runs. All transactions must succeed and their gas must fit into a block of the network.
func (m *meter) block(b *testing.B, chain *testapp.Chain, txs [][]byte) *testapp.Block {
	b.Helper()

	b.StartTimer()
	block := chain.NextBlock(txs...)
	b.StopTimer()

	m.blocks++
	m.txs += len(txs)
	var gas, size int64
	for i, result := range block.Results {
		require.Zero(b, result.Code, result.Log)
		gas += result.GasWanted
		size += int64(len(txs[i]))
	}
	require.LessOrEqual(b, gas, int64(app.MaxBlockGas))
	require.LessOrEqual(b, size, int64(app.MaxBlockBytes))

	return block
}

func (m *meter) report(b *testing.B) {
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(m.txs)/seconds, "tx/s")
	b.ReportMetric(1_000*seconds/float64(m.blocks), "ms/block")
}

// work is jobs of equal size, matched in slices.
type work struct {
	jobs  int
	tasks uint32
	slice uint32
}

func benchmarkSettle(b *testing.B, w work) {
	var m meter
	for b.Loop() {
		b.StopTimer()
		g, jobs := busyGrid(b, w)
		for rounds := g.Rounds(""); len(rounds) > 0; rounds = g.Rounds("") {
			m.block(b, g.Chain, g.Votes())
		}
		for _, id := range jobs {
			require.Equal(b, jobstypes.CLOSE_REASON_COMPLETED, g.Job(id).CloseReason)
		}
		g.CheckInvariants()
		b.StartTimer()
	}
	m.report(b)
	slices := float64(w.jobs) * float64(w.tasks/w.slice) * float64(b.N)
	b.ReportMetric(slices/b.Elapsed().Seconds(), "slices/s")
	b.ReportMetric(slices*float64(w.slice)/b.Elapsed().Seconds(), "tasks/s")
}

// busyGrid is a grid of 100 machines and four oracles in which all jobs wait for the first batch.
func busyGrid(b *testing.B, w work) (*grid.Grid, []escrowtypes.ID) {
	b.Helper()

	const developers = 100
	g := grid.New(b, grid.Config{
		Providers: 20, Developers: developers, SliceTasks: w.slice, Options: onDisk(b),
		Jobs:  func(p *jobstypes.Params) { p.AcceptWindow = 0 },
		Nodes: func(p *nodestypes.Params) { p.ProbationTasks, p.LivenessEpoch = 0, 24*3_600 },
	})
	g.AddNodes(5, 256)
	var jobs []escrowtypes.ID
	for len(jobs) < w.jobs {
		var txs [][]byte
		for _, developer := range g.Developers {
			msg := g.JobMsg(developer, w.tasks)
			txs = append(txs, g.Tx(developer, msg))
			jobs = append(jobs, grid.JobID(developer, msg))
		}
		g.Succeed(txs...)
	}

	return g, jobs
}
