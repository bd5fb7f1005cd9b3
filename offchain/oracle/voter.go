package oracle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// What a vote takes at most of a block's gas, measured with some room; too little fails the whole transaction.
const (
	gasPerAttest   = 150_000
	gasPerVote     = 20_000
	gasPerBodyByte = 90
	// A round in which the body has been posted holds it, and a vote reads its round twice.
	gasPerReadByte = 10
)

// maxVotes of one transaction and maxBodies in bytes keep a transaction well under the block's limits.
const (
	maxVotes  = 300
	maxBodies = 256 << 10
)

// voteBlocks pass at most until votes are signed anew: a round takes none much longer. slowVotes is when the log says that they wait.
const (
	voteBlocks = 20
	slowVotes  = 15 * time.Second
)

// ballot is a vote on its way.
type ballot struct {
	vote oracletypes.Vote
	// read is the bytes of the body that the vote's round may hold.
	read int
	// gone is closed when nobody waits for the vote any more: its round is long over.
	gone <-chan struct{}
	done chan error
}

// late says that the vote need not be sent. A vote that the chain refuses costs a part of the bond.
func (b ballot) late() bool {
	select {
	case <-b.gone:
		return true
	default:
		return false
	}
}

// voter sends votes, many in one transaction, one transaction at a time.
type voter struct {
	feeder *feeder
	queue  chan ballot
	log    *slog.Logger
}

func newVoter(f *feeder, operator string, log *slog.Logger) *voter {
	return &voter{feeder: f, queue: make(chan ballot, 4096), log: log.With("operator", operator)}
}

// cast waits until the vote is on chain. A refusal of the chain is the registered error of x/oracle. posted is the size of the body that
// another oracle has posted, or may have.
func (v *voter) cast(ctx context.Context, vote oracletypes.Vote, posted int) error {
	b := ballot{vote: vote, read: posted, gone: ctx.Done(), done: make(chan error, 1)}
	select {
	case v.queue <- b:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-b.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run sends what is queued until the context ends. While a transaction is on its way, the next votes gather.
func (v *voter) run(ctx context.Context) error {
	var held []ballot
	for {
		if len(held) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case b := <-v.queue:
				held = append(held, b)
			}
		}
		// Oracles learn of a round at the same block; a moment's wait puts their many votes into one transaction.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		for draining := true; draining && len(held) < maxVotes; {
			select {
			case b := <-v.queue:
				held = append(held, b)
			default:
				draining = false
			}
		}
		held = slices.DeleteFunc(held, ballot.late)
		if len(held) == 0 {
			continue
		}
		n, size := 0, 0
		for n < len(held) && n < maxVotes && (n == 0 || size+len(held[n].vote.Body) <= maxBodies) {
			size += len(held[n].vote.Body)
			n++
		}
		v.send(ctx, held[:n])
		held = held[n:]
	}
}

func (v *voter) send(ctx context.Context, ballots []ballot) {
	sender := v.feeder.now(ctx)
	msg := &oracletypes.MsgAttest{Feeder: sender.Address()}
	gas := uint64(gasPerAttest)
	for _, b := range ballots {
		msg.Votes = append(msg.Votes, b.vote)
		gas += uint64(gasPerVote + gasPerBodyByte*len(b.vote.Body) + gasPerReadByte*b.read)
	}
	slow := time.AfterFunc(slowVotes, func() {
		v.log.Warn("votes are in no block yet; check that the node is in step and takes transactions", "votes", len(ballots),
			"waited", slowVotes)
	})
	result, err := sender.SendTx(ctx, chain.Tx{Msgs: []sdk.Msg{msg}, Gas: gas, FeeFree: true})
	slow.Stop()
	if err != nil && len(ballots) > 1 && isRefusal(err) {
		// All were refused, or the chain took none for another reason; one by one each learns its own.
		for i := range ballots {
			v.send(ctx, ballots[i:i+1])
		}
		return
	}
	for _, b := range ballots {
		b.done <- err
	}
	if err == nil {
		v.log.Debug("attested", "votes", len(ballots), "height", result.Height, "gas", result.GasUsed)
	}
}

// isRefusal says whether the chain looked at the transaction and did not want it.
func isRefusal(err error) bool {
	var tx *chain.TxError
	return errors.As(err, &tx)
}

// settled turns refusals that mean "nothing left to do" into abstention.
func settled(err error) error {
	for _, over := range []error{
		oracletypes.ErrDuplicateVote, oracletypes.ErrRoundOver, oracletypes.ErrUnknownRound, oracletypes.ErrNotInSet,
	} {
		if errors.Is(err, over) {
			return fmt.Errorf("%w: %w", errAbstain, err)
		}
	}
	return err
}
