package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestUpdate(t *testing.T) {
	capacity := types.Resources{CpuMilli: 4_000, MemoryMib: 8_000, StorageMib: 50_000, Gpus: 1}
	raisedCapacity := types.Resources{CpuMilli: 8_000, MemoryMib: 16_000, StorageMib: 100_000, Gpus: 2}
	lowered, raised := declared, declared
	lowered.CpuSingle, raised.DiskRead = 900, 501
	prices := types.Prices{Cpu: 1}
	attributes := []types.Attribute{{Key: "a"}, {Key: "b", Value: "2"}}
	both := []types.Engine{types.ENGINE_WASM, types.ENGINE_DOCKER}
	for name, c := range map[string]struct {
		msg     types.MsgUpdateNode
		expect  func(*types.Node)
		pending bool
	}{
		"prices":              {types.MsgUpdateNode{Prices: &prices}, func(n *types.Node) { n.Prices = prices }, false},
		"attributes":          {types.MsgUpdateNode{Attributes: attributes, ReplaceAttributes: true}, func(n *types.Node) { n.Attributes = attributes }, false},
		"no attributes":       {types.MsgUpdateNode{ReplaceAttributes: true}, func(n *types.Node) { n.Attributes = nil }, false},
		"engines":             {types.MsgUpdateNode{Engines: both}, func(n *types.Node) { n.Engines = both }, false},
		"capacity lowered":    {types.MsgUpdateNode{Capacity: &capacity}, func(n *types.Node) { n.Capacity = capacity }, false},
		"capacity raised":     {types.MsgUpdateNode{Capacity: &raisedCapacity}, func(n *types.Node) { n.Capacity = raisedCapacity }, true},
		"declaration lowered": {types.MsgUpdateNode{Declared: &lowered}, func(n *types.Node) { n.Declared = lowered }, false},
		"declaration raised":  {types.MsgUpdateNode{Declared: &raised}, func(n *types.Node) { n.Declared = raised }, true},
		"one down, one up":    {types.MsgUpdateNode{Capacity: &capacity, Declared: &raised}, func(n *types.Node) { n.Capacity, n.Declared = capacity, raised }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
			want := w.node(id)
			c.expect(&want)
			want.BenchmarkPending = c.pending
			c.msg.Owner, c.msg.NodeId = want.Owner, want.Id
			require.NoError(t, w.send(&c.msg))
			require.Equal(t, want, w.node(id))
			require.Equal(t, []*types.EventNodeUpdated{{NodeId: want.Id, BenchmarkPending: c.pending}}, eventsOf[*types.EventNodeUpdated](w))

			err := w.reserve(id, types.Resources{CpuMilli: 1}, 1)
			if c.pending {
				require.ErrorIs(t, err, types.ErrWrongStatus, "what is raised is unmatched until it is benchmarked")
			} else {
				require.NoError(t, err)
			}
			w.end(1)
			require.Equal(t, c.pending, w.benchmarkOpen(id, boot))
			w.check()
		})
	}
}

func TestUpdateRefuses(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 100*fog)
	id := w.active(alice, "one")
	require.NoError(t, w.reserve(id, types.Resources{CpuMilli: 3_000, MemoryMib: 4_000}, 1))
	n := w.node(id)
	below := types.Resources{CpuMilli: 2_999, MemoryMib: 4_000}
	overCores := types.Resources{CpuMilli: 8_001, MemoryMib: 4_000}
	small := declared
	small.MemoryMib = 3_999
	zero := declared
	zero.CpuAll = 0
	for name, c := range map[string]struct {
		msg  types.MsgUpdateNode
		want error
		says string
	}{
		"nothing":                   {types.MsgUpdateNode{}, types.ErrInvalidField, "nothing to update"},
		"stranger":                  {types.MsgUpdateNode{Owner: w.Text(fixture.Address("bob"))}, types.ErrNotOwner, n.Owner},
		"no address":                {types.MsgUpdateNode{Owner: "bob"}, types.ErrInvalidField, "owner"},
		"no id":                     {types.MsgUpdateNode{NodeId: "node1"}, types.ErrInvalidField, "node_id"},
		"no such node":              {types.MsgUpdateNode{NodeId: types.NodeID(alice, "two").Bech32("node")}, types.ErrNodeNotFound, ""},
		"below what is reserved":    {types.MsgUpdateNode{Capacity: &below}, types.ErrInUse, "cpu_milli"},
		"more than the cores":       {types.MsgUpdateNode{Capacity: &overCores}, types.ErrInvalidField, "capacity.cpu_milli"},
		"declared under the offer":  {types.MsgUpdateNode{Declared: &small}, types.ErrInvalidField, "declared.memory_mib"},
		"declared nothing":          {types.MsgUpdateNode{Declared: &zero}, types.ErrInvalidField, "declared.cpu_all"},
		"attributes without a flag": {types.MsgUpdateNode{Prices: &types.Prices{}, Attributes: []types.Attribute{{Key: "a"}}}, types.ErrInvalidField, "replace_attributes"},
		"engine":                    {types.MsgUpdateNode{Engines: []types.Engine{3}}, types.ErrInvalidField, "engines[0]"},
		"price":                     {types.MsgUpdateNode{Prices: &types.Prices{Gpu: 1<<50 + 1}}, types.ErrInvalidField, "prices.gpu"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.msg.Owner == "" {
				c.msg.Owner = n.Owner
			}
			if c.msg.NodeId == "" {
				c.msg.NodeId = n.Id
			}
			err := w.send(&c.msg)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, n, w.node(id))
		})
	}
}

// Each benchmark keeps the oracles busy, so an owner cannot ask for the next one while one is under way.
func TestOneBenchmarkAtATime(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 100*fog)
	raise := func(diskRead uint64) error {
		raised := declared
		raised.DiskRead = diskRead
		return w.send(&types.MsgUpdateNode{Owner: w.Text(alice), NodeId: types.NodeID(alice, "one").Bech32("node"), Declared: &raised})
	}
	require.NoError(t, w.send(w.registration(alice, "one")))
	require.ErrorIs(t, raise(501), types.ErrUnderWay, "in the block of the registration")
	w.end(1)
	id := types.NodeID(alice, "one")
	require.ErrorIs(t, raise(501), types.ErrUnderWay)
	require.ErrorIs(t, w.resume(w.node(id)), types.ErrUnderWay)
	require.NoError(t, raise(499), "lowering needs no benchmark")

	w.end(538)
	require.ErrorIs(t, w.resume(w.node(id)), types.ErrUnderWay)
	w.end(1)
	require.NoError(t, w.resume(w.node(id)), "the oracles were silent")
	w.end(1)
	require.True(t, w.benchmarkOpen(id, boot))
}
