package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// OpenRound asks the oracles about a subject until deadline; without a quorum it is asked again, for as long as it was open
// the first time, until finalDeadline (both Unix seconds). It must run in EndBlock: it takes the next number.
func (k Keeper) OpenRound(ctx context.Context, kind string, subject []byte, deadline, finalDeadline int64) (uint64, error) {
	report, ok := k.reports[kind]
	if !ok {
		return 0, types.ErrUnknownKind.Wrapf("%q", kind)
	}
	if len(subject) == 0 || len(subject) > types.MaxSubjectLength {
		return 0, types.ErrInvalidField.Wrapf("subject has %d bytes; it must have 1 to %d", len(subject), types.MaxSubjectLength)
	}
	now := blockSeconds(ctx)
	if deadline <= now {
		return 0, types.ErrInvalidField.Wrapf("deadline %d must be after the block's time %d", deadline, now)
	}
	tries := uint32(1)
	latest, err := k.Subjects.Get(ctx, collections.Join(kind, subject))
	switch {
	case err == nil:
		before, err := k.Rounds.Get(ctx, latest)
		if err != nil {
			return 0, err
		}
		if before.Status == types.ROUND_STATUS_OPEN {
			return 0, types.ErrRoundExists.Wrapf("round %d of kind %s on this subject is open", latest, kind)
		}
		tries = before.Tries + 1
	case !errors.Is(err, collections.ErrNotFound):
		return 0, err
	}
	set, err := k.currentSet(ctx)
	if err != nil {
		return 0, err
	}
	id, err := k.NextRound.Get(ctx)
	if err != nil {
		return 0, err
	}
	round := types.Round{
		Id: id, Kind: kind, Rule: report.Rule, Subject: subject, Status: types.ROUND_STATUS_OPEN,
		Set: set.Id, Quorum: types.Quorum(len(set.Operators)),
		OpenedHeight: sdk.UnwrapSDKContext(ctx).BlockHeight(), OpenedTime: now,
		Deadline: deadline, FinalDeadline: finalDeadline, Tries: tries, Queued: deadline,
	}
	if err := k.NextRound.Set(ctx, id+1); err != nil {
		return 0, err
	}
	if err := k.Rounds.Set(ctx, id, round); err != nil {
		return 0, err
	}
	if err := k.OpenRounds.Set(ctx, collections.Join(kind, id)); err != nil {
		return 0, err
	}
	if err := k.RoundQueue.Set(ctx, collections.Join(deadline, id)); err != nil {
		return 0, err
	}
	if err := k.Subjects.Set(ctx, collections.Join(kind, subject), id); err != nil {
		return 0, err
	}
	return id, emit(ctx, &types.EventRoundOpened{RoundId: id, Kind: kind, Subject: subject, Tries: tries})
}

// HasOpenRound says whether any round of a kind waits for its result.
func (k Keeper) HasOpenRound(ctx context.Context, kind string) (bool, error) {
	iter, err := k.OpenRounds.Iterate(ctx, collections.NewPrefixedPairRange[string, uint64](kind))
	if err != nil {
		return false, err
	}
	valid := iter.Valid()
	return valid, iter.Close()
}

// CancelRounds ends the open round on a subject, if there is one, without a result: its subject is gone.
func (k Keeper) CancelRounds(ctx context.Context, kind string, subject []byte) error {
	id, err := k.Subjects.Get(ctx, collections.Join(kind, subject))
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	round, err := k.Rounds.Get(ctx, id)
	if err != nil {
		return err
	}
	if round.Status != types.ROUND_STATUS_OPEN {
		return nil
	}
	return k.finish(ctx, &round, types.ROUND_STATUS_CANCELLED, nil)
}

// finish ends a round: it leaves the open ones, its votes move into its record, and it waits for its removal.
func (k Keeper) finish(ctx context.Context, round *types.Round, status types.RoundStatus, votes []types.RecordedVote) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	if err := k.OpenRounds.Remove(ctx, collections.Join(round.Kind, round.Id)); err != nil {
		return err
	}
	if err := k.requeue(ctx, round, now+int64(p.RoundRetention)); err != nil {
		return err
	}
	for _, v := range votes {
		operator, err := k.parse(v.Operator)
		if err != nil {
			return err
		}
		if err := k.Votes.Remove(ctx, collections.Join(round.Id, operator)); err != nil {
			return err
		}
	}
	round.Status, round.Votes = status, votes
	if status == types.ROUND_STATUS_EXECUTED || status == types.ROUND_STATUS_FAILED {
		round.Deadline = now + int64(p.VoteGrace)
		round.ExecutedHeight = sdk.UnwrapSDKContext(ctx).BlockHeight()
	}
	if err := k.Rounds.Set(ctx, round.Id, *round); err != nil {
		return err
	}
	return emit(ctx, &types.EventRoundClosed{
		RoundId: round.Id, Kind: round.Kind, Status: status, Voters: uint32(len(votes)), Error: round.Error,
	})
}

// requeue moves the round's entry in the time queue.
func (k Keeper) requeue(ctx context.Context, round *types.Round, at int64) error {
	if err := k.RoundQueue.Remove(ctx, collections.Join(round.Queued, round.Id)); err != nil {
		return err
	}
	round.Queued = at
	return k.RoundQueue.Set(ctx, collections.Join(at, round.Id))
}

// recordedVotes lists the votes of a round that are kept apart, by operator.
func (k Keeper) recordedVotes(ctx context.Context, round uint64) ([]types.RecordedVote, error) {
	var votes []types.RecordedVote
	rng := collections.NewPrefixedPairRange[uint64, sdk.AccAddress](round)
	err := k.Votes.Walk(ctx, rng, func(_ collections.Pair[uint64, sdk.AccAddress], v types.RecordedVote) (bool, error) {
		votes = append(votes, v)
		return false, nil
	})
	return votes, err
}

// drop removes all that is left of a finished round.
func (k Keeper) drop(ctx context.Context, round types.Round) error {
	late, err := k.recordedVotes(ctx, round.Id)
	if err != nil {
		return err
	}
	for _, v := range late {
		operator, err := k.parse(v.Operator)
		if err != nil {
			return err
		}
		if err := k.Votes.Remove(ctx, collections.Join(round.Id, operator)); err != nil {
			return err
		}
	}
	if err := k.RoundQueue.Remove(ctx, collections.Join(round.Queued, round.Id)); err != nil {
		return err
	}
	subject := collections.Join(round.Kind, round.Subject)
	latest, err := k.Subjects.Get(ctx, subject)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	if err == nil && latest == round.Id {
		if err := k.Subjects.Remove(ctx, subject); err != nil {
			return err
		}
	}
	return k.Rounds.Remove(ctx, round.Id)
}
