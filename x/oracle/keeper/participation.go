package keeper

import (
	"context"
	"errors"
	"slices"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// of returns the block's counts of an operator.
func (t *turn) of(operator string) *types.Participation {
	took := t.took[operator]
	if took == nil {
		took = &types.Participation{Operator: operator}
		t.took[operator] = took
	}
	return took
}

// credit counts a round that ended: it was expected of every member that is active, and those took part who voted and, in a claim
// round that was accepted, did not contradict it. Both are counted now, so that a round which spans epochs counts in one.
func (t *turn) credit(ctx context.Context, round *types.Round) error {
	members, err := t.members(ctx, round.Set)
	if err != nil {
		return err
	}
	for _, operator := range members {
		if !t.active[operator] { // it could not have voted to the end
			continue
		}
		took := t.of(operator)
		took.Expected++
		for i := range round.Votes {
			if v := &round.Votes[i]; v.Operator == operator && agrees(round, v) {
				took.Voted++
			}
		}
	}
	return nil
}

// creditLate counts votes that came after the end, within the grace.
func (t *turn) creditLate(round *types.Round, votes []types.RecordedVote) {
	for i := range votes {
		if agrees(round, &votes[i]) {
			t.of(votes[i].Operator).Voted++
		}
	}
}

// agrees says whether a vote does not contradict the accepted claim; a round that expired has none.
func agrees(round *types.Round, v *types.RecordedVote) bool {
	return len(round.Claim) == 0 || string(v.Claim) == string(round.Claim)
}

// saveParticipation adds the block's counts to the epoch's.
func (t *turn) saveParticipation(ctx context.Context) error {
	operators := make([]string, 0, len(t.took))
	for operator := range t.took {
		operators = append(operators, operator)
	}
	slices.Sort(operators)
	for _, text := range operators {
		operator, err := t.k.parse(text)
		if err != nil {
			return err
		}
		part, err := t.k.participation(ctx, operator)
		if err != nil {
			return err
		}
		took := t.took[text]
		part.Expected += took.Expected
		part.Voted += took.Voted
		part.Refused += took.Refused
		if err := t.k.Participation.Set(ctx, operator, part); err != nil {
			return err
		}
	}
	clear(t.took)
	return nil
}

// participation of an operator in the present epoch.
func (k Keeper) participation(ctx context.Context, operator sdk.AccAddress) (types.Participation, error) {
	part, err := k.Participation.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Participation{Operator: k.text(operator)}, nil
	}
	return part, err
}
