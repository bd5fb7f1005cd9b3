package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// Gas of a vote beside what reading takes: EndBlock writes it for the voter.
const (
	gasPerVote     = 4_000
	gasPerBodyByte = 30
)

// voterContext is what one message needs again and again to check its votes.
type voterContext struct {
	k        Keeper
	p        types.Params
	operator sdk.AccAddress
	text     string
	// sets that the operator was found in or not.
	sets map[uint64]bool
	// cast in this block so far.
	cast *paper
}

// voterOf returns the voter that a feeder speaks for, or why it may not vote now.
func (k Keeper) voterOf(ctx context.Context, feeder sdk.AccAddress, p types.Params) (*voterContext, error) {
	operator, err := k.Feeders.Get(ctx, feeder)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, types.ErrNotFeeder.Wrapf("%s attests for no oracle; the operator must send MsgSetFeeder first", k.text(feeder))
	}
	if err != nil {
		return nil, err
	}
	o, err := k.Oracle(ctx, operator)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Tombstoned:
		return nil, types.ErrJailed.Wrapf("%s was punished for a disproved claim and cannot return", o.Operator)
	case o.Jailed:
		return nil, types.ErrJailed.Wrapf("%s; the operator must send MsgUnjail after %d (Unix seconds)", o.Operator, o.JailedUntil)
	case !o.Admitted:
		return nil, types.ErrNotActive.Wrapf("%s is not admitted; governance must admit it", o.Operator)
	case o.Bond < p.MinBond:
		return nil, types.ErrNotActive.Wrapf("%s has a bond of %d ufog; bond at least %d", o.Operator, o.Bond, p.MinBond)
	}
	cast, err := k.lastPaper(ctx, operator)
	if err != nil {
		return nil, err
	}
	return &voterContext{k: k, p: p, operator: operator, text: o.Operator, sets: map[uint64]bool{}, cast: cast}, nil
}

// attest keeps the votes of a feeder that can be taken and says why the others cannot. It writes the voter's own keys only, so that
// the oracles' transactions of a block do not conflict; EndBlock counts.
func (k Keeper) attest(ctx context.Context, feeder sdk.AccAddress, msg *types.MsgAttest) (*types.MsgAttestResponse, error) {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if err := msg.Validate(p); err != nil {
		return nil, err
	}
	v, err := k.voterOf(ctx, feeder, p)
	if err != nil {
		return nil, err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	resp := &types.MsgAttestResponse{}
	v.cast = &paper{
		ballots: make([]ballot, 0, len(msg.Votes)), rounds: make(map[uint64]struct{}, len(msg.Votes)), before: v.cast,
	}
	var first error
	for i := range msg.Votes {
		vote := &msg.Votes[i]
		if err := v.check(ctx, vote); err != nil {
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
		v.cast.add(vote.RoundId, types.RecordedVote{
			Operator: v.text, Claim: vote.Claim, Meter: vote.Meter, Body: vote.Body, Height: height,
		})
		resp.Recorded++
	}
	if resp.Recorded == 0 {
		return nil, errorsmod.Wrapf(first, "all %d votes were refused; the first", len(msg.Votes))
	}
	v.cast.refused = uint64(len(resp.Refused))
	k.putPaper(ctx, v.operator, v.cast)
	if !counted(sdk.UnwrapSDKContext(ctx)) {
		if err := k.countWithoutExecution(ctx, p); err != nil {
			return nil, err
		}
	}
	return resp, emit(ctx, &types.EventAttested{Operator: v.text, Recorded: resp.Recorded, Refused: uint32(len(resp.Refused))})
}

// check says why a vote cannot be taken, if so.
func (v *voterContext) check(ctx context.Context, vote *types.Vote) error {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasPerVote+gasPerBodyByte*uint64(len(vote.Body)), "vote")
	round, err := v.votable(ctx, vote.RoundId)
	if err != nil {
		return err
	}
	if err := vote.ValidateFor(round.Rule, v.p.MaxBodyBytes); err != nil {
		return errorsmod.Wrapf(err, "round %d", round.Id)
	}
	report, ok := v.k.reports[round.Kind]
	if !ok {
		return types.ErrUnknownKind.Wrapf("%q of round %d", round.Kind, round.Id)
	}
	if len(vote.Body) == 0 && round.Rule == types.ROUND_RULE_CLAIM {
		return nil
	}
	if report.ProposerOnly {
		if err := v.checkTurn(ctx, round); err != nil {
			return err
		}
	}
	if err := report.ValidateBody(round.Subject, vote.Body); err != nil {
		// The response is part of the consensus; another module's wording is not.
		return types.ErrInvalidVote.Wrapf("round %d: body is no %s report: %s", round.Id, round.Kind, stableReason(err))
	}
	return nil
}

// votable returns the round if the operator can vote in it now.
func (v *voterContext) votable(ctx context.Context, id uint64) (types.Round, error) {
	round, err := v.k.Rounds.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Round{}, types.ErrUnknownRound.Wrapf("round %d was never opened or is long over", id)
	}
	if err != nil {
		return types.Round{}, err
	}
	switch round.Status {
	case types.ROUND_STATUS_OPEN, types.ROUND_STATUS_EXECUTED, types.ROUND_STATUS_FAILED:
		if now := blockSeconds(ctx); now > round.Deadline {
			return types.Round{}, types.ErrRoundOver.Wrapf("round %d took votes until %d (Unix seconds), it is %d", id, round.Deadline, now)
		}
	default:
		return types.Round{}, types.ErrRoundOver.Wrapf("round %d is %s", id, round.Status)
	}
	member, known := v.sets[round.Set]
	if !known {
		if member, err = v.inSet(ctx, round.Set); err != nil {
			return types.Round{}, err
		}
		v.sets[round.Set] = member
	}
	if !member {
		return types.Round{}, types.ErrNotInSet.Wrapf("round %d was opened with set %d, without %s", id, round.Set, v.text)
	}
	if hasVoted(round.Votes, v.text) || v.cast.votedIn(id) {
		return types.Round{}, types.ErrDuplicateVote.Wrapf("%s has voted in round %d; the first vote is final", v.text, id)
	}
	return round, nil
}

func (v *voterContext) inSet(ctx context.Context, set uint64) (bool, error) {
	s, err := v.k.set(ctx, set)
	if err != nil {
		return false, err
	}
	for _, operator := range s.Operators {
		if operator == v.text {
			return true, nil
		}
	}
	return false, nil
}

// checkTurn refuses a body from an operator whose rank is not due yet: rank r may post r·proposer_delay blocks after the opening.
func (v *voterContext) checkTurn(ctx context.Context, round types.Round) error {
	ranks, err := v.k.ranks(ctx, round)
	if err != nil {
		return err
	}
	for r, operator := range ranks {
		if !operator.Equals(v.operator) {
			continue
		}
		due := round.OpenedHeight + int64(r)*int64(v.p.ProposerDelay)
		if height := sdk.UnwrapSDKContext(ctx).BlockHeight(); height < due {
			return types.ErrNotProposer.Wrapf("round %d: %s has rank %d and may post the body from height %d; it is %d",
				round.Id, v.text, r, due, height)
		}
		return nil
	}
	return types.ErrNotInSet.Wrapf("round %d, %s", round.Id, v.text)
}

func hasVoted(votes []types.RecordedVote, operator string) bool {
	for i := range votes {
		if votes[i].Operator == operator {
			return true
		}
	}
	return false
}

// ranks of the round's set.
func (k Keeper) ranks(ctx context.Context, round types.Round) ([]sdk.AccAddress, error) {
	set, err := k.set(ctx, round.Set)
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

// refusal turns an error of the module into the answer for one vote; other errors (of the store) fail the message.
func refusal(round uint64, err error) (types.RefusedVote, bool) {
	space, code, _ := errorsmod.ABCIInfo(err, false)
	if space != types.ModuleName {
		return types.RefusedVote{}, false
	}
	return types.RefusedVote{RoundId: round, Code: code, Reason: err.Error()}, true
}
