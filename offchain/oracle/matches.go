package oracle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/match"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Question is what a match round asks: the chain's state at its height, the seed, and the policy that the chain wants.
type Question struct {
	Height   int64
	Snapshot match.Snapshot
	Seed     match.Seed
	// Version of the policy.
	Version string
}

// ReadQuestion reads the question of a match round at height from the state there and the hash of the next block.
func ReadQuestion(ctx context.Context, c *chain.Client, height int64) (Question, error) {
	hash, err := c.BlockHash(ctx, height+1)
	if err != nil {
		return Question{}, err
	}
	if len(hash) != sha256.Size {
		return Question{}, fmt.Errorf("hash of block %d has %d bytes", height+1, len(hash))
	}
	q := Question{Height: height, Seed: match.Seed(hash)}
	q.Snapshot, q.Version, err = Snapshot(ctx, c, height)
	return q, err
}

// Batch computes the body of the round.
func (q Question) Batch() ([]byte, error) {
	policy, known := match.Named(q.Version)
	if !known {
		return nil, fmt.Errorf("%w: this release does not know match policy %q; upgrade fog", errAbstain, q.Version)
	}
	batch, err := policy.Match(q.Snapshot, q.Seed)
	if err != nil {
		return nil, err
	}
	body := jobstypes.MatchBatch{Height: q.Height, Policy: q.Version}
	for _, item := range batch.Items {
		body.Items = append(body.Items, jobstypes.MatchItem{
			JobId: escrowtypes.ID(item.Job).Bech32(jobstypes.JobHRP), Slice: item.Slice, Count: item.Count,
			NodeIndex: item.NodeIndex, Price: item.Price, RunnersUp: item.Runners,
		})
	}
	return body.Marshal()
}

// answerMatches recomputes the batch and votes for its hash. The proposer gives the body with its vote. As a vote is final, the
// ranks that would have to stand in for proposers that are gone, as many as may be missing from a quorum, wait until the body is
// there or it is their turn to give it.
func (w *Worker) answerMatches(ctx context.Context, round oracletypes.Round) error {
	height, err := jobstypes.DecodeMatchSubject(round.Subject)
	if err != nil {
		return fmt.Errorf("%w: %w", errAbstain, err)
	}
	if _, err := w.cfg.Chain.WaitForHeight(ctx, height+1); err != nil {
		return err
	}
	question, err := ReadQuestion(ctx, w.cfg.Chain, height)
	if errors.Is(err, chain.ErrFutureHeight) {
		return fmt.Errorf("%w: %w", errNotYet, err)
	}
	if err != nil {
		return err
	}
	body, err := question.Batch()
	if err != nil {
		return err
	}
	claim := sha256.Sum256(body)
	w.offers.hold(round.Id, question, claim)
	vote := oracletypes.Vote{RoundId: round.Id, Claim: claim[:]}
	give, err := w.waitTurn(ctx, round, claim[:])
	if err != nil {
		return err
	}
	if give {
		vote.Body = body
	}
	return settled(w.voter.cast(ctx, vote, len(body)))
}

// waitTurn returns when this oracle should vote, and whether with the body.
func (w *Worker) waitTurn(ctx context.Context, round oracletypes.Round, claim []byte) (give bool, err error) {
	queries := oracletypes.NewQueryClient(w.cfg.Chain.Latest())
	params, err := queries.Params(ctx, &oracletypes.QueryParamsRequest{})
	if err != nil {
		return false, err
	}
	for {
		resp, err := queries.Round(ctx, &oracletypes.QueryRoundRequest{Id: round.Id})
		if err != nil {
			return false, err
		}
		for _, v := range resp.Votes {
			if len(v.Body) > 0 && string(v.Claim) == string(claim) {
				return false, nil
			}
		}
		rank, turn, err := w.rank(ctx, resp, int64(params.Params.ProposerDelay))
		if err != nil {
			return false, err
		}
		standIns := len(resp.Ranks) - int(resp.Round.Quorum)
		if rank > standIns {
			return false, nil
		}
		if turn {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// rank is this oracle's among the proposers of a round, and whether a transaction sent now may carry its body if each rank waits
// so many blocks for the one before.
func (w *Worker) rank(ctx context.Context, resp *oracletypes.QueryRoundResponse, delay int64) (rank int, turn bool, err error) {
	if rank = slices.Index(resp.Ranks, w.cfg.Operator); rank < 0 {
		return rank, false, fmt.Errorf("%w: the round was opened without this oracle", errAbstain)
	}
	height, err := w.cfg.Chain.Height(ctx)
	if err != nil {
		return rank, false, err
	}
	return rank, height+1 >= resp.Round.OpenedHeight+int64(rank)*delay, nil // it will be in the next block
}
