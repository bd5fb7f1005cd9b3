package keeper

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cosmos/gogoproto/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/internal/typedevent"
	"github.com/foggrid/fogd/x/escrow/types"
)

// delta is what a transaction changed in the sums over all accounts, modulo 2^64: −x is the delta of taking x. The sums
// themselves fit in 64 bits (EndBlock checks that the module's coins do), so adding modulo 2^64 gives them exactly.
type delta struct{ balance, locked uint64 }

func (d delta) add(e delta) delta { return delta{d.balance + e.balance, d.locked + e.locked} }

// place says where in the life of a block an operation runs.
type place int

const (
	// inBlockTx is a transaction of a block: the bank's EndBlock and then ours follow, other transactions run in parallel.
	inBlockTx place = iota
	// aroundTxs is begin or end of a block: our EndBlock follows, the bank's may have passed.
	aroundTxs
	// outsideBlock is a transaction after which no EndBlock comes: a gas estimate, one of genesis, or one of the SDK's
	// simulator, which delivers between EndBlock and Commit. Their index is −1.
	outsideBlock
)

func placeOf(ctx sdk.Context) place {
	switch {
	case len(ctx.TxBytes()) == 0:
		return aroundTxs
	case ctx.TxIndex() < 0:
		return outsideBlock
	default:
		return inBlockTx
	}
}

// record adds to the delta of the running transaction. Each transaction has its own key, as in x/bank's virtual sends, so
// that no two of them conflict under parallel execution; begin and end of the block have the index −1.
func (k Keeper) record(ctx context.Context, d delta) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	if placeOf(sdkCtx) == outsideBlock {
		_, err := k.addToTotals(ctx, d)
		return err
	}
	store := sdkCtx.ObjectStore(k.objectKey)
	key := binary.BigEndian.AppendUint64(nil, uint64(sdkCtx.TxIndex()))
	if earlier, ok := store.Get(key).(delta); ok {
		d = d.add(earlier)
	}
	store.Set(key, d)
	return nil
}

// EndBlock folds the block's deltas into the totals and compares them with the bank. On a breach it pauses outflows and
// says so in an event; it never stops the chain.
func (k Keeper) EndBlock(ctx context.Context) error {
	breach := k.fold(ctx)
	if breach == nil {
		return nil
	}
	logger := sdk.UnwrapSDKContext(ctx).Logger().With("module", "x/"+types.ModuleName)
	logger.Error("an invariant of the ledger is broken; outflows are paused", "detail", breach.Error())
	if err := errors.Join(k.pauseOutflows(ctx), emit(ctx, &types.EventInvariantBroken{Detail: breach.Error()})); err != nil {
		logger.Error("outflows could not be paused", "error", err.Error())
	}
	return nil
}

func (k Keeper) pauseOutflows(ctx context.Context) error {
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	params.OutflowsPaused = true
	return k.params.Set(ctx, params)
}

// fold returns what is broken, or nil.
func (k Keeper) fold(ctx context.Context) error {
	sum, err := k.takeDeltas(ctx)
	if err != nil {
		return err
	}
	totals, err := k.addToTotals(ctx, sum)
	if err != nil {
		return fmt.Errorf("totals: %w", err)
	}
	return k.checkTotals(ctx, totals)
}

func (k Keeper) addToTotals(ctx context.Context, d delta) (types.Totals, error) {
	totals, err := k.totals.Get(ctx)
	if err != nil || d == (delta{}) {
		return totals, err
	}
	totals.Balance += d.balance
	totals.Locked += d.locked
	return totals, k.totals.Set(ctx, totals)
}

// takeDeltas sums the recorded deltas up and forgets them, so that folding twice counts once.
func (k Keeper) takeDeltas(ctx context.Context) (sum delta, err error) {
	store := sdk.UnwrapSDKContext(ctx).ObjectStore(k.objectKey)
	it := store.Iterator(nil, nil)
	var keys [][]byte
	for ; it.Valid(); it.Next() {
		d, ok := it.Value().(delta)
		if !ok {
			err = errors.Join(err, fmt.Errorf("a delta is a %T", it.Value()))
			continue
		}
		sum = sum.add(d)
		keys = append(keys, it.Key())
	}
	err = errors.Join(err, it.Close())
	for _, key := range keys {
		store.Delete(key)
	}
	return sum, err
}

// checkTotals compares the totals with each other and with the coins of the module account.
func (k Keeper) checkTotals(ctx context.Context, totals types.Totals) error {
	coins := k.bank.GetBalance(ctx, k.module, types.Denom).Amount
	switch {
	case !coins.IsUint64():
		return fmt.Errorf("the module account holds %s%s, more than the ledger can count", coins, types.Denom)
	case coins.Uint64() < totals.Balance:
		return fmt.Errorf("the module account holds %d%s, the accounts together %d", coins.Uint64(), types.Denom, totals.Balance)
	case totals.Locked > totals.Balance:
		return fmt.Errorf("%d%s are locked of %d in all accounts", totals.Locked, types.Denom, totals.Balance)
	default:
		return nil
	}
}

func emit(ctx context.Context, event proto.Message) error {
	return typedevent.Emit(sdk.UnwrapSDKContext(ctx), event)
}
