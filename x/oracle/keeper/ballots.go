package keeper

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// Votes wait in the object store until the block ends, under the voter's address: no two oracles' transactions write the same key, and
// a round is written once a block instead of once a vote.

// ballot is a vote in a round.
type ballot struct {
	round uint64
	vote  types.RecordedVote
}

// paper holds what an operator cast in one message. It does not change once it is stored: executors keep several states.
type paper struct {
	ballots []ballot
	rounds  map[uint64]struct{}
	// refused votes of the message.
	refused uint64
	// before is the operator's last paper of this block; nil if this is the first.
	before *paper
}

// votedIn says whether the operator has voted in the round on this paper or one before.
func (p *paper) votedIn(round uint64) bool {
	for ; p != nil; p = p.before {
		if _, voted := p.rounds[round]; voted {
			return true
		}
	}
	return false
}

// add casts a vote, the first of the operator in its round.
func (p *paper) add(round uint64, vote types.RecordedVote) {
	p.ballots = append(p.ballots, ballot{round: round, vote: vote})
	p.rounds[round] = struct{}{}
}

// lastPaper of an operator in this block; nil if there is none.
func (k Keeper) lastPaper(ctx context.Context, operator sdk.AccAddress) (*paper, error) {
	switch last := sdk.UnwrapSDKContext(ctx).ObjectStore(k.ballots).Get(operator).(type) {
	case nil:
		return nil, nil
	case *paper:
		return last, nil
	default:
		return nil, fmt.Errorf("oracle: a paper is a %T", last)
	}
}

// putPaper keeps a message's votes for EndBlock.
func (k Keeper) putPaper(ctx context.Context, operator sdk.AccAddress, p *paper) {
	sdk.UnwrapSDKContext(ctx).ObjectStore(k.ballots).Set(operator, p)
}

// roundVotes are the votes of one block in one round, by operator.
type roundVotes struct {
	round uint64
	votes []types.RecordedVote
}

// refusals are the refused votes of one operator in one block.
type refusals struct {
	operator sdk.AccAddress
	votes    uint64
}

// takeBallots empties the object store: the votes by number of the round, and the refusals by operator.
func (k Keeper) takeBallots(ctx context.Context) (votes []roundVotes, refused []refusals, err error) {
	store := sdk.UnwrapSDKContext(ctx).ObjectStore(k.ballots)
	iter := store.Iterator(nil, nil)
	var keys [][]byte
	place := make(map[uint64]int)
	for ; iter.Valid(); iter.Next() {
		keys = append(keys, iter.Key())
		last, ok := iter.Value().(*paper)
		if !ok {
			err = fmt.Errorf("oracle: a paper is a %T", iter.Value())
			break
		}
		n := uint64(0)
		for p := last; p != nil; p = p.before {
			n += p.refused
			for _, b := range p.ballots {
				at, known := place[b.round]
				if !known {
					at = len(votes)
					place[b.round] = at
					votes = append(votes, roundVotes{round: b.round})
				}
				votes[at].votes = append(votes[at].votes, b.vote)
			}
		}
		if n > 0 {
			refused = append(refused, refusals{operator: iter.Key(), votes: n})
		}
	}
	if closed := iter.Close(); err == nil {
		err = closed
	}
	for _, key := range keys {
		store.Delete(key)
	}
	slices.SortFunc(votes, func(a, b roundVotes) int { return cmp.Compare(a.round, b.round) })
	return votes, refused, err
}

// counted says whether EndBlock follows and counts. The SDK's simulator delivers between EndBlock and Commit, with the index −1.
func counted(ctx sdk.Context) bool {
	return ctx.TxIndex() >= 0 || len(ctx.TxBytes()) == 0 || ctx.ExecMode() != sdk.ExecModeFinalize
}
