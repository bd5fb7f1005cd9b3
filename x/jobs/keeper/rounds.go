package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/jobs/types"
)

// getMatchState is zero before the first match round.
func (k Keeper) getMatchState(ctx context.Context) (types.MatchState, error) {
	state, err := k.matchState.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return types.MatchState{}, nil
	}
	return state, err
}

// openMatchRound asks for a batch on the state of this height, if work waits and no batch is being voted on. A queue that the last
// snapshot held already is tried again when capacity became free, or after a pause: prices and nodes may have changed.
func (k Keeper) openMatchRound(ctx context.Context, p types.Params) error {
	newest, found, err := k.newestPending(ctx)
	if err != nil || !found {
		return err
	}
	open, err := k.rounds.HasOpenRound(ctx, types.RoundKindMatches)
	if err != nil || open {
		return err
	}
	state, err := k.getMatchState(ctx)
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	if now < state.IdleUntil && max(newest, state.ChangedHeight) <= state.Height {
		return nil
	}
	height, deadline := sdk.UnwrapSDKContext(ctx).BlockHeight(), now+int64(p.MatchWindow)
	if _, err := k.rounds.OpenRound(ctx, types.RoundKindMatches, types.EncodeMatchSubject(height), deadline, deadline); err != nil {
		return err
	}
	// The pause counts from here too, should the round end without a batch.
	state.Height, state.IdleUntil = height, now+int64(p.MatchIdle)
	return k.matchState.Set(ctx, state)
}

// noteCapacity lets a queue that the last snapshot could not serve be tried again: capacity has become free since.
func (k Keeper) noteCapacity(ctx context.Context) error {
	state, err := k.getMatchState(ctx)
	if err != nil {
		return err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	if state.ChangedHeight == height {
		return nil
	}
	state.ChangedHeight = height
	return k.matchState.Set(ctx, state)
}

// newestPending is the height at which the last slice in the queue was queued.
func (k Keeper) newestPending(ctx context.Context) (int64, bool, error) {
	var newest int64
	found := false
	last := new(collections.Range[collections.Pair[int64, types.SliceKey]]).Descending()
	err := k.pending.Walk(ctx, last, func(key collections.Pair[int64, types.SliceKey]) (bool, error) {
		newest, found = key.K1(), true
		return true, nil
	})
	return newest, found, err
}
