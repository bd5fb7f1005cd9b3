package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	collcodec "cosmossdk.io/collections/codec"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// idValue stores an id as a value.
var idValue = collcodec.KeyToValueCodec(escrowtypes.IDKey)

// gasRegister pays for checking the agent's signature and for the benchmark that follows.
const gasRegister = 50_000

// register declares a machine: it pays the fee, locks the deposit and asks for a benchmark.
func (k Keeper) register(ctx context.Context, owner sdk.AccAddress, msg *types.MsgRegisterNode) (escrowtypes.ID, error) {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasRegister, "node registration")
	id := types.NodeID(owner, msg.Salt)
	if err := msg.Validate(owner); err != nil {
		return id, err
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return id, err
	}
	if msg.Deposit < p.MinDeposit {
		return id, types.ErrInsufficientDeposit.Wrapf("deposit is %d ufog; the least is %d", msg.Deposit, p.MinDeposit)
	}
	if err := k.mayRegister(ctx, owner, id, msg.AgentKey); err != nil {
		return id, err
	}
	err = k.escrow.Lock(ctx, escrowtypes.ProviderAccountID(owner), msg.Deposit)
	if errors.Is(err, escrowtypes.ErrAccountNotFound) || errors.Is(err, escrowtypes.ErrInsufficientFree) {
		return id, types.ErrInsufficientDeposit.Wrapf("%d ufog must be free in the owner's provider account (%s); run `fogd tx escrow deposit` first",
			msg.Deposit, err)
	}
	if err != nil {
		return id, err
	}
	if p.RegistrationFee > 0 {
		fee := sdk.NewCoins(escrowtypes.Coin(p.RegistrationFee))
		if err := k.bank.SendCoinsFromAccountToModuleVirtual(ctx, owner, authtypes.FeeCollectorName, fee); err != nil {
			return id, err
		}
	}
	n := types.Node{
		Id: id.Bech32(types.NodeHRP), Owner: msg.Owner, Status: types.NODE_STATUS_PENDING, AgentKey: msg.AgentKey,
		Region: msg.Region, Datacenter: msg.Datacenter, Capacity: msg.Capacity, Hardware: msg.Hardware, Declared: msg.Declared,
		Attributes: msg.Attributes, Prices: msg.Prices, Deposit: msg.Deposit, Boot: msg.Boot, BenchmarkPending: true,
		StatusSince: blockSeconds(ctx), RegisteredHeight: sdk.UnwrapSDKContext(ctx).BlockHeight(),
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return id, err
	}
	if err := k.ByOwner.Set(ctx, collections.Join(owner, id)); err != nil {
		return id, err
	}
	if err := k.ByKey.Set(ctx, msg.AgentKey, id); err != nil {
		return id, err
	}
	if err := k.ToBenchmark.Set(ctx, id); err != nil {
		return id, err
	}
	return id, emit(ctx, &types.EventNodeRegistered{NodeId: n.Id, Owner: n.Owner, Deposit: n.Deposit})
}

// mayRegister checks what only the state knows.
func (k Keeper) mayRegister(ctx context.Context, owner sdk.AccAddress, id escrowtypes.ID, key []byte) error {
	exists, err := k.Nodes.Has(ctx, id)
	if err != nil {
		return err
	}
	if exists {
		return types.ErrNodeExists.Wrapf("%s; choose another salt", id.Bech32(types.NodeHRP))
	}
	other, err := k.ByKey.Get(ctx, key)
	if err == nil {
		return types.ErrAgentKeyTaken.Wrapf("%s has it; retire that node or give this agent a key of its own", other.Bech32(types.NodeHRP))
	}
	if !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	iter, err := k.Condemned.Iterate(ctx, collections.NewPrefixedPairRange[sdk.AccAddress, escrowtypes.ID](owner))
	if err != nil {
		return err
	}
	condemned := iter.Valid()
	if err := iter.Close(); err != nil {
		return err
	}
	if condemned {
		return types.ErrOwnerJailed.Wrap("a node of this owner is jailed for a false declaration; resume it with a true one or retire it")
	}
	return nil
}

// update changes what the owner may change; anything that is raised must be benchmarked before it is matched.
func (k Keeper) update(ctx context.Context, msg *types.MsgUpdateNode) (bool, error) {
	id, n, err := k.owned(ctx, msg.Owner, msg.NodeId)
	if err != nil {
		return false, err
	}
	if !n.Status.Live() {
		return false, types.ErrWrongStatus.Wrapf("%s is %s and cannot change", n.Id, n.Status)
	}
	if err := msg.Validate(n); err != nil {
		return false, err
	}
	if msg.Prices != nil {
		n.Prices = *msg.Prices
	}
	if msg.ReplaceAttributes {
		n.Attributes = msg.Attributes
	}
	raised := false
	if msg.Capacity != nil {
		raised = msg.Capacity.FitsIn(n.Capacity) != nil
		n.Capacity = *msg.Capacity
	}
	if msg.Declared != nil {
		raised = raised || msg.Declared.Raises(n.Declared)
		n.Declared = *msg.Declared
	}
	if raised {
		n.BenchmarkPending, n.BenchmarkTries = true, 0
		if err := k.ToBenchmark.Set(ctx, id); err != nil {
			return false, err
		}
	}
	if err := k.Nodes.Set(ctx, id, n); err != nil {
		return false, err
	}
	return n.BenchmarkPending, emit(ctx, &types.EventNodeUpdated{NodeId: n.Id, BenchmarkPending: n.BenchmarkPending})
}

// drain stops new work.
func (k Keeper) drain(ctx context.Context, msg *types.MsgDrainNode) error {
	id, n, err := k.owned(ctx, msg.Owner, msg.NodeId)
	if err != nil {
		return err
	}
	if n.Status != types.NODE_STATUS_ACTIVE && n.Status != types.NODE_STATUS_INACTIVE || n.Draining {
		return types.ErrWrongStatus.Wrapf("%s is %s (draining: %t); only an ACTIVE or INACTIVE node can start to drain", n.Id, n.Status, n.Draining)
	}
	n.Draining = true
	if n.Status == types.NODE_STATUS_ACTIVE {
		if err := k.setStatus(ctx, &n, types.NODE_STATUS_DRAINING, "drained by its owner"); err != nil {
			return err
		}
	}
	return k.Nodes.Set(ctx, id, n)
}

// resume ends draining, or asks for a new benchmark of a node that waits in vain or in jail.
func (k Keeper) resume(ctx context.Context, msg *types.MsgResumeNode) error {
	id, n, err := k.owned(ctx, msg.Owner, msg.NodeId)
	if err != nil {
		return err
	}
	switch {
	case n.Draining && n.Status == types.NODE_STATUS_DRAINING:
		n.Draining = false
		if err := k.setStatus(ctx, &n, types.NODE_STATUS_ACTIVE, "resumed by its owner"); err != nil {
			return err
		}
	case n.Draining && n.Status == types.NODE_STATUS_INACTIVE:
		n.Draining = false
	case n.Status == types.NODE_STATUS_JAILED && n.Offences >= maxOffences:
		return types.ErrWrongStatus.Wrapf("%s is jailed for good after %d false declarations; retire it", n.Id, n.Offences)
	case n.Status == types.NODE_STATUS_JAILED, n.Status == types.NODE_STATUS_PENDING, n.BenchmarkPending && n.Status.Live():
		n.BenchmarkPending, n.BenchmarkTries = true, 0
		if err := k.ToBenchmark.Set(ctx, id); err != nil {
			return err
		}
	default:
		return types.ErrWrongStatus.Wrapf("%s is %s; there is nothing to resume", n.Id, n.Status)
	}
	return k.Nodes.Set(ctx, id, n)
}

// retire ends a registration that holds no work and frees its deposit.
func (k Keeper) retire(ctx context.Context, msg *types.MsgRetireNode) (uint64, error) {
	id, n, err := k.owned(ctx, msg.Owner, msg.NodeId)
	if err != nil {
		return 0, err
	}
	if !n.Status.Live() {
		return 0, types.ErrWrongStatus.Wrapf("%s is %s already", n.Id, n.Status)
	}
	if n.RunningTasks > 0 {
		return 0, types.ErrInUse.Wrapf("%s has %d running tasks; drain it and wait until they have ended", n.Id, n.RunningTasks)
	}
	released, err := k.end(ctx, id, &n, types.NODE_STATUS_RETIRED, "retired by its owner")
	if err != nil {
		return 0, err
	}
	return released, k.Nodes.Set(ctx, id, n)
}

// end makes a node RETIRED or REFUSED: its key and its deposit are free again. The caller stores the node.
func (k Keeper) end(ctx context.Context, id escrowtypes.ID, n *types.Node, to types.NodeStatus, reason string) (uint64, error) {
	if err := k.ByKey.Remove(ctx, n.AgentKey); err != nil {
		return 0, err
	}
	if err := k.ToBenchmark.Remove(ctx, id); err != nil {
		return 0, err
	}
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return 0, err
	}
	if err := k.Condemned.Remove(ctx, collections.Join(sdk.AccAddress(owner), id)); err != nil {
		return 0, err
	}
	released := n.Deposit
	if released > 0 {
		if err := k.escrow.Unlock(ctx, escrowtypes.ProviderAccountID(owner), released); err != nil {
			return 0, err
		}
	}
	n.Deposit, n.BenchmarkPending, n.Draining = 0, false, false
	return released, k.setStatus(ctx, n, to, reason)
}
