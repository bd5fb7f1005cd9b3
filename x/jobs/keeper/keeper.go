// Package keeper holds the life of jobs: what was submitted, where its slices run, and the money that moves when they end.
package keeper

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"
	"github.com/cosmos/gogoproto/proto"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/internal/typedevent"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// Keeper reads and writes jobs. It has no mutable fields, so copies are equal.
type Keeper struct {
	addresses address.Codec
	escrow    types.EscrowKeeper
	nodes     types.NodesKeeper
	rounds    types.RoundOpener
	authority string
	reporter  string

	// Schema describes the collections below.
	Schema collections.Schema

	params collections.Item[types.Params]
	// The maps are plain and their indexes key sets that are written only when the key changes: an IndexedMap would delete and
	// write every entry at each change of a record.
	jobs    collections.Map[escrowtypes.ID, types.Job]
	byOwner collections.KeySet[collections.Pair[sdk.AccAddress, escrowtypes.ID]]
	// open are the jobs that have not ended.
	open   collections.KeySet[escrowtypes.ID]
	slices collections.Map[types.SliceKey, types.Slice]
	// pending is the queue of slices that wait for a match, by the height at which they were queued.
	pending collections.KeySet[collections.Pair[int64, types.SliceKey]]
	// deadlines has exactly one entry an open slice: a second at or before its due time, at which EndBlock looks at it.
	deadlines collections.KeySet[collections.Pair[int64, types.SliceKey]]
	// running are the MATCHED slices of each node.
	running    collections.KeySet[collections.Pair[escrowtypes.ID, types.SliceKey]]
	matchState collections.Item[types.MatchState]
	// losses are the nodes whose running slices will be lost, lossQueue the same by time.
	losses    collections.Map[escrowtypes.ID, types.NodeLoss]
	lossQueue collections.KeySet[collections.Pair[int64, escrowtypes.ID]]
	// cancelling are the jobs whose slices a cancellation has not yet reached.
	cancelling collections.KeySet[escrowtypes.ID]
	// periodic jobs; runQueue has an entry for each that is ACTIVE, at the second of its next run.
	periodic        collections.Map[escrowtypes.ID, types.PeriodicJob]
	periodicByOwner collections.KeySet[collections.Pair[sdk.AccAddress, escrowtypes.ID]]
	runQueue        collections.KeySet[collections.Pair[int64, escrowtypes.ID]]
	// serving are the MATCHED slices of services, changing the services that EndBlock brings to what is wanted.
	serving  collections.KeySet[types.SliceKey]
	changing collections.KeySet[escrowtypes.ID]
	clock    collections.Item[types.ServiceClock]
}

// NewKeeper makes the keeper. authority may change the params; reporter, the oracle module's address, may record matches and
// outcomes.
func NewKeeper(
	cdc codec.BinaryCodec,
	storeService corestore.KVStoreService,
	addresses address.Codec,
	escrow types.EscrowKeeper,
	nodes types.NodesKeeper,
	rounds types.RoundOpener,
	authority, reporter string,
) Keeper {
	sb := collections.NewSchemaBuilder(storeService)
	id, slice := escrowtypes.IDKey, types.SliceKeyCodec
	k := Keeper{
		addresses: addresses,
		escrow:    escrow,
		nodes:     nodes,
		rounds:    rounds,
		authority: authority,
		reporter:  reporter,

		params:  collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cdc)),
		jobs:    collections.NewMap(sb, types.JobsPrefix, "jobs", id, codec.CollValue[types.Job](cdc)),
		byOwner: collections.NewKeySet(sb, types.JobsByOwnerPrefix, "jobs_by_owner", collections.PairKeyCodec(sdk.AccAddressKey, id)),
		open:    collections.NewKeySet(sb, types.OpenJobsPrefix, "open_jobs", id),
		slices:  collections.NewMap(sb, types.SlicesPrefix, "slices", slice, codec.CollValue[types.Slice](cdc)),
		pending: collections.NewKeySet(sb, types.PendingPrefix, "pending", collections.PairKeyCodec(collections.Int64Key, slice)),
		deadlines: collections.NewKeySet(sb, types.DeadlinesPrefix, "deadlines",
			collections.PairKeyCodec(collections.Int64Key, slice)),
		running:    collections.NewKeySet(sb, types.RunningPrefix, "running", collections.PairKeyCodec(id, slice)),
		matchState: collections.NewItem(sb, types.MatchStatePrefix, "match_state", codec.CollValue[types.MatchState](cdc)),
		losses:     collections.NewMap(sb, types.LossesPrefix, "losses", id, codec.CollValue[types.NodeLoss](cdc)),
		lossQueue:  collections.NewKeySet(sb, types.LossQueuePrefix, "loss_queue", collections.PairKeyCodec(collections.Int64Key, id)),
		cancelling: collections.NewKeySet(sb, types.CancellingPrefix, "cancelling", id),
		periodic:   collections.NewMap(sb, types.PeriodicPrefix, "periodic", id, codec.CollValue[types.PeriodicJob](cdc)),
		periodicByOwner: collections.NewKeySet(sb, types.PeriodicByOwnerPrefix, "periodic_by_owner",
			collections.PairKeyCodec(sdk.AccAddressKey, id)),
		runQueue: collections.NewKeySet(sb, types.RunQueuePrefix, "run_queue", collections.PairKeyCodec(collections.Int64Key, id)),
		serving:  collections.NewKeySet(sb, types.ServingPrefix, "serving", slice),
		changing: collections.NewKeySet(sb, types.ChangingPrefix, "changing", id),
		clock:    collections.NewItem(sb, types.ServiceClockPrefix, "service_clock", codec.CollValue[types.ServiceClock](cdc)),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Sprintf("jobs: schema: %v", err))
	}
	k.Schema = schema
	return k
}

// Authority is the address that may change the params.
func (k Keeper) Authority() string { return k.authority }

// Params returns the module's params.
func (k Keeper) Params(ctx context.Context) (types.Params, error) { return k.params.Get(ctx) }

// Job returns a job, or ErrJobNotFound.
func (k Keeper) Job(ctx context.Context, id escrowtypes.ID) (types.Job, error) {
	job, err := k.jobs.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Job{}, types.ErrJobNotFound.Wrapf("%s; check the id", id.Bech32(types.JobHRP))
	}
	return job, err
}

// Slice returns a slice of a job, or ErrSliceNotFound.
func (k Keeper) Slice(ctx context.Context, job escrowtypes.ID, number uint32) (types.Slice, error) {
	slice, err := k.slices.Get(ctx, collections.Join(job, number))
	if errors.Is(err, collections.ErrNotFound) {
		return types.Slice{}, types.ErrSliceNotFound.Wrapf("%s has no slice %d", job.Bech32(types.JobHRP), number)
	}
	return slice, err
}

func emit(ctx context.Context, event proto.Message) error {
	return typedevent.Emit(sdk.UnwrapSDKContext(ctx), event)
}

// blockSeconds is the block's time as Unix seconds.
func blockSeconds(ctx context.Context) int64 { return sdk.UnwrapSDKContext(ctx).BlockTime().Unix() }
