// Package keeper holds the state of x/oracle: who may speak for the world outside, what was asked, and what a quorum said.
package keeper

import (
	"context"
	"fmt"

	"github.com/cosmos/gogoproto/proto"

	"cosmossdk.io/collections"
	collcodec "cosmossdk.io/collections/codec"
	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/foggrid/fogd/internal/typedevent"
	"github.com/foggrid/fogd/x/oracle/types"
)

// Keeper of the oracle store. It has no mutable fields, so copies are equal.
type Keeper struct {
	escrow    types.EscrowKeeper
	router    types.MsgRouter
	reports   map[string]types.ReportType
	authority string
	// reporter is the module's own address, the authority of the reports.
	reporter  string
	addresses address.Codec
	// ballots is the object store that holds a block's votes until EndBlock counts them.
	ballots storetypes.StoreKey

	Schema collections.Schema
	Params collections.Item[types.Params]
	// Oracles by operator. Anybody who bonds has a record, so only queries and genesis may walk over them.
	Oracles collections.Map[sdk.AccAddress, types.Oracle]
	// Admitted operators, at most max_oracles.
	Admitted collections.KeySet[sdk.AccAddress]
	// Feeders from hot key to operator.
	Feeders collections.Map[sdk.AccAddress, sdk.AccAddress]
	// Unbondings by operator and time of completion, UnbondingQueue by time.
	Unbondings     collections.Map[collections.Pair[sdk.AccAddress, int64], uint64]
	UnbondingQueue collections.KeySet[collections.Pair[int64, sdk.AccAddress]]
	// Sets grow by number; those that no kept round names are removed.
	Sets       collections.Map[uint64, types.OracleSet]
	CurrentSet collections.Item[uint64]
	// NextRound is touched in EndBlock only, so that transactions do not conflict.
	NextRound collections.Item[uint64]
	Rounds    collections.Map[uint64, types.Round]
	// OpenRounds holds the rounds that take votes for a result, by kind and subject: one a subject.
	OpenRounds collections.Map[collections.Pair[string, []byte], uint64]
	// RoundQueue holds exactly one entry a round: when it is to be closed, reopened or removed.
	RoundQueue collections.KeySet[collections.Pair[int64, uint64]]
	// Accepted open rounds wait for the execution of their report, because a block's limit was reached.
	Accepted      collections.KeySet[uint64]
	Epoch         collections.Item[types.Epoch]
	Participation collections.Map[sdk.AccAddress, types.Participation]
	Quota         collections.Map[sdk.AccAddress, types.QuotaUse]
}

// NewKeeper makes the keeper; ballots is an object store's key, authority is the account of governance. The kinds of rounds are
// those of reports and no others.
func NewKeeper(
	cdc codec.BinaryCodec,
	store corestore.KVStoreService,
	ballots storetypes.StoreKey,
	addresses address.Codec,
	escrow types.EscrowKeeper,
	router types.MsgRouter,
	reports map[string]types.ReportType,
	authority string,
) Keeper {
	if _, err := addresses.StringToBytes(authority); err != nil {
		panic(fmt.Sprintf("oracle: authority %q: %v", authority, err))
	}
	reporter, err := addresses.BytesToString(authtypes.NewModuleAddress(types.ModuleName))
	if err != nil {
		panic(fmt.Sprintf("oracle: module address: %v", err))
	}
	sb := collections.NewSchemaBuilder(store)
	k := Keeper{
		escrow:    escrow,
		router:    router,
		reports:   reports,
		authority: authority,
		reporter:  reporter,
		addresses: addresses,
		ballots:   ballots,

		Params:   collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cdc)),
		Oracles:  collections.NewMap(sb, types.OraclesPrefix, "oracles", sdk.AccAddressKey, codec.CollValue[types.Oracle](cdc)),
		Admitted: collections.NewKeySet(sb, types.AdmittedPrefix, "admitted", sdk.AccAddressKey),
		Feeders:  collections.NewMap(sb, types.FeedersPrefix, "feeders", sdk.AccAddressKey, collcodec.KeyToValueCodec(sdk.AccAddressKey)),
		Unbondings: collections.NewMap(sb, types.UnbondingsPrefix, "unbondings",
			collections.PairKeyCodec(sdk.AccAddressKey, collections.Int64Key), collections.Uint64Value),
		UnbondingQueue: collections.NewKeySet(sb, types.UnbondingQueuePrefix, "unbonding_queue",
			collections.PairKeyCodec(collections.Int64Key, sdk.AccAddressKey)),
		Sets:       collections.NewMap(sb, types.SetsPrefix, "sets", collections.Uint64Key, codec.CollValue[types.OracleSet](cdc)),
		CurrentSet: collections.NewItem(sb, types.CurrentSetPrefix, "current_set", collections.Uint64Value),
		NextRound:  collections.NewItem(sb, types.NextRoundPrefix, "next_round", collections.Uint64Value),
		Rounds:     collections.NewMap(sb, types.RoundsPrefix, "rounds", collections.Uint64Key, codec.CollValue[types.Round](cdc)),
		OpenRounds: collections.NewMap(sb, types.OpenRoundsPrefix, "open_rounds",
			collections.PairKeyCodec(collections.StringKey, collections.BytesKey), collections.Uint64Value),
		RoundQueue: collections.NewKeySet(sb, types.RoundQueuePrefix, "round_queue",
			collections.PairKeyCodec(collections.Int64Key, collections.Uint64Key)),
		Accepted: collections.NewKeySet(sb, types.AcceptedPrefix, "accepted", collections.Uint64Key),
		Epoch:    collections.NewItem(sb, types.EpochPrefix, "epoch", codec.CollValue[types.Epoch](cdc)),
		Participation: collections.NewMap(sb, types.ParticipationPrefix, "participation", sdk.AccAddressKey,
			codec.CollValue[types.Participation](cdc)),
		Quota: collections.NewMap(sb, types.QuotaPrefix, "quota", sdk.AccAddressKey, codec.CollValue[types.QuotaUse](cdc)),
	}
	if k.Schema, err = sb.Build(); err != nil {
		panic(fmt.Sprintf("oracle: schema: %v", err))
	}
	return k
}

// Authority is the account of governance.
func (k Keeper) Authority() string { return k.authority }

// Reporter is the authority that reports are executed with.
func (k Keeper) Reporter() string { return k.reporter }

// blockSeconds is the block's time as Unix seconds.
func blockSeconds(ctx context.Context) int64 {
	return sdk.UnwrapSDKContext(ctx).BlockTime().Unix()
}

// text is the bech32 form of an address that came from bytes of the right length.
func (k Keeper) text(address sdk.AccAddress) string {
	s, err := k.addresses.BytesToString(address)
	if err != nil {
		panic(fmt.Sprintf("oracle: address %x: %v", []byte(address), err))
	}
	return s
}

// parse reads an address that the module wrote itself or whose error the caller explains.
func (k Keeper) parse(s string) (sdk.AccAddress, error) { return k.addresses.StringToBytes(s) }

func emit(ctx context.Context, event proto.Message) error {
	return typedevent.Emit(sdk.UnwrapSDKContext(ctx), event)
}
