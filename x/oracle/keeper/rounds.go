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
	if now := blockSeconds(ctx); deadline <= now {
		return 0, types.ErrInvalidField.Wrapf("deadline %d must be after the block's time %d", deadline, now)
	}
	if !report.FreshSubjects {
		open, err := k.OpenRounds.Has(ctx, collections.Join(kind, subject))
		if err != nil {
			return 0, err
		}
		if open {
			return 0, types.ErrRoundExists.Wrapf("a round of kind %s on this subject is open; cancel it first", kind)
		}
	}
	return k.open(ctx, types.Round{
		Kind: kind, Rule: report.Rule, Subject: subject, Deadline: deadline, FinalDeadline: finalDeadline, Tries: 1,
	})
}

// open numbers a round and puts it to the present set.
func (k Keeper) open(ctx context.Context, round types.Round) (uint64, error) {
	set, err := k.currentSet(ctx)
	if err != nil {
		return 0, err
	}
	if round.Id, err = k.NextRound.Get(ctx); err != nil {
		return 0, err
	}
	round.Status = types.ROUND_STATUS_OPEN
	round.Set, round.Quorum = set.Id, types.Quorum(len(set.Operators))
	round.OpenedHeight, round.OpenedTime = sdk.UnwrapSDKContext(ctx).BlockHeight(), blockSeconds(ctx)
	round.Queued = round.Deadline
	if err := k.NextRound.Set(ctx, round.Id+1); err != nil {
		return 0, err
	}
	if err := k.Rounds.Set(ctx, round.Id, round); err != nil {
		return 0, err
	}
	if err := k.OpenRounds.Set(ctx, collections.Join(round.Kind, round.Subject), round.Id); err != nil {
		return 0, err
	}
	if err := k.RoundQueue.Set(ctx, collections.Join(round.Queued, round.Id)); err != nil {
		return 0, err
	}
	return round.Id, emit(ctx, &types.EventRoundOpened{
		RoundId: round.Id, Kind: round.Kind, Subject: round.Subject, Tries: round.Tries,
	})
}

// HasOpenRound says whether any round of a kind waits for its result.
func (k Keeper) HasOpenRound(ctx context.Context, kind string) (bool, error) {
	iter, err := k.OpenRounds.Iterate(ctx, collections.NewPrefixedPairRange[string, []byte](kind))
	if err != nil {
		return false, err
	}
	valid := iter.Valid()
	return valid, iter.Close()
}

// CancelRounds ends the open round on a subject, if there is one, without a result: its subject is gone. It must run in EndBlock.
func (k Keeper) CancelRounds(ctx context.Context, kind string, subject []byte) error {
	id, err := k.OpenRounds.Get(ctx, collections.Join(kind, subject))
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
	if err := k.leaveOpen(ctx, &round); err != nil {
		return err
	}
	if err := k.Accepted.Remove(ctx, id); err != nil {
		return err
	}
	return k.finish(ctx, &round, types.ROUND_STATUS_CANCELLED, "")
}

// leaveOpen takes a round out of the index of open ones.
func (k Keeper) leaveOpen(ctx context.Context, round *types.Round) error {
	return k.OpenRounds.Remove(ctx, collections.Join(round.Kind, round.Subject))
}

// finish writes how a round ended. Its entry in the time queue stays where it is: it is looked at then, and removed once it was kept
// long enough.
func (k Keeper) finish(ctx context.Context, round *types.Round, status types.RoundStatus, failure string) error {
	round.Status, round.EndedTime = status, blockSeconds(ctx)
	if err := k.Rounds.Set(ctx, round.Id, *round); err != nil {
		return err
	}
	return emit(ctx, &types.EventRoundClosed{
		RoundId: round.Id, Kind: round.Kind, Status: status, Voters: uint32(len(round.Votes)), Error: failure,
	})
}

// closeDue looks at the rounds whose time has come: an open one is executed, or expires and is asked again; a finished one is removed
// or looked at later. It looks at no more than max_reports_per_block; the rest follows in the next block, in order.
func (t *turn) closeDue(ctx context.Context) error {
	var due []collections.Pair[int64, uint64]
	rng := collections.NewPrefixUntilPairRange[int64, uint64](t.now)
	err := t.k.RoundQueue.Walk(ctx, rng, func(key collections.Pair[int64, uint64]) (bool, error) {
		due = append(due, key)
		return len(due) >= int(t.p.MaxReportsPerBlock), nil
	})
	if err != nil {
		return err
	}
	for _, key := range due {
		round, err := t.k.Rounds.Get(ctx, key.K2())
		if err != nil {
			return err
		}
		if err := t.k.RoundQueue.Remove(ctx, key); err != nil {
			return err
		}
		if err := t.close(ctx, &round); err != nil {
			return err
		}
	}
	return nil
}

// close handles one round whose time has come and which is in the time queue no more.
func (t *turn) close(ctx context.Context, round *types.Round) error {
	retention := int64(t.p.RoundRetention)
	if round.Status != types.ROUND_STATUS_OPEN {
		if keep := round.EndedTime + retention; keep > t.now {
			if err := t.requeue(ctx, round, keep); err != nil {
				return err
			}
			return t.k.Rounds.Set(ctx, round.Id, *round)
		}
		return t.k.Rounds.Remove(ctx, round.Id)
	}
	if err := t.requeue(ctx, round, t.now+retention); err != nil {
		return err
	}
	waits, err := t.k.Accepted.Has(ctx, round.Id)
	if err != nil {
		return err
	}
	if waits { // decided in time
		return t.k.Rounds.Set(ctx, round.Id, *round)
	}
	if round.Rule == types.ROUND_RULE_MERGE && len(round.Votes) >= int(round.Quorum) {
		return t.accept(ctx, round)
	}
	return t.expire(ctx, round)
}

// expire ends a round without a quorum and asks again while it may. A first round lasts as long as its work may take; later ones are
// about work that has ended.
func (t *turn) expire(ctx context.Context, round *types.Round) error {
	if err := t.credit(ctx, round); err != nil {
		return err
	}
	if err := t.k.leaveOpen(ctx, round); err != nil {
		return err
	}
	if err := t.k.finish(ctx, round, types.ROUND_STATUS_EXPIRED, ""); err != nil {
		return err
	}
	if t.now >= round.FinalDeadline {
		return nil
	}
	again := t.now + min(max(1, round.Deadline-round.OpenedTime), int64(t.p.ReopenPeriod))
	_, err := t.k.open(ctx, types.Round{
		Kind: round.Kind, Rule: round.Rule, Subject: round.Subject,
		Deadline: min(again, round.FinalDeadline), FinalDeadline: round.FinalDeadline, Tries: round.Tries + 1,
	})
	return err
}

// requeue puts a round that was taken out of the time queue back in.
func (t *turn) requeue(ctx context.Context, round *types.Round, at int64) error {
	round.Queued = at
	return t.k.RoundQueue.Set(ctx, collections.Join(at, round.Id))
}
