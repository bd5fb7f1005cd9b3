package grid

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/app/testapp"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Node is a machine as it is, whatever the chain believes.
type Node struct {
	ID    escrowtypes.ID
	Owner *testapp.Account
	// Percent of the declared figures that the machine reaches.
	Percent uint64
	// Down: it does not answer the oracles.
	Down bool
	// Boot is the id of the agent's present run; the oracles report a new one.
	Boot string

	declared nodestypes.Benchmark
}

// Restart gives the agent a new boot id.
func (n *Node) Restart() {
	sum := sha256.Sum256([]byte(n.Boot))
	n.Boot = hex.EncodeToString(sum[:8])
}

// Prices of all machines, in ufog an hour: 10 FOG for a vCPU, 1 FOG for a GiB of memory.
const (
	cpuPrice    = 10_000_000
	memoryPrice = 1_000_000
)

// collateral that a provider adds for each machine, in ufog, beside its deposit.
const collateral = 20_000_000_000

// RegisterMsgs are the messages with which a provider funds and registers a machine of so many cores and twice as many GiB.
func (g *Grid) RegisterMsgs(owner *testapp.Account, cores uint32) []sdk.Msg {
	g.tb.Helper()

	g.salts++
	salt := fmt.Sprintf("node-%d", g.salts)
	seed := sha256.Sum256([]byte(salt))
	agent := ed25519.NewKeyFromSeed(seed[:])
	declared := nodestypes.Benchmark{
		CpuSingle: 2_000, CpuAll: 2_000 * uint64(cores), MemoryMib: uint64(cores) << 11, MemoryBandwidth: 20_000, DiskRead: 1_000,
		StorageMib: 1 << 20,
	}
	id := nodestypes.NodeID(owner.Address, salt)
	node := &Node{ID: id, Owner: owner, Percent: 100, Boot: hex.EncodeToString(seed[:8]), declared: declared}
	g.nodes[id] = node
	params, err := g.App.NodesKeeper.Params.Get(g.Context())
	require.NoError(g.tb, err)

	return []sdk.Msg{
		g.DepositMsg(owner, params.MinDeposit+collateral),
		&nodestypes.MsgRegisterNode{
			Owner: owner.String(), Salt: salt, AgentKey: agent.Public().(ed25519.PublicKey), Boot: node.Boot,
			Region: "eu", Datacenter: "home",
			Capacity: nodestypes.Resources{CpuMilli: 1_000 * uint64(cores), MemoryMib: declared.MemoryMib, StorageMib: declared.StorageMib},
			Hardware: nodestypes.Hardware{Cores: cores, Os: "linux", Arch: "amd64"},
			Declared: declared, Prices: nodestypes.Prices{Cpu: cpuPrice, Memory: memoryPrice}, Deposit: params.MinDeposit,
			Address: salt + ".example", Ports: nodestypes.PortRange{From: 20_000, To: 20_015},
			AgentSignature: ed25519.Sign(agent, nodestypes.RegistrationBytes(owner.Address, salt)),
		},
	}
}

// DepositMsg puts coins into a provider's account.
func (g *Grid) DepositMsg(owner *testapp.Account, ufog uint64) sdk.Msg {
	return &escrowtypes.MsgDeposit{Depositor: owner.String(), Amount: escrowtypes.Coin(ufog)}
}

// AddNodes registers n machines for each provider and lets the oracles benchmark them until they are ACTIVE.
func (g *Grid) AddNodes(n int, cores uint32) {
	g.tb.Helper()

	for range n {
		txs := make([][]byte, len(g.Providers))
		for i, owner := range g.Providers {
			txs[i] = g.Tx(owner, g.RegisterMsgs(owner, cores)...)
		}
		g.Succeed(txs...)
		g.Turn()
	}
	require.Len(g.tb, g.Nodes, len(g.nodes), "nodes that were once ACTIVE")
	for _, node := range g.Nodes {
		require.Equal(g.tb, nodestypes.NODE_STATUS_ACTIVE, g.Node(node).Status)
	}
}

// Node returns what the chain knows of a machine.
func (g *Grid) Node(node *Node) nodestypes.Node {
	g.tb.Helper()

	got, err := g.App.NodesKeeper.Node(g.Context(), node.ID)
	require.NoError(g.tb, err)

	return got
}

// indexNodes learns the dense indexes of nodes that have become ACTIVE.
func (g *Grid) indexNodes() {
	g.tb.Helper()

	ctx := g.Context()
	next, err := g.App.NodesKeeper.NextIndex.Get(ctx)
	require.NoError(g.tb, err)
	for index := uint32(len(g.Nodes) + 1); index < next; index++ {
		id, err := g.App.NodesKeeper.ByIndex.Get(ctx, index)
		require.NoError(g.tb, err)
		g.Nodes[index] = g.nodes[id]
	}
}

// measure is what an honest oracle measures of a machine.
func (n *Node) measure() nodestypes.BenchmarkObservation {
	if n.Down {
		return nodestypes.BenchmarkObservation{Unreachable: true}
	}
	m := n.declared
	for _, figure := range []*uint64{&m.CpuSingle, &m.CpuAll, &m.MemoryMib, &m.MemoryBandwidth, &m.DiskRead, &m.StorageMib} {
		*figure = *figure * n.Percent / 100
	}
	m.RttUs = 1_000

	return nodestypes.BenchmarkObservation{Measured: m}
}
