package types_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"

	"github.com/foggrid/fogd/x/nodes/types"
)

var addresses = addresscodec.NewBech32Codec("fog")

// genesis has an ACTIVE, an INACTIVE and a PENDING node.
func genesis(t *testing.T) types.GenesisState {
	t.Helper()
	text, err := addresses.BytesToString(owner)
	require.NoError(t, err)
	g := types.GenesisState{Params: types.DefaultParams(), NextIndex: 3}
	for i, salt := range []string{"one", "two", "three"} {
		m := registration()
		n := types.Node{
			Id: types.NodeID(owner, salt).Bech32("node"), Owner: text, AgentKey: append([]byte{byte(i)}, m.AgentKey[1:]...), Status: types.NODE_STATUS_PENDING,
			Region: m.Region, Datacenter: m.Datacenter, Capacity: m.Capacity, Hardware: m.Hardware, Declared: m.Declared, Attributes: m.Attributes,
			Prices: m.Prices, Deposit: m.Deposit, Boot: m.Boot,
		}
		if i < 2 {
			n.Index, n.Activated, n.Status = uint32(i+1), true, types.NODE_STATUS_ACTIVE
		}
		g.Nodes = append(g.Nodes, n)
	}
	g.Nodes[1].Status, g.Nodes[1].Outages = types.NODE_STATUS_INACTIVE, []types.Outage{{From: 3, To: 4}, {From: 9}}
	g.ToBenchmark = []string{g.Nodes[2].Id}
	return g
}

func TestGenesis(t *testing.T) {
	require.NoError(t, types.DefaultGenesis().Validate(addresses))
	require.NoError(t, genesis(t).Validate(addresses))
	for says, edit := range map[string]func(*types.GenesisState){
		"params: min_deposit":                        func(g *types.GenesisState) { g.Params.MinDeposit = 0 },
		"next_index is 0":                            func(g *types.GenesisState) { g.NextIndex = 0 },
		"next_index is 4, but 2 nodes have an index": func(g *types.GenesisState) { g.NextIndex = 4 },
		"nodes[1].index 2 must be unique and below":  func(g *types.GenesisState) { g.NextIndex = 2 },
		"nodes[1].index 1 must be unique":            func(g *types.GenesisState) { g.Nodes[1].Index = 1 },
		"schedule.next_liveness is -1":               func(g *types.GenesisState) { g.Schedule.NextLiveness = -1 },
		"nodes[0]: id":                               func(g *types.GenesisState) { g.Nodes[0].Id = "job1" },
		"nodes[1].id node1":                          func(g *types.GenesisState) { g.Nodes[1].Id = g.Nodes[0].Id },
		"nodes[0]: owner \"fog\" is not an address":  func(g *types.GenesisState) { g.Nodes[0].Owner = "fog" },
		"is not in canonical form":                   func(g *types.GenesisState) { g.Nodes[0].Owner = strings.ToUpper(g.Nodes[0].Owner) },
		"nodes[0]: agent_key has 0 bytes":            func(g *types.GenesisState) { g.Nodes[0].AgentKey = nil },
		"nodes[1].agent_key is that of another":      func(g *types.GenesisState) { g.Nodes[1].AgentKey = g.Nodes[0].AgentKey },
		"nodes[0]: boot must be":                     func(g *types.GenesisState) { g.Nodes[0].Boot = "no hex at all" },
		"fleets[0].owner \"fog\" is not an address":  func(g *types.GenesisState) { g.Fleets = []types.Fleet{{Owner: "fog", Joint: 1}} },
		"fleets[1]: fog1": func(g *types.GenesisState) {
			g.Fleets = []types.Fleet{{Owner: g.Nodes[0].Owner, Joint: 1}, {Owner: g.Nodes[0].Owner, Due: 1}}
		},
		"fleets[0]: day -1": func(g *types.GenesisState) { g.Fleets = []types.Fleet{{Owner: g.Nodes[0].Owner, Joint: 1, Day: -1}} },
		"fleets[0]: open is 1, but 0 nodes": func(g *types.GenesisState) {
			g.Fleets = []types.Fleet{{Owner: g.Nodes[0].Owner, Joint: 1, Until: 9, Open: 1}}
		},
		"fleets[0]: open is 0, but 1 nodes": func(g *types.GenesisState) {
			g.Nodes[0].BenchmarkStart, g.Nodes[0].BenchmarkUntil = 5, 9
			g.Fleets = []types.Fleet{{Owner: g.Nodes[0].Owner, Joint: 1, Until: 9}}
		},
		"waiting[0] " + types.NodeID(owner, "one").Bech32("node"): func(g *types.GenesisState) { g.Waiting = []string{g.Nodes[0].Id} },
		"waiting[0] " + types.NodeID(owner, "two").Bech32("node"): func(g *types.GenesisState) {
			g.Fleets, g.Waiting = []types.Fleet{{Owner: g.Nodes[1].Owner, Due: 1}}, []string{g.Nodes[1].Id}
			g.Nodes[1].BenchmarkUntil = 9
		},
		"waiting[1] node1": func(g *types.GenesisState) {
			g.Fleets, g.Waiting = []types.Fleet{{Owner: g.Nodes[0].Owner, Due: 1}}, []string{g.Nodes[0].Id, g.Nodes[0].Id}
		},
		"must be due":                                  func(g *types.GenesisState) { g.Fleets = []types.Fleet{{Owner: g.Nodes[0].Owner, Day: 1}} },
		"nodes[0]: benchmark_start 5":                  func(g *types.GenesisState) { g.Nodes[0].BenchmarkStart = 5 },
		"below_time 7":                                 func(g *types.GenesisState) { g.Nodes[0].BelowTime = 7 },
		"nodes[0]: region":                             func(g *types.GenesisState) { g.Nodes[0].Region = "" },
		"nodes[0]: datacenter":                         func(g *types.GenesisState) { g.Nodes[0].Datacenter = "" },
		"nodes[0]: hardware.cores":                     func(g *types.GenesisState) { g.Nodes[0].Hardware.Cores = 0 },
		"nodes[0]: declared.cpu_all":                   func(g *types.GenesisState) { g.Nodes[0].Declared.CpuAll = 1 << 60 },
		"nodes[0]: measured.cpu_all":                   func(g *types.GenesisState) { g.Nodes[0].Measured.CpuAll = 1 << 60 },
		"nodes[0]: attributes[0].key":                  func(g *types.GenesisState) { g.Nodes[0].Attributes[0].Key = "" },
		"nodes[0]: prices.cpu":                         func(g *types.GenesisState) { g.Nodes[0].Prices.Cpu = 1 << 60 },
		"nodes[0]: engines[0] 7 is not known":          func(g *types.GenesisState) { g.Nodes[0].Engines = []types.Engine{7} },
		"nodes[0]: capacity.memory_mib":                func(g *types.GenesisState) { g.Nodes[0].Capacity.MemoryMib = 1 << 60 },
		"nodes[0]: reserved: cpu_milli":                func(g *types.GenesisState) { g.Nodes[0].Reserved.CpuMilli = 8_001 },
		"nodes[0]: running_tasks is 1, but reserved":   func(g *types.GenesisState) { g.Nodes[0].RunningTasks = 1 },
		"nodes[0]: running_tasks is 0, but reserved":   func(g *types.GenesisState) { g.Nodes[0].Reserved.Gpus = 1 },
		"nodes[0]: status 0 is not known":              func(g *types.GenesisState) { g.Nodes[0].Status = 0 },
		"nodes[0]: status 99 is not known":             func(g *types.GenesisState) { g.Nodes[0].Status = 99 },
		"nodes[2]: index is 0, but activated is true":  func(g *types.GenesisState) { g.Nodes[2].Activated = true },
		"nodes[2]: status is NODE_STATUS_ACTIVE, but":  func(g *types.GenesisState) { g.Nodes[2].Status = types.NODE_STATUS_ACTIVE },
		"nodes[0]: status is NODE_STATUS_PENDING, but": func(g *types.GenesisState) { g.Nodes[0].Status = types.NODE_STATUS_PENDING },
		"nodes[0]: status is NODE_STATUS_RETIRED, but a deposit": func(g *types.GenesisState) {
			g.Nodes[0].Status = types.NODE_STATUS_RETIRED
		},
		"nodes[0]: status is NODE_STATUS_RETIRED, but 1 tasks run": func(g *types.GenesisState) {
			g.Nodes[0].Status, g.Nodes[0].RunningTasks, g.Nodes[0].Reserved.CpuMilli = types.NODE_STATUS_RETIRED, 1, 1
		},
		"nodes[0]: status is NODE_STATUS_ACTIVE, but the node is condemned": func(g *types.GenesisState) {
			g.Nodes[0].Condemned, g.Nodes[0].Offences = true, 1
		},
		"nodes[0]: condemned without an offence": func(g *types.GenesisState) {
			g.Nodes[0].Condemned, g.Nodes[0].Status = true, types.NODE_STATUS_JAILED
		},
		"nodes[0]: status is DRAINING, but": func(g *types.GenesisState) { g.Nodes[0].Status = types.NODE_STATUS_DRAINING },
		"nodes[0]: status is INACTIVE, but": func(g *types.GenesisState) { g.Nodes[0].Status = types.NODE_STATUS_INACTIVE },
		"nodes[1]: outages[0] from 3 to 0":  func(g *types.GenesisState) { g.Nodes[1].Outages[0].To = 0 },
		"nodes[1]: outages[0] from 3 to 2":  func(g *types.GenesisState) { g.Nodes[1].Outages[0].To = 2 },
		"nodes[1]: outages[1] from 3 to 0":  func(g *types.GenesisState) { g.Nodes[1].Outages[1].From = 3 },
		"nodes[1]: outages holds 10":        func(g *types.GenesisState) { g.Nodes[1].Outages = make([]types.Outage, 10) },
		"to_benchmark[0] node1":             func(g *types.GenesisState) { g.ToBenchmark[0] = types.NodeID(owner, "four").Bech32("node") },
		"to_benchmark[1] node1":             func(g *types.GenesisState) { g.ToBenchmark = append(g.ToBenchmark, g.ToBenchmark[0]) },
	} {
		g := genesis(t)
		edit(&g)
		err := g.Validate(addresses)
		require.ErrorIs(t, err, types.ErrInvalidGenesis, says)
		require.ErrorContains(t, err, says)
	}
}
