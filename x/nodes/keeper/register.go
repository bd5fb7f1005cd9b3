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

// gasSignature pays for checking the agent's signature.
const gasSignature = 1_000

// register declares a machine: it pays the fee, locks the deposit and asks for a benchmark.
func (k Keeper) register(ctx context.Context, owner sdk.AccAddress, msg *types.MsgRegisterNode) (escrowtypes.ID, error) {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasSignature, "agent signature")
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
	if err := k.takeFee(ctx, owner, p.RegistrationFee); err != nil {
		return id, err
	}
	ownerText, err := k.addresses.BytesToString(owner)
	if err != nil {
		return id, err
	}
	n := types.Node{
		Id: id.Bech32(types.NodeHRP), Owner: ownerText, Status: types.NODE_STATUS_PENDING, AgentKey: msg.AgentKey,
		Region: msg.Region, Datacenter: msg.Datacenter, Capacity: msg.Capacity, Hardware: msg.Hardware, Declared: msg.Declared,
		Attributes: msg.Attributes, Prices: msg.Prices, Deposit: msg.Deposit, Boot: msg.Boot,
		Location: msg.Location, Engines: msg.Engines, Address: msg.Address, Ports: msg.Ports,
		StatusSince: blockSeconds(ctx), RegisteredHeight: sdk.UnwrapSDKContext(ctx).BlockHeight(),
	}
	if err := k.askBenchmark(ctx, id, &n); err != nil {
		return id, err
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
	return id, emit(ctx, &types.EventNodeRegistered{NodeId: n.Id, Owner: n.Owner, Deposit: n.Deposit})
}

// takeFee sends the registration fee to the fee collector, virtually, so that registrations do not conflict. The bank credits virtual
// sends only of the transactions of a block; a message that governance executes, or one in genesis, sends ordinarily.
func (k Keeper) takeFee(ctx context.Context, owner sdk.AccAddress, amount uint64) error {
	if amount == 0 {
		return nil
	}
	fee := sdk.NewCoins(escrowtypes.Coin(amount))
	if sdkCtx := sdk.UnwrapSDKContext(ctx); len(sdkCtx.TxBytes()) == 0 || sdkCtx.TxIndex() < 0 {
		return k.bank.SendCoinsFromAccountToModule(ctx, owner, authtypes.FeeCollectorName, fee)
	}
	return k.bank.SendCoinsFromAccountToModuleVirtual(ctx, owner, authtypes.FeeCollectorName, fee)
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
		return types.ErrOwnerJailed.Wrap("a node of this owner was condemned for a false declaration; correct it and resume it, if it is not jailed for good")
	}
	return nil
}
