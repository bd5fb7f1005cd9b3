// Package grid puts a whole grid on a test chain: oracles with bonds and feeders, providers with nodes, developers with jobs. All of
// it happens through signed transactions and blocks of the real app; only the machines and what runs on them are made up.
package grid

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/app/testapp"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobskeeper "github.com/foggrid/fogd/x/jobs/keeper"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Config says how large a grid is and which params it starts with; zero numbers mean four oracles, one provider and one developer.
type Config struct {
	Oracles    int
	Providers  int
	Developers int

	Jobs   func(*jobstypes.Params)
	Nodes  func(*nodestypes.Params)
	Oracle func(*oracletypes.Params)

	// SliceTasks is the most tasks that a match gives to one node at once.
	SliceTasks uint32

	Options []testapp.Option
}

// Oracle is an operator with its hot key.
type Oracle struct {
	Operator *testapp.Account
	Feeder   *testapp.Account
}

// Grid is a chain with all who take part.
type Grid struct {
	*testapp.Chain

	Oracles    []*Oracle
	Providers  []*testapp.Account
	Developers []*testapp.Account
	// Nodes by dense index, from 1.
	Nodes map[uint32]*Node

	// Work says how a running slice ends and how long each task took, or that it goes on. Without it everything succeeds, one block
	// after the match.
	Work func(slice jobstypes.Slice) (outcome jobstypes.Outcome, milliseconds uint64, done bool)

	// Serve says how a slice of a service does on a machine that is up. Without it all do well.
	Serve func(slice jobstypes.Slice) Health

	tb         testing.TB
	sliceTasks uint32
	jobs       jobstypes.QueryServer
	nodes      map[escrowtypes.ID]*Node
	// batches by match round: all oracles compute the same.
	batches map[uint64][]byte
	supply  uint64
	burned  uint64
	salts   int
}

// New starts a chain on which the oracles are admitted, bonded and have feeders.
func New(tb testing.TB, cfg Config) *Grid {
	tb.Helper()

	oracles, providers, developers := orDefault(cfg.Oracles, 4), orDefault(cfg.Providers, 1), orDefault(cfg.Developers, 1)
	options := append([]testapp.Option{
		testapp.WithAccounts(2*oracles + providers + developers),
		testapp.WithoutInflation(),
		testapp.WithGenesis(func(cdc codec.JSONCodec, state map[string]json.RawMessage) {
			setGenesis(cdc, state, cfg, testapp.Addresses(oracles))
		}),
	}, cfg.Options...)

	g := &Grid{
		Chain:      testapp.New(tb, options...),
		Nodes:      make(map[uint32]*Node),
		tb:         tb,
		sliceTasks: cfg.SliceTasks,
		nodes:      make(map[escrowtypes.ID]*Node),
		batches:    make(map[uint64][]byte),
	}
	if g.sliceTasks == 0 {
		g.sliceTasks = jobstypes.MaxSliceTasks
	}
	g.jobs = jobskeeper.NewQueryServer(g.App.JobsKeeper)

	accounts := g.Accounts
	for i := range oracles {
		g.Oracles = append(g.Oracles, &Oracle{Operator: accounts[i], Feeder: accounts[oracles+i]})
	}
	g.Providers = accounts[2*oracles : 2*oracles+providers]
	g.Developers = accounts[2*oracles+providers:]
	g.supply = g.totalSupply()
	g.OnBlock = g.count
	g.bondOracles()

	return g
}

func orDefault(n, instead int) int {
	if n == 0 {
		return instead
	}

	return n
}

// setGenesis sets the params and admits the oracles, which governance would do otherwise.
func setGenesis(cdc codec.JSONCodec, state map[string]json.RawMessage, cfg Config, operators []sdk.AccAddress) {
	var oracle oracletypes.GenesisState
	cdc.MustUnmarshalJSON(state[oracletypes.ModuleName], &oracle)
	if cfg.Oracle != nil {
		cfg.Oracle(&oracle.Params)
	}
	for i, operator := range operators {
		oracle.Oracles = append(oracle.Oracles, oracletypes.Oracle{
			Operator: operator.String(), Admitted: true, Moniker: fmt.Sprintf("oracle %d", i),
		})
	}
	state[oracletypes.ModuleName] = cdc.MustMarshalJSON(&oracle)

	var nodes nodestypes.GenesisState
	cdc.MustUnmarshalJSON(state[nodestypes.ModuleName], &nodes)
	nodes.Params.ModelMinNodes = 1 << 30 // the grid's oracles fit no models
	if cfg.Nodes != nil {
		cfg.Nodes(&nodes.Params)
	}
	state[nodestypes.ModuleName] = cdc.MustMarshalJSON(&nodes)

	var jobs jobstypes.GenesisState
	cdc.MustUnmarshalJSON(state[jobstypes.ModuleName], &jobs)
	jobs.Params.ProfileGrades = nil // the grid's oracles do not tell of networks
	if cfg.Jobs != nil {
		cfg.Jobs(&jobs.Params)
	}
	state[jobstypes.ModuleName] = cdc.MustMarshalJSON(&jobs)
}

func (g *Grid) bondOracles() {
	g.tb.Helper()

	params, err := g.App.OracleKeeper.Params.Get(g.Context())
	require.NoError(g.tb, err)
	txs := make([][]byte, len(g.Oracles))
	for i, oracle := range g.Oracles {
		txs[i] = g.Tx(oracle.Operator,
			&oracletypes.MsgBond{Operator: oracle.Operator.String(), Amount: escrowtypes.Coin(2 * params.MinBond)},
			&oracletypes.MsgSetFeeder{Operator: oracle.Operator.String(), Feeder: oracle.Feeder.String()},
		)
	}
	g.Succeed(txs...)
}

// Succeed executes a block of transactions and requires that all succeed.
func (g *Grid) Succeed(txs ...[]byte) *testapp.Block {
	g.tb.Helper()

	block := g.NextBlock(txs...)
	g.requireSuccess(block)

	return block
}

func (g *Grid) requireSuccess(block *testapp.Block) {
	g.tb.Helper()
	for i, result := range block.Results {
		require.Zero(g.tb, result.Code, "transaction %d of block %d: %s", i, block.Height, result.Log)
	}
}
