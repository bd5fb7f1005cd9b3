package keeper

import (
	"context"
	"encoding/binary"
	"slices"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// touch marks a round for the count at the end of the block. The key holds the voter, so that no two transactions write the same.
func (k Keeper) touch(ctx context.Context, round uint64, operator sdk.AccAddress) {
	key := append(binary.BigEndian.AppendUint64(nil, round), operator...)
	sdk.UnwrapSDKContext(ctx).ObjectStore(k.touched).Set(key, struct{}{})
}

// touchedRounds lists the marked rounds by number.
func (k Keeper) touchedRounds(ctx context.Context) []uint64 {
	var rounds []uint64
	iter := sdk.UnwrapSDKContext(ctx).ObjectStore(k.touched).Iterator(nil, nil)
	defer iter.Close()
	for ; iter.Valid(); iter.Next() {
		id := binary.BigEndian.Uint64(iter.Key())
		if n := len(rounds); n == 0 || rounds[n-1] != id {
			rounds = append(rounds, id)
		}
	}
	return rounds
}

// tallyTouched queues the rounds that this block's votes decided.
func (k Keeper) tallyTouched(ctx context.Context) error {
	for _, id := range k.touchedRounds(ctx) {
		round, err := k.Rounds.Get(ctx, id)
		if err != nil {
			return err
		}
		if round.Status != types.ROUND_STATUS_OPEN {
			continue
		}
		votes, err := k.recordedVotes(ctx, id)
		if err != nil {
			return err
		}
		decided := false
		if round.Rule == types.ROUND_RULE_CLAIM {
			_, decided = acceptedClaim(votes, round.Quorum)
		} else {
			set, err := k.Sets.Get(ctx, round.Set)
			if err != nil {
				return err
			}
			decided = len(votes) == len(set.Operators)
		}
		if !decided {
			continue
		}
		if err := k.Accepted.Set(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// claimResult is the outcome of counting a claim round.
type claimResult struct {
	claim  []byte
	body   []byte
	voters []string
	meter  uint64
}

// acceptedClaim finds the claim that a quorum voted for and whose body one of them gave. At most one claim can have a quorum,
// since a quorum is more than half of the set.
func acceptedClaim(votes []types.RecordedVote, quorum uint32) (claimResult, bool) {
	for i, v := range votes {
		seen := slices.ContainsFunc(votes[:i], func(o types.RecordedVote) bool { return string(o.Claim) == string(v.Claim) })
		if seen {
			continue
		}
		result := claimResult{claim: v.Claim}
		var meters []uint64
		for _, o := range votes {
			if string(o.Claim) != string(v.Claim) {
				continue
			}
			result.voters = append(result.voters, o.Operator)
			meters = append(meters, o.Meter)
			if len(o.Body) > 0 && result.body == nil {
				result.body = o.Body
			}
		}
		if len(result.voters) < int(quorum) {
			continue
		}
		if result.body == nil {
			return claimResult{}, false
		}
		slices.Sort(result.voters)
		result.meter = types.MedianLower(meters)
		return result, true
	}
	return claimResult{}, false
}

// closeDue ends the rounds whose deadline is over, opens again those that may be, and removes the ones kept long enough. It does
// at most limit of them; the rest follows in the next block, in order.
func (k Keeper) closeDue(ctx context.Context, limit uint32) error {
	now := blockSeconds(ctx)
	var due []uint64
	rng := collections.NewPrefixUntilPairRange[int64, uint64](now)
	err := k.RoundQueue.Walk(ctx, rng, func(key collections.Pair[int64, uint64]) (bool, error) {
		due = append(due, key.K2())
		return len(due) >= int(limit), nil
	})
	if err != nil {
		return err
	}
	for _, id := range due {
		round, err := k.Rounds.Get(ctx, id)
		if err != nil {
			return err
		}
		if round.Status != types.ROUND_STATUS_OPEN {
			if err := k.drop(ctx, round); err != nil {
				return err
			}
			continue
		}
		accepted, err := k.Accepted.Has(ctx, id)
		if err != nil {
			return err
		}
		if accepted { // decided in time; its report is only waiting for its turn
			if err := k.requeue(ctx, &round, now+1); err != nil {
				return err
			}
			if err := k.Rounds.Set(ctx, id, round); err != nil {
				return err
			}
			continue
		}
		if err := k.closeAtDeadline(ctx, round); err != nil {
			return err
		}
	}
	return nil
}

// closeAtDeadline accepts a merge round in which a quorum has voted; anything else expires, and is asked again while it may be.
func (k Keeper) closeAtDeadline(ctx context.Context, round types.Round) error {
	votes, err := k.recordedVotes(ctx, round.Id)
	if err != nil {
		return err
	}
	if round.Rule == types.ROUND_RULE_MERGE && len(votes) >= int(round.Quorum) {
		if err := k.requeue(ctx, &round, blockSeconds(ctx)+1); err != nil {
			return err
		}
		if err := k.Rounds.Set(ctx, round.Id, round); err != nil {
			return err
		}
		return k.Accepted.Set(ctx, round.Id)
	}
	if err := k.expect(ctx, round); err != nil {
		return err
	}
	if err := k.finish(ctx, &round, types.ROUND_STATUS_EXPIRED, votes); err != nil {
		return err
	}
	now := blockSeconds(ctx)
	if now >= round.FinalDeadline {
		return nil
	}
	_, err = k.OpenRound(ctx, round.Kind, round.Subject, now+max(1, round.Deadline-round.OpenedTime), round.FinalDeadline)
	return err
}
