// Package simulation makes random messages of x/nodes for simulations of the whole chain.
package simulation

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"
	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/keeper"
	"github.com/foggrid/fogd/x/nodes/types"
)

// MsgRegisterNodeFactory registers a machine of an owner whose deposit is there.
func MsgRegisterNodeFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgRegisterNode] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgRegisterNode) {
		p, err := k.Params.Get(ctx)
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		owner, ok := depositor(ctx, k, data, reporter, p.MinDeposit)
		if !ok {
			reporter.Skip("nobody has the deposit")
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
			Prices:         randomPrices(r),
			Engines:        simsx.OneOf(r, engines),
			Attributes:     types.Node{}.WithVolumes(r.Intn(4) > 0),
			Address:        salt + ".example",
			Ports:          types.PortRange{From: 20_000, To: 20_000 + r.Uint32InRange(1, 100)},
			Deposit:        p.MinDeposit,
			AgentSignature: ed25519.Sign(agent, types.RegistrationBytes(owner.Address, salt)),
		}
	}
}

// engines that simulated nodes declare.
var engines = [][]types.Engine{nil, {types.ENGINE_WASM}, {types.ENGINE_DOCKER}, {types.ENGINE_WASM, types.ENGINE_DOCKER}}

// MsgUpdateNodeFactory changes the prices of a node, and sometimes its engines and its offline hours.
func MsgUpdateNodeFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgUpdateNode] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgUpdateNode) {
		owner, node, ok := liveNode(ctx, k, data, reporter)
		if !ok {
			return nil, nil
		}
		prices := randomPrices(data.Rand())
		msg := &types.MsgUpdateNode{
			Owner: owner.AddressBech32, NodeId: node.Id, Prices: &prices, Engines: simsx.OneOf(data.Rand(), engines),
		}
		if data.Rand().Intn(4) == 0 {
			msg.Hours = &types.OfflineHours{Weekly: []types.WeeklyHours{{
				Start: uint32(data.Rand().Intn(7 * 24 * 60)), Minutes: data.Rand().Uint32InRange(1, 24*60),
			}}}
		}
		return []simsx.SimAccount{owner}, msg
	}
}

// randomPrices are such that most of x/jobs' simulated jobs can pay some of the nodes.
func randomPrices(r *simsx.XRand) types.Prices {
	return types.Prices{Cpu: uint64(r.IntInRange(1, 10_000)), Memory: uint64(r.IntInRange(0, 1_000))}
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
		asked, err := k.Asked(ctx, id, node)
		if err != nil || asked || !node.BenchmarkPending || node.BenchmarkUntil > sdk.UnwrapSDKContext(ctx).BlockTime().Unix() {
			reporter.Skip("nothing to resume")
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgResumeNode{Owner: owner.AddressBech32, NodeId: node.Id}
	}
}

// depositor picks an owner who has at least so much in escrow that is free.
func depositor(
	ctx context.Context, k keeper.Keeper, data *simsx.ChainDataSource, reporter simsx.SimulationReporter, least uint64,
) (simsx.SimAccount, bool) {
	n := data.AccountsCount()
	first := data.Rand().Intn(n)
	for i := range n {
		owner := data.AccountAt(reporter, (first+i)%n)
		if free, err := k.FreeOf(ctx, owner.Address); err == nil && free >= least {
			return owner, true
		}
	}
	return simsx.SimAccount{}, false
}

// liveNode picks a live node and its owner.
func liveNode(
	ctx context.Context, k keeper.Keeper, data *simsx.ChainDataSource, reporter simsx.SimulationReporter,
) (simsx.SimAccount, types.Node, bool) {
	var live []types.Node
	err := k.Nodes.Walk(ctx, nil, func(_ escrowtypes.ID, n types.Node) (bool, error) {
		if n.Status.Live() && data.HasAccount(n.Owner) {
			live = append(live, n)
		}
		return false, nil
	})
	if err != nil {
		reporter.Fail(err)
		return simsx.SimAccount{}, types.Node{}, false
	}
	if len(live) == 0 {
		reporter.Skip("no live node")
		return simsx.SimAccount{}, types.Node{}, false
	}
	node := simsx.OneOf(data.Rand(), live)
	return data.GetAccount(reporter, node.Owner), node, true
}
