package oracle

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/classify"
	"github.com/foggrid/fogd/offchain/classify/quant"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// fleet is small, middling and large machines, count of each, with a spread of a few percent.
func fleet(count int) []nodestypes.Node {
	src := classify.SplitMix64(7)
	spread := func(v uint64) uint64 { return v * (970 + src.Uint64()%61) / 1000 }
	var out []nodestypes.Node
	for i := range 3 * count {
		size := uint64(1) << (3 * (i % 3)) // 1, 8, 64
		out = append(out, nodestypes.Node{
			Index: uint32(i) + 1, Status: nodestypes.NODE_STATUS_ACTIVE,
			Capacity: nodestypes.Resources{CpuMilli: 1000 * size, MemoryMib: spread(4096 * size), StorageMib: spread(20_000 * size)},
			Hardware: nodestypes.Hardware{Arch: "amd64", StorageType: nodestypes.STORAGE_TYPE_SSD},
			Measured: nodestypes.Benchmark{
				CpuSingle: spread(1000 + 300*uint64(i%3)), CpuAll: spread(1000 * size), MemoryBandwidth: spread(8000 + 4000*uint64(i%3)),
				RttUs: spread(20_000),
			},
			Prices: nodestypes.Prices{Cpu: spread(10_000), Memory: spread(2_000)},
		})
	}
	return out
}

func source(n uint64) classify.Source {
	src := classify.SplitMix64(n)
	return &src
}

// apply is what the chain does with a report.
func apply(nodes []nodestypes.Node, r nodestypes.ModelReport) *nodestypes.Model {
	for _, m := range r.Moves {
		for _, index := range m.Nodes {
			nodes[index-1].Class, nodes[index-1].ClassCandidate = m.Class, m.Candidate
		}
	}
	return &nodestypes.Model{Version: r.Version, Height: r.Height, Encoded: r.Model, NextClass: r.NextClass, Classes: r.Classes}
}

func propose(t *testing.T, p *population, seed uint64) (nodestypes.ModelReport, []byte) {
	t.Helper()
	report, err := p.fit(context.Background(), source(seed))
	require.NoError(t, err)
	body, err := report.Marshal()
	require.NoError(t, err)
	return report, body
}

func TestModelsOfAFleet(t *testing.T) {
	nodes := fleet(40)
	first := newPopulation(1, 10, nodes, nil)
	report, body := propose(t, first, 1)
	require.NoError(t, first.check(context.Background(), body, source(2)), "another oracle, from other starts")
	require.Len(t, report.Classes, 3)
	require.EqualValues(t, 4, report.NextClass)
	model := apply(nodes, report)
	for i, n := range nodes {
		require.Equal(t, nodes[i%3].Class, n.Class, "node %d", i)
		require.NotEmpty(t, report.Classes[n.Class-1].Profile)
	}
	require.NotEqual(t, nodes[0].Class, nodes[1].Class)

	// An hour later there are a few machines more; the classes are the same ones.
	nodes = append(nodes, fleet(42)[120:]...)
	second := newPopulation(2, 20, nodes, model)
	report, body = propose(t, second, 3)
	require.NoError(t, second.check(context.Background(), body, source(4)))
	require.EqualValues(t, 4, report.NextClass, "no new class")
	require.Equal(t, []uint32{1, 2, 3}, []uint32{report.Classes[0].Id, report.Classes[1].Id, report.Classes[2].Id})
	moved := 0
	for _, m := range report.Moves {
		moved += len(m.Nodes)
	}
	require.Equal(t, 6, moved, "only the new ones: %v", report.Moves)
}

// A grid begins with few machines.
func TestModelsOfAFewNodes(t *testing.T) {
	for count := 1; count < 30; count++ {
		p := newPopulation(1, 10, fleet(10)[:count], nil)
		report, body := propose(t, p, 1)
		require.NoError(t, p.check(context.Background(), body, source(2)), "%d nodes", count)
		require.NotEmpty(t, report.Classes)
		require.NotEmpty(t, report.Moves)
	}
}

func TestModelsThatAnOracleVotesAgainst(t *testing.T) {
	nodes := fleet(40)
	p := newPopulation(1, 10, nodes, nil)
	_, good := propose(t, p, 1)
	require.NoError(t, p.check(context.Background(), good, source(2)))
	for name, spoil := range map[string]func(*nodestypes.ModelReport){
		"of another height":       func(r *nodestypes.ModelReport) { r.Height++ },
		"bytes that are no model": func(r *nodestypes.ModelReport) { r.Model = []byte("nonsense") },
		"a profile of its own":    func(r *nodestypes.ModelReport) { r.Classes[0].Profile = "best of all" },
		"a class that it skipped": func(r *nodestypes.ModelReport) { r.NextClass++ },
		"a friend's node moved":   func(r *nodestypes.ModelReport) { r.Moves[0].Nodes = r.Moves[0].Nodes[1:] },
		"a node in another's class": func(r *nodestypes.ModelReport) {
			r.Moves[0].Nodes, r.Moves[1].Nodes = r.Moves[1].Nodes, r.Moves[0].Nodes
		},
		"a worse fit, told truly": func(r *nodestypes.ModelReport) {
			model, err := quant.Decode(r.Model)
			require.NoError(t, err)
			for j := range model.Components[0].Mean {
				model.Components[0].Mean[j] += 1 << (quant.ScaledBits - 3)
			}
			results, next, err := classify.Name(model, p.table, make([]uint32, len(p.nodes)), 1)
			require.NoError(t, err)
			*r, err = p.report(model, results, next)
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := nodestypes.DecodeModelBody(good)
			require.NoError(t, err)
			spoil(&report)
			body, err := report.Marshal()
			require.NoError(t, err)
			err = p.check(context.Background(), body, source(2))
			require.ErrorIs(t, err, errRefused)
			t.Log(err)
		})
	}
	_, err := newPopulation(1, 10, nil, nil).fit(context.Background(), source(1))
	require.ErrorIs(t, err, errAbstain)
}
