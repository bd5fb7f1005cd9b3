package types_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"

	"github.com/foggrid/fogd/x/oracle/types"
)

func TestGenesisValidate(t *testing.T) {
	addresses := addresscodec.NewBech32Codec("fog")
	address := func(b byte) string {
		s, err := addresses.BytesToString(bytes.Repeat([]byte{b}, 20))
		require.NoError(t, err)
		return s
	}
	good := func() types.GenesisState {
		g := types.DefaultGenesis()
		g.NextRound = 3
		g.Oracles = []types.Oracle{
			{Operator: address(1), Feeder: address(11), Admitted: true, Window: []byte{0b101}, MissedEpochs: 2},
			{Operator: address(2), Feeder: address(12), Jailed: true, Tombstoned: true},
		}
		g.Unbondings = []types.Unbonding{{Operator: address(1), Completes: 5, Amount: 1}}
		g.Sets = []types.OracleSet{{Id: 1, Operators: []string{address(1)}}}
		g.Rounds = []types.Round{
			{Id: 1, Kind: "k", Subject: []byte("s"), Set: 1, Status: types.ROUND_STATUS_OPEN, Votes: []types.RecordedVote{{Operator: address(1)}}},
			{Id: 2, Kind: "k", Subject: []byte("s"), Set: 1, Status: types.ROUND_STATUS_EXPIRED},
		}
		g.Accepted = []uint64{1}
		g.Participation = []types.Participation{{Operator: address(1)}}
		g.Quota = []types.QuotaUse{{Operator: address(1)}}
		return *g
	}
	require.NoError(t, good().Validate(addresses))
	require.NoError(t, types.DefaultGenesis().Validate(addresses))

	for field, change := range map[string]func(*types.GenesisState){
		"max_oracles is 1": func(g *types.GenesisState) {
			g.Params.MaxOracles = 1
			g.Oracles[1] = types.Oracle{Operator: address(3), Admitted: true}
		},
		"epoch":                        func(g *types.GenesisState) { g.Params.Epoch = 0 },
		"oracles[0].operator":          func(g *types.GenesisState) { g.Oracles[0].Operator = "nobody" },
		"must be written as":           func(g *types.GenesisState) { g.Oracles[0].Operator = strings.ToUpper(address(1)) },
		"oracles[1].operator":          func(g *types.GenesisState) { g.Oracles[1].Operator = address(1) },
		"oracles[1].feeder":            func(g *types.GenesisState) { g.Oracles[1].Feeder = address(11) },
		"oracles[0].feeder":            func(g *types.GenesisState) { g.Oracles[0].Feeder = "x" },
		"oracles[0].missed_epochs":     func(g *types.GenesisState) { g.Oracles[0].MissedEpochs = 1 },
		"transport_key":                func(g *types.GenesisState) { g.Oracles[0].TransportKey = []byte{1} },
		"oracles[1] is tombstoned":     func(g *types.GenesisState) { g.Oracles[1].Jailed = false },
		"unbondings[0].operator":       func(g *types.GenesisState) { g.Unbondings[0].Operator = address(9) },
		"unbondings[1]":                func(g *types.GenesisState) { g.Unbondings = append(g.Unbondings, g.Unbondings[0]) },
		"sets[1].id":                   func(g *types.GenesisState) { g.Sets = append(g.Sets, types.OracleSet{Id: 1}) },
		"sets[0].id":                   func(g *types.GenesisState) { g.Sets[0].Id = 0 },
		"sets[0]: fog":                 func(g *types.GenesisState) { g.Sets[0].Operators = []string{address(9)} },
		"rounds[1].id":                 func(g *types.GenesisState) { g.Rounds[1].Id = 1 },
		"rounds[1].id 2":               func(g *types.GenesisState) { g.NextRound = 2 },
		"rounds[0].set":                func(g *types.GenesisState) { g.Rounds[0].Set = 7 },
		"rounds[0]: vote":              func(g *types.GenesisState) { g.Rounds[0].Votes[0].Operator = address(2) },
		"there twice":                  func(g *types.GenesisState) { g.Rounds[0].Votes = append(g.Rounds[0].Votes, g.Rounds[0].Votes[0]) },
		"rounds[1].status":             func(g *types.GenesisState) { g.Rounds[1].Status = 0 },
		"rounds[1] is open on a":       func(g *types.GenesisState) { g.Rounds[1].Status = types.ROUND_STATUS_OPEN },
		"accepted[0] 2 is not an open": func(g *types.GenesisState) { g.Accepted[0] = 2 },
		"participation[0].operator":    func(g *types.GenesisState) { g.Participation[0].Operator = address(9) },
		"quota[0].operator":            func(g *types.GenesisState) { g.Quota[0].Operator = address(9) },
		"unbondings: fog":              manyUnbondings,
	} {
		g := good()
		change(&g)
		require.ErrorContains(t, g.Validate(addresses), field)
	}
}

func manyUnbondings(g *types.GenesisState) {
	for i := range types.MaxUnbondings {
		g.Unbondings = append(g.Unbondings, types.Unbonding{Operator: g.Unbondings[0].Operator, Completes: int64(100 + i)})
	}
}
