package keeper

import (
	"context"
	"slices"

	"github.com/foggrid/fogd/x/oracle/types"
)

// countVotes puts the block's votes into their rounds and executes the reports that they decide.
func (t *turn) countVotes(ctx context.Context) error {
	votes, refused, err := t.k.takeBallots(ctx)
	if err != nil {
		return err
	}
	for _, r := range refused {
		t.of(t.k.text(r.operator)).Refused += r.votes
	}
	for _, v := range votes {
		if err := t.count(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// count puts one block's votes into one round.
func (t *turn) count(ctx context.Context, v roundVotes) error {
	round, err := t.k.Rounds.Get(ctx, v.round)
	if err != nil {
		return err
	}
	switch round.Status {
	case types.ROUND_STATUS_OPEN:
		round.Votes = appendVotes(round.Votes, v.votes)
		members, err := t.members(ctx, round.Set)
		if err != nil {
			return err
		}
		if decided(&round, len(members)) {
			return t.accept(ctx, &round)
		}
	case types.ROUND_STATUS_EXECUTED, types.ROUND_STATUS_FAILED:
		t.creditLate(&round, v.votes)
		round.Votes = appendVotes(round.Votes, v.votes)
	default: // cancelled by a report of this block
		return nil
	}
	return t.k.Rounds.Set(ctx, round.Id, round)
}

// appendVotes adds votes to a round's; of equal bodies under a claim only the first is kept.
func appendVotes(votes, added []types.RecordedVote) []types.RecordedVote {
	for _, v := range added {
		given := len(v.Claim) > 0 && slices.ContainsFunc(votes, func(o types.RecordedVote) bool {
			return len(o.Body) > 0 && string(o.Claim) == string(v.Claim)
		})
		if given {
			v.Body = nil
		}
		votes = append(votes, v)
	}
	return votes
}

// decided says whether the votes of an open round suffice before its deadline.
func decided(round *types.Round, members int) bool {
	if round.Rule == types.ROUND_RULE_CLAIM {
		_, ok := acceptedClaim(round.Votes, round.Quorum)
		return ok
	}
	return len(round.Votes) == members
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
	if len(votes) < int(quorum) {
		return claimResult{}, false
	}
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

// result is what the votes of a decided round say, and the claim that was accepted.
func result(round *types.Round) (types.RoundResult, []byte, bool) {
	out := types.RoundResult{Round: round.Id, Subject: round.Subject, Quorum: round.Quorum}
	if round.Rule == types.ROUND_RULE_CLAIM {
		c, ok := acceptedClaim(round.Votes, round.Quorum)
		out.Body, out.Meter, out.Voters = c.body, c.meter, c.voters
		return out, c.claim, ok
	}
	votes := slices.Clone(round.Votes)
	slices.SortFunc(votes, func(a, b types.RecordedVote) int {
		if a.Operator < b.Operator {
			return -1
		}
		return 1
	})
	for _, v := range votes {
		out.Voters = append(out.Voters, v.Operator)
		out.Votes = append(out.Votes, types.ObservedVote{Voter: v.Operator, Body: v.Body})
	}
	return out, nil, len(votes) >= int(round.Quorum)
}
