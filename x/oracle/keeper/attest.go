package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// Gas of a vote beside what the stores take.
const (
	gasPerVote     = 2_000
	gasPerBodyByte = 10
)

// attest records the votes of a feeder that can be taken and says why the others cannot. It only tallies: it writes the
// voter's own keys and reads the rest, so that the oracles' transactions of a block do not conflict.
func (k Keeper) attest(ctx context.Context, feeder sdk.AccAddress, msg *types.MsgAttest) (*types.MsgAttestResponse, error) {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if err := msg.Validate(p); err != nil {
		return nil, err
	}
	operator, err := k.voter(ctx, feeder, p)
	if err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	resp := &types.MsgAttestResponse{}
	counted := uint64(0)
	var first error
	for i := range msg.Votes {
		vote := &msg.Votes[i]
		sdkCtx.GasMeter().ConsumeGas(gasPerVote+gasPerBodyByte*uint64(len(vote.Body)), "vote")
		counts, err := k.record(ctx, operator, vote, p)
		if err != nil {
			refusal, ok := refusal(vote.RoundId, err)
			if !ok {
				return nil, err
			}
			if first == nil {
				first = err
			}
			resp.Refused = append(resp.Refused, refusal)
			continue
		}
		resp.Recorded++
		if counts {
			counted++
		}
	}
	if resp.Recorded == 0 {
		return nil, errorsmod.Wrapf(first, "all %d votes were refused; the first", len(msg.Votes))
	}
	part, err := k.participation(ctx, operator)
	if err != nil {
		return nil, err
	}
	part.Voted += counted
	part.Refused += uint64(len(resp.Refused))
	if err := k.Participation.Set(ctx, operator, part); err != nil {
		return nil, err
	}
	return resp, emit(ctx, &types.EventAttested{
		Operator: k.text(operator), Recorded: resp.Recorded, Refused: uint32(len(resp.Refused)),
	})
}

// record checks and stores one vote; counts tells whether it counts as taking part.
func (k Keeper) record(ctx context.Context, operator sdk.AccAddress, vote *types.Vote, p types.Params) (counts bool, err error) {
	round, err := k.votable(ctx, operator, vote.RoundId)
	if err != nil {
		return false, err
	}
	if err := vote.ValidateFor(round.Rule, p.MaxBodyBytes); err != nil {
		return false, errorsmod.Wrapf(err, "round %d", round.Id)
	}
	report, ok := k.reports[round.Kind]
	if !ok {
		return false, types.ErrUnknownKind.Wrapf("%q of round %d", round.Kind, round.Id)
	}
	if len(vote.Body) > 0 || round.Rule == types.ROUND_RULE_MERGE {
		if report.ProposerOnly {
			if err := k.checkTurn(ctx, operator, round, p); err != nil {
				return false, err
			}
		}
		if err := report.ValidateBody(round.Subject, vote.Body); err != nil {
			return false, types.ErrInvalidVote.Wrapf("round %d: body: %s", round.Id, err)
		}
	}
	recorded := types.RecordedVote{
		Operator: k.text(operator), Claim: vote.Claim, Meter: vote.Meter, Body: vote.Body,
		Height: sdk.UnwrapSDKContext(ctx).BlockHeight(),
	}
	key := collections.Join(round.Id, operator)
	if err := k.Votes.Set(ctx, key, recorded); err != nil {
		return false, err
	}
	if round.Status == types.ROUND_STATUS_OPEN {
		k.touch(ctx, round.Id, operator)
		return true, nil
	}
	// A late vote for another claim than the accepted one is a miss.
	return round.Rule == types.ROUND_RULE_MERGE || string(round.Claim) == string(vote.Claim), nil
}

// votable returns the round if the operator can vote in it now.
func (k Keeper) votable(ctx context.Context, operator sdk.AccAddress, id uint64) (types.Round, error) {
	round, err := k.Rounds.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Round{}, types.ErrUnknownRound.Wrapf("round %d was never opened or is long over", id)
	}
	if err != nil {
		return types.Round{}, err
	}
	late := round.Status != types.ROUND_STATUS_OPEN && round.Status != types.ROUND_STATUS_EXECUTED &&
		round.Status != types.ROUND_STATUS_FAILED
	if now := blockSeconds(ctx); late || now > round.Deadline {
		return types.Round{}, types.ErrRoundOver.Wrapf("round %d ended at %d (Unix seconds), it is %d", id, round.Deadline, now)
	}
	member, err := k.inSet(ctx, round.Set, operator)
	if err != nil {
		return types.Round{}, err
	}
	if !member {
		return types.Round{}, types.ErrNotInSet.Wrapf("round %d was opened with set %d, without %s", id, round.Set, k.text(operator))
	}
	voted, err := k.Votes.Has(ctx, collections.Join(id, operator))
	if err != nil {
		return types.Round{}, err
	}
	if !voted {
		for _, v := range round.Votes {
			voted = voted || v.Operator == k.text(operator)
		}
	}
	if voted {
		return types.Round{}, types.ErrDuplicateVote.Wrapf("%s has voted in round %d; the first vote is final", k.text(operator), id)
	}
	return round, nil
}

func (k Keeper) inSet(ctx context.Context, set uint64, operator sdk.AccAddress) (bool, error) {
	s, err := k.Sets.Get(ctx, set)
	if errors.Is(err, collections.ErrNotFound) { // a round that was opened before there were oracles
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, op := range s.Operators {
		if op == k.text(operator) {
			return true, nil
		}
	}
	return false, nil
}

// checkTurn refuses a body from an operator whose rank is not due yet: rank r may post r·proposer_delay blocks after the opening.
func (k Keeper) checkTurn(ctx context.Context, operator sdk.AccAddress, round types.Round, p types.Params) error {
	ranks, err := k.ranks(ctx, round)
	if err != nil {
		return err
	}
	for r, op := range ranks {
		if !op.Equals(operator) {
			continue
		}
		due := round.OpenedHeight + int64(r)*int64(p.ProposerDelay)
		if height := sdk.UnwrapSDKContext(ctx).BlockHeight(); height < due {
			return types.ErrNotProposer.Wrapf("round %d: %s has rank %d and may post the body from height %d; it is %d",
				round.Id, k.text(operator), r, due, height)
		}
		return nil
	}
	return types.ErrNotInSet.Wrapf("round %d, %s", round.Id, k.text(operator))
}

// ranks of the round's set.
func (k Keeper) ranks(ctx context.Context, round types.Round) ([]sdk.AccAddress, error) {
	set, err := k.Sets.Get(ctx, round.Set)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	operators := make([]sdk.AccAddress, len(set.Operators))
	for i, s := range set.Operators {
		if operators[i], err = k.parse(s); err != nil {
			return nil, err
		}
	}
	return types.Ranks(round.Id, operators), nil
}

func (k Keeper) participation(ctx context.Context, operator sdk.AccAddress) (types.Participation, error) {
	part, err := k.Participation.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Participation{Operator: k.text(operator)}, nil
	}
	return part, err
}

// refusal turns an error of the module into the answer for one vote; other errors (of the store) fail the message.
func refusal(round uint64, err error) (types.RefusedVote, bool) {
	space, code, _ := errorsmod.ABCIInfo(err, false)
	if space != types.ModuleName {
		return types.RefusedVote{}, false
	}
	return types.RefusedVote{RoundId: round, Code: code, Reason: err.Error()}, true
}
