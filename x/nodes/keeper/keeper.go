// Package keeper holds the state of x/nodes: which machines there are, what they can do and what is reserved on them.
package keeper

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/internal/typedevent"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// Keeper of the nodes store.
type Keeper struct {
	addresses address.Codec
	escrow    types.EscrowKeeper
	bank      types.BankKeeper
	rounds    types.RoundOpener
	// hooks is shared by all copies of the keeper, since the listeners are made after it.
	hooks *[]types.NodeHooks
	// reporter may record what a quorum of oracles said; authority is the account of governance.
	reporter  string
	authority string

	Schema collections.Schema
	Params collections.Item[types.Params]
	Nodes  collections.Map[escrowtypes.ID, types.Node]
	// ByOwner lists all nodes of an owner, ByKey the live node of an agent key, ByIndex the nodes that were once ACTIVE.
	ByOwner collections.KeySet[collections.Pair[sdk.AccAddress, escrowtypes.ID]]
	ByKey   collections.Map[[]byte, escrowtypes.ID]
	ByIndex collections.Map[uint32, escrowtypes.ID]
	// NextIndex and Schedule are touched in EndBlock only.
	NextIndex collections.Item[uint32]
	Schedule  collections.Item[types.RoundSchedule]
	// ToBenchmark are nodes whose benchmark round opens in EndBlock, or is closed if they have ended.
	ToBenchmark collections.KeySet[escrowtypes.ID]
	// Condemned are the nodes with that mark, by owner: while there is one the owner registers no other.
	Condemned collections.KeySet[collections.Pair[sdk.AccAddress, escrowtypes.ID]]
	// Ratings are the parts of the ratings of live nodes.
	Ratings collections.Map[escrowtypes.ID, types.Ratings]
	// Model of the classes, once there is one.
	Model collections.Item[types.Model]
	// Fleets count the joint benchmarks of owners, FleetsDue are those that are put off, by time. Touched in EndBlock only.
	Fleets    collections.Map[sdk.AccAddress, types.Fleet]
	FleetsDue collections.KeySet[collections.Pair[int64, sdk.AccAddress]]
	// Waiting are the nodes, by owner, that are benchmarked once the joint benchmark that is under way is over. None has a round of its own.
	Waiting collections.KeySet[collections.Pair[sdk.AccAddress, escrowtypes.ID]]
}

// NewKeeper makes the keeper.
func NewKeeper(
	cdc codec.BinaryCodec,
	store corestore.KVStoreService,
	addresses address.Codec,
	escrow types.EscrowKeeper,
	bank types.BankKeeper,
	rounds types.RoundOpener,
	reporter, authority string,
) Keeper {
	sb := collections.NewSchemaBuilder(store)
	k := Keeper{
		addresses: addresses, escrow: escrow, bank: bank, rounds: rounds, hooks: new([]types.NodeHooks),
		reporter: reporter, authority: authority,

		Params: collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cdc)),
		Nodes:  collections.NewMap(sb, types.NodesPrefix, "nodes", escrowtypes.IDKey, codec.CollValue[types.Node](cdc)),
		ByOwner: collections.NewKeySet(sb, types.NodesByOwnerPrefix, "by_owner",
			collections.PairKeyCodec(sdk.AccAddressKey, escrowtypes.IDKey)),
		ByKey:       collections.NewMap(sb, types.NodesByKeyPrefix, "by_key", collections.BytesKey, idValue),
		ByIndex:     collections.NewMap(sb, types.NodesByIndexPrefix, "by_index", collections.Uint32Key, idValue),
		NextIndex:   collections.NewItem(sb, types.NextIndexPrefix, "next_index", collections.Uint32Value),
		Schedule:    collections.NewItem(sb, types.SchedulePrefix, "schedule", codec.CollValue[types.RoundSchedule](cdc)),
		ToBenchmark: collections.NewKeySet(sb, types.ToBenchmarkPrefix, "to_benchmark", escrowtypes.IDKey),
		Ratings:     collections.NewMap(sb, types.RatingsPrefix, "ratings", escrowtypes.IDKey, codec.CollValue[types.Ratings](cdc)),
		Model:       collections.NewItem(sb, types.ModelPrefix, "model", codec.CollValue[types.Model](cdc)),
		Fleets:      collections.NewMap(sb, types.FleetsPrefix, "fleets", sdk.AccAddressKey, codec.CollValue[types.Fleet](cdc)),
		FleetsDue: collections.NewKeySet(sb, types.FleetsDuePrefix, "fleets_due",
			collections.PairKeyCodec(collections.Int64Key, sdk.AccAddressKey)),
		Waiting: collections.NewKeySet(sb, types.WaitingPrefix, "waiting",
			collections.PairKeyCodec(sdk.AccAddressKey, escrowtypes.IDKey)),
		Condemned: collections.NewKeySet(sb, types.CondemnedPrefix, "condemned",
			collections.PairKeyCodec(sdk.AccAddressKey, escrowtypes.IDKey)),
	}
	var err error
	if k.Schema, err = sb.Build(); err != nil {
		panic(fmt.Sprintf("nodes: schema: %v", err))
	}
	return k
}

// AddHooks registers a listener; only while the application is wired.
func (k Keeper) AddHooks(h types.NodeHooks) { *k.hooks = append(*k.hooks, h) }

// Authority is the account of governance.
func (k Keeper) Authority() string { return k.authority }

// Node returns one node, or ErrNodeNotFound.
func (k Keeper) Node(ctx context.Context, id escrowtypes.ID) (types.Node, error) {
	n, err := k.Nodes.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Node{}, types.ErrNodeNotFound.Wrap(id.Bech32(types.NodeHRP))
	}
	return n, err
}

// NodeByIndex returns the node with a dense index, or ErrNodeNotFound.
func (k Keeper) NodeByIndex(ctx context.Context, index uint32) (types.Node, error) {
	id, err := k.ByIndex.Get(ctx, index)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Node{}, types.ErrNodeNotFound.Wrapf("index %d", index)
	}
	if err != nil {
		return types.Node{}, err
	}
	return k.Node(ctx, id)
}

// NodeByAgentKey returns the live node of an agent, or ErrNodeNotFound.
func (k Keeper) NodeByAgentKey(ctx context.Context, key []byte) (types.Node, error) {
	id, err := k.ByKey.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Node{}, types.ErrNodeNotFound.Wrapf("agent key %x", key)
	}
	if err != nil {
		return types.Node{}, err
	}
	return k.Node(ctx, id)
}

// LostGrace is for how many seconds a node may be INACTIVE before its work is lost.
func (k Keeper) LostGrace(ctx context.Context) (uint64, error) {
	p, err := k.Params.Get(ctx)
	return p.LostGrace, err
}

// MaxDrain is for how many seconds a node that drains keeps its services.
func (k Keeper) MaxDrain(ctx context.Context) (uint64, error) {
	p, err := k.Params.Get(ctx)
	return p.MaxDrain, err
}

// owned returns a node that belongs to the signer.
func (k Keeper) owned(ctx context.Context, owner, nodeID string) (escrowtypes.ID, types.Node, error) {
	id, err := types.ParseNodeID(nodeID)
	if err != nil {
		return id, types.Node{}, types.ErrInvalidField.Wrapf("node_id: %s", err)
	}
	signer, err := k.canonical(owner)
	if err != nil {
		return id, types.Node{}, err
	}
	n, err := k.Node(ctx, id)
	if err != nil {
		return id, types.Node{}, err
	}
	if n.Owner != signer {
		return id, types.Node{}, types.ErrNotOwner.Wrapf("%s belongs to %s", nodeID, n.Owner)
	}
	return id, n, nil
}

// canonical is the one text of an address: bech32 can be written in upper case too, and owners are compared as text.
func (k Keeper) canonical(owner string) (string, error) {
	raw, err := k.addresses.StringToBytes(owner)
	if err != nil {
		return "", types.ErrInvalidField.Wrapf("owner %q is not an address: %s", owner, err)
	}
	return k.addresses.BytesToString(raw)
}

// setStatus changes the status of a node and says so; the caller stores the node.
func (k Keeper) setStatus(ctx context.Context, n *types.Node, to types.NodeStatus, reason string) error {
	from := n.Status
	if from == to {
		return nil
	}
	n.Status, n.StatusSince = to, blockSeconds(ctx)
	return emit(ctx, &types.EventNodeStatusChanged{NodeId: n.Id, From: from, To: to, Reason: reason})
}

// FreeOf is what an owner's provider account has free for deposits, in ufog.
func (k Keeper) FreeOf(ctx context.Context, owner sdk.AccAddress) (uint64, error) {
	account, err := k.escrow.Account(ctx, escrowtypes.ProviderAccountID(owner))
	if errors.Is(err, escrowtypes.ErrAccountNotFound) {
		return 0, nil
	}
	return account.Free(), err
}

func blockSeconds(ctx context.Context) int64 { return sdk.UnwrapSDKContext(ctx).BlockTime().Unix() }

func emit(ctx context.Context, event interface {
	Reset()
	String() string
	ProtoMessage()
}) error {
	return typedevent.Emit(sdk.UnwrapSDKContext(ctx), event)
}
