// Package simulation makes random messages of x/nodes for simulations of the whole chain.
package simulation

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"
	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/keeper"
	"github.com/foggrid/fogd/x/nodes/types"
)

// MsgRegisterNodeFactory registers a machine of an owner whose deposit is there.
func MsgRegisterNodeFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgRegisterNode] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgRegisterNode) {
		owner := data.AnyAccount(reporter, simsx.WithDenomBalance(escrowtypes.Denom))
		if reporter.IsSkipped() {
			return nil, nil
		}
		p, err := k.Params.Get(ctx)
		if err != nil {
			reporter.Skip(err.Error())
			return nil, nil
		}
		if free, err := k.FreeOf(ctx, owner.Address); err != nil || free < p.MinDeposit {
			reporter.Skip("deposit is not there")
			return nil, nil
		}
		fee := escrowtypes.Coin(p.RegistrationFee)
		if !owner.LiquidBalance().BlockAmount(fee) {
			reporter.Skip("fee is not there")
			return nil, nil
		}
		r := data.Rand()
		seed := make([]byte, ed25519.SeedSize)
		for i := range seed {
			seed[i] = byte(r.Intn(256))
		}
		agent := ed25519.NewKeyFromSeed(seed)
		salt := fmt.Sprintf("sim-%d", r.Intn(1_000_000))
		if exists, err := k.Nodes.Has(ctx, types.NodeID(owner.Address, salt)); err != nil || exists {
			reporter.Skip("salt is taken")
			return nil, nil
		}
		cores := uint64(r.IntInRange(1, 65))
		return []simsx.SimAccount{owner}, &types.MsgRegisterNode{
			Owner: owner.AddressBech32, Salt: salt, AgentKey: agent.Public().(ed25519.PublicKey), Boot: fmt.Sprintf("%016x", r.Uint64()),
			Region: "eu", Datacenter: "eu-1",
			Capacity: types.Resources{CpuMilli: cores * 1000, MemoryMib: cores * 2048, StorageMib: 10_000},
			Hardware: types.Hardware{CpuModel: "simulated", Cores: uint32(cores), Os: "linux", Arch: "amd64"},
			Declared: types.Benchmark{
				CpuSingle: uint64(r.IntInRange(100, 10_000)), CpuAll: uint64(r.IntInRange(100, 100_000)),
				MemoryMib: cores * 2048, StorageMib: 10_000,
			},
			Prices:         types.Prices{Cpu: uint64(r.IntInRange(1, 100_000)), Memory: uint64(r.IntInRange(0, 10_000))},
			Deposit:        p.MinDeposit,
			AgentSignature: ed25519.Sign(agent, types.RegistrationBytes(owner.Address, salt)),
		}
	}
}

// MsgUpdateNodeFactory changes the prices of a node.
func MsgUpdateNodeFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgUpdateNode] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgUpdateNode) {
		owner, node, ok := liveNode(ctx, k, data, reporter)
		if !ok {
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgUpdateNode{
			Owner: owner.AddressBech32, NodeId: node.Id, Prices: &types.Prices{Cpu: uint64(data.Rand().IntInRange(1, 100_000))},
		}
	}
}

// MsgRetireNodeFactory retires a node that has no work.
func MsgRetireNodeFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgRetireNode] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgRetireNode) {
		owner, node, ok := liveNode(ctx, k, data, reporter)
		if !ok || node.RunningTasks > 0 {
			reporter.Skip("no idle node")
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgRetireNode{Owner: owner.AddressBech32, NodeId: node.Id}
	}
}

// MsgResumeNodeFactory asks for another benchmark of a node that waits in vain.
func MsgResumeNodeFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgResumeNode] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgResumeNode) {
		owner, node, ok := liveNode(ctx, k, data, reporter)
		if !ok {
			return nil, nil
		}
		id, err := types.ParseNodeID(node.Id)
		if err != nil {
			reporter.Skip(err.Error())
			return nil, nil
		}
		asked, err := k.ToBenchmark.Has(ctx, id)
		if err != nil || asked || !node.BenchmarkPending || node.BenchmarkUntil > sdk.UnwrapSDKContext(ctx).BlockTime().Unix() {
			reporter.Skip("nothing to resume")
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgResumeNode{Owner: owner.AddressBech32, NodeId: node.Id}
	}
}

// liveNode picks an owner and its first live node.
func liveNode(
	ctx context.Context, k keeper.Keeper, data *simsx.ChainDataSource, reporter simsx.SimulationReporter,
) (simsx.SimAccount, types.Node, bool) {
	owner := data.AnyAccount(reporter)
	if reporter.IsSkipped() {
		return simsx.SimAccount{}, types.Node{}, false
	}
	var found types.Node
	rng := collections.NewPrefixedPairRange[sdk.AccAddress, escrowtypes.ID](owner.Address)
	err := k.ByOwner.Walk(ctx, rng, func(key collections.Pair[sdk.AccAddress, escrowtypes.ID]) (bool, error) {
		n, err := k.Node(ctx, key.K2())
		if err == nil && n.Status.Live() {
			found = n
		}
		return found.Id != "", err
	})
	if err != nil || found.Id == "" {
		reporter.Skip("no live node")
		return simsx.SimAccount{}, types.Node{}, false
	}
	return owner, found, true
}
