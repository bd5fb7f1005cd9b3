package keeper

import (
	"context"
	"encoding/binary"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// A vote waits in the object store until the block ends. Each key there holds the voter, so no two oracles' transactions write the
// same key, and a round is written once a block instead of once a vote.
const (
	votePrefix byte = iota
	refusedPrefix
)

func voteKey(round uint64, operator sdk.AccAddress) []byte {
	key := make([]byte, 0, 1+8+len(operator))
	key = binary.BigEndian.AppendUint64(append(key, votePrefix), round)
	return append(key, operator...)
}

func refusedKey(operator sdk.AccAddress) []byte {
	return append([]byte{refusedPrefix}, operator...)
}

// putVote keeps a vote for EndBlock.
func (k Keeper) putVote(ctx context.Context, operator sdk.AccAddress, round uint64, vote types.RecordedVote) {
	sdk.UnwrapSDKContext(ctx).ObjectStore(k.ballots).Set(voteKey(round, operator), vote)
}

// votedNow says whether the operator has voted in the round in this block.
func (k Keeper) votedNow(ctx context.Context, operator sdk.AccAddress, round uint64) bool {
	return sdk.UnwrapSDKContext(ctx).ObjectStore(k.ballots).Has(voteKey(round, operator))
}

// addRefused counts refused votes of this block.
func (k Keeper) addRefused(ctx context.Context, operator sdk.AccAddress, votes uint64) {
	store := sdk.UnwrapSDKContext(ctx).ObjectStore(k.ballots)
	if before, ok := store.Get(refusedKey(operator)).(uint64); ok {
		votes += before
	}
	store.Set(refusedKey(operator), votes)
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
	for ; iter.Valid(); iter.Next() {
		key := iter.Key()
		keys = append(keys, key)
		switch value := iter.Value().(type) {
		case types.RecordedVote:
			round := binary.BigEndian.Uint64(key[1:])
			if n := len(votes); n == 0 || votes[n-1].round != round {
				votes = append(votes, roundVotes{round: round})
			}
			last := &votes[len(votes)-1]
			last.votes = append(last.votes, value)
		case uint64:
			refused = append(refused, refusals{operator: key[1:], votes: value})
		default:
			err = fmt.Errorf("oracle: a ballot is a %T", value)
		}
	}
	if closed := iter.Close(); err == nil {
		err = closed
	}
	for _, key := range keys {
		store.Delete(key)
	}
	return votes, refused, err
}

// counted says whether EndBlock follows and counts. The SDK's simulator delivers between EndBlock and Commit, with the index −1.
func counted(ctx sdk.Context) bool {
	return ctx.TxIndex() >= 0 || len(ctx.TxBytes()) == 0 || ctx.ExecMode() != sdk.ExecModeFinalize
}
