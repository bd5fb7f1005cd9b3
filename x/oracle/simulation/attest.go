package simulation

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/x/oracle/keeper"
	"github.com/foggrid/fogd/x/oracle/types"
)

// maxVotes of one simulated transaction keep it within the gas that the simulator gives.
const maxVotes = 100

var errAnswer = errors.New("the answer was another")

// Observer says what can be seen of a round's subject: the body of a report and a meter. What is false must be valid too. The modules
// whose reports the oracles make are not known here, so whoever wires all modules supplies it.
type Observer func(ctx context.Context, r *simsx.XRand, round types.Round, untrue bool) (body []byte, meter uint64, err error)

// Attested counts what became of a simulation's attestations.
type Attested struct {
	// Votes that were taken, the false ones included.
	Votes int
	// False votes.
	False int
	// Refused votes beside others that were taken.
	Refused int
	// Failed transactions of which no vote could be taken, as it should be.
	Failed int
}

// MsgAttestFactory lets an oracle vote in the rounds that are open to it: mostly the truth, which is what the first voter saw, at times
// something false or something that must be refused.
func MsgAttestFactory(k keeper.Keeper, observe Observer, attested *Attested) simsx.SimMsgFactoryX {
	return simsx.NewSimMsgFactoryWithDeliveryResultHandler(func(
		ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter,
	) ([]simsx.SimAccount, *types.MsgAttest, simsx.SimDeliveryResultHandler) {
		a := attesting{k: k, observe: observe, attested: attested, r: data.Rand(), now: simsx.BlockTime(ctx).Unix()}
		feeder, votes, handler, err := a.choose(ctx, data, reporter)
		switch {
		case err != nil:
			reporter.Fail(err)
		case len(votes) == 0:
			reporter.Skip("no oracle has anything to say")
		}
		if reporter.IsSkipped() || err != nil {
			return nil, nil, nil
		}
		return []simsx.SimAccount{feeder}, &types.MsgAttest{Feeder: feeder.AddressBech32, Votes: votes}, handler
	})
}

// attesting is one turn of the factory.
type attesting struct {
	k        keeper.Keeper
	observe  Observer
	attested *Attested
	r        *simsx.XRand
	now      int64
}

func (a attesting) choose(
	ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter,
) (simsx.SimAccount, []types.Vote, simsx.SimDeliveryResultHandler, error) {
	mood := a.r.Intn(20)
	if mood == 0 {
		return a.stranger(ctx, data, reporter)
	}
	p, err := a.k.Params.Get(ctx)
	if err != nil {
		return simsx.SimAccount{}, nil, nil, err
	}
	operators, err := a.operators(ctx)
	if err != nil {
		return simsx.SimAccount{}, nil, nil, err
	}
	for _, o := range operators {
		if !data.HasAccount(o.Feeder) {
			continue
		}
		feeder := data.GetAccount(reporter, o.Feeder)
		if o.Jailed || o.Tombstoned {
			if mood == 1 {
				return feeder, []types.Vote{{RoundId: 1}}, a.mustFail(types.ErrJailed), nil
			}
			continue
		}
		if !o.Admitted || o.Bond < p.MinBond {
			if mood == 1 {
				return feeder, []types.Vote{{RoundId: 1}}, a.mustFail(types.ErrNotActive), nil
			}
			continue
		}
		bad, hasBad, err := a.refusable(ctx, o)
		if err != nil {
			return feeder, nil, nil, err
		}
		if mood <= 2 && hasBad {
			return feeder, []types.Vote{bad}, a.mustFail(types.ErrDuplicateVote, types.ErrRoundOver), nil
		}
		votes, err := a.votes(ctx, p, o, mood == 3)
		if err != nil {
			return feeder, nil, nil, err
		}
		if len(votes) == 0 {
			continue
		}
		taken, untrue, refused := len(votes), 0, 0
		switch {
		case mood == 3:
			untrue = taken
		case mood <= 6 && hasBad:
			refused, votes = 1, append(votes, bad)
		}
		return feeder, votes, a.mustPass(taken, untrue, refused), nil
	}
	return simsx.SimAccount{}, nil, nil, nil
}

func (a attesting) mustPass(taken, untrue, refused int) simsx.SimDeliveryResultHandler {
	return func(err error) error {
		if err == nil {
			a.attested.Votes += taken
			a.attested.False += untrue
			a.attested.Refused += refused
		}
		return err
	}
}

// mustFail wants one of the refusals, or the fee for being refused, which the simulator's random fee may not reach.
func (a attesting) mustFail(refusals ...error) simsx.SimDeliveryResultHandler {
	return func(err error) error {
		for _, refusal := range append(refusals, sdkerrors.ErrInsufficientFee) {
			if errors.Is(err, refusal) {
				a.attested.Failed++
				return nil
			}
		}
		return fmt.Errorf("votes that must be refused with one of %v: %w", refusals, errors.Join(errAnswer, err))
	}
}

// stranger attests although no oracle named it.
func (a attesting) stranger(
	ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter,
) (simsx.SimAccount, []types.Vote, simsx.SimDeliveryResultHandler, error) {
	stranger := data.AnyAccount(reporter)
	if reporter.IsSkipped() {
		return stranger, nil, nil, nil
	}
	known, err := a.k.Feeders.Has(ctx, stranger.Address)
	if err != nil || known {
		return stranger, nil, nil, err
	}
	return stranger, []types.Vote{{RoundId: 1}}, a.mustFail(types.ErrNotFeeder), nil
}

// operators with feeders, in turn from any of them.
func (a attesting) operators(ctx context.Context) ([]types.Oracle, error) {
	var all []types.Oracle
	err := a.k.Oracles.Walk(ctx, nil, func(_ sdk.AccAddress, o types.Oracle) (bool, error) {
		if o.Feeder != "" {
			all = append(all, o)
		}
		return false, nil
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	first := a.r.Intn(len(all))
	return append(all[first:], all[:first]...), nil
}

// votes of an oracle in the open rounds that it may vote in and has something to say on.
func (a attesting) votes(ctx context.Context, p types.Params, o types.Oracle, untrue bool) ([]types.Vote, error) {
	var rounds []types.Round
	err := a.k.OpenRounds.Walk(ctx, nil, func(_ collections.Pair[string, []byte], id uint64) (bool, error) {
		round, err := a.k.Rounds.Get(ctx, id)
		if err != nil || round.Deadline < a.now || voted(round, o.Operator) {
			return false, err
		}
		rounds = append(rounds, round)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	var votes []types.Vote
	for _, round := range rounds {
		vote, ok, err := a.vote(ctx, p, o, round, untrue)
		if err != nil {
			return nil, err
		}
		if ok {
			votes = append(votes, vote)
		}
		if len(votes) == maxVotes {
			break
		}
	}
	return votes, nil
}

func (a attesting) vote(ctx context.Context, p types.Params, o types.Oracle, round types.Round, untrue bool) (types.Vote, bool, error) {
	vote := types.Vote{RoundId: round.Id}
	rank, err := a.rank(ctx, o, round)
	if err != nil || rank < 0 {
		return vote, false, err
	}
	if round.Rule == types.ROUND_RULE_MERGE {
		vote.Body, _, err = a.observe(ctx, a.r, round, untrue)
		return vote, err == nil, err
	}
	given := slices.IndexFunc(round.Votes, func(v types.RecordedVote) bool { return len(v.Body) > 0 })
	if given >= 0 && !untrue {
		vote.Claim = round.Votes[given].Claim
		vote.Meter = round.Votes[given].Meter + uint64(a.r.Intn(1_000))
		return vote, true, nil
	}
	// The others wait for the proposer's body, also where they would not have to.
	due := round.OpenedHeight + int64(rank)*int64(p.ProposerDelay)
	if sdk.UnwrapSDKContext(ctx).BlockHeight() < due {
		vote.Claim = make([]byte, types.ClaimLength)
		return vote, untrue, nil
	}
	if vote.Body, vote.Meter, err = a.observe(ctx, a.r, round, untrue); err != nil {
		return vote, false, err
	}
	claim := sha256.Sum256(vote.Body)
	vote.Claim = claim[:]
	return vote, true, nil
}

// rank of an oracle in a round; negative if it is not in the round's set.
func (a attesting) rank(ctx context.Context, o types.Oracle, round types.Round) (int, error) {
	set, err := a.k.Sets.Get(ctx, round.Set)
	if errors.Is(err, collections.ErrNotFound) { // opened before the first set
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	operators := make([]sdk.AccAddress, len(set.Operators))
	for i, text := range set.Operators {
		if operators[i], err = sdk.AccAddressFromBech32(text); err != nil {
			return -1, err
		}
	}
	own, err := sdk.AccAddressFromBech32(o.Operator)
	if err != nil {
		return -1, err
	}
	return slices.IndexFunc(types.Ranks(round.Id, operators), func(op sdk.AccAddress) bool { return op.Equals(own) }), nil
}

// refusable is a vote in a round that the oracle has voted in, or that is over.
func (a attesting) refusable(ctx context.Context, o types.Oracle) (types.Vote, bool, error) {
	var found []types.Round
	err := a.k.Rounds.Walk(ctx, nil, func(_ uint64, round types.Round) (bool, error) {
		if voted(round, o.Operator) || round.Deadline < a.now {
			found = append(found, round)
		}
		return len(found) == maxVotes, nil
	})
	if err != nil || len(found) == 0 {
		return types.Vote{}, false, err
	}
	round := found[a.r.Intn(len(found))]
	vote := types.Vote{RoundId: round.Id}
	if round.Rule == types.ROUND_RULE_CLAIM {
		vote.Claim = make([]byte, types.ClaimLength)
	}
	return vote, true, nil
}

func voted(round types.Round, operator string) bool {
	return slices.ContainsFunc(round.Votes, func(v types.RecordedVote) bool { return v.Operator == operator })
}
