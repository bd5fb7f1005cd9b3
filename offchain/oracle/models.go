package oracle

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/classify"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// readPopulation reads the nodes and the model as they stood after the block at height.
func readPopulation(ctx context.Context, c *chain.Client, version uint64, height int64) (*population, error) {
	queries := nodestypes.NewQueryClient(c.AtHeight(height))
	nodes, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*nodestypes.QueryNodesResponse, error) {
		return queries.Nodes(ctx, &nodestypes.QueryNodesRequest{Pagination: page})
	}, func(r *nodestypes.QueryNodesResponse) []nodestypes.Node { return r.Nodes })
	if err != nil {
		return nil, err
	}
	resp, err := queries.Model(ctx, &nodestypes.QueryModelRequest{})
	switch {
	case status.Code(err) == codes.NotFound:
		return newPopulation(version, height, nodes, nil), nil
	case err != nil:
		return nil, err
	}
	return newPopulation(version, height, nodes, &resp.Model), nil
}

// answerModel proposes a model when it is this oracle's turn, and votes for that of another if it is as good as its own.
func (w *Worker) answerModel(ctx context.Context, round oracletypes.Round) error {
	version, height, err := nodestypes.DecodeModelSubject(round.Subject)
	if err != nil {
		return fmt.Errorf("%w: %w", errAbstain, err)
	}
	if _, err := w.cfg.Chain.WaitForHeight(ctx, height); err != nil {
		return err
	}
	p, err := readPopulation(ctx, w.cfg.Chain, version, height)
	if errors.Is(err, chain.ErrFutureHeight) {
		return fmt.Errorf("%w: %w", errNotYet, err)
	}
	if err != nil {
		return err
	}
	body, mine, err := w.modelBody(ctx, round, p)
	if err != nil {
		return err
	}
	claim := sha256.Sum256(body)
	vote := oracletypes.Vote{RoundId: round.Id, Claim: claim[:]}
	if mine {
		vote.Body = body
	}
	return settled(w.voter.cast(ctx, vote, len(body)))
}

// modelBody waits for a report that can be voted for, or makes one when it is this oracle's turn.
func (w *Worker) modelBody(ctx context.Context, round oracletypes.Round, p *population) (body []byte, mine bool, err error) {
	queries := oracletypes.NewQueryClient(w.cfg.Chain.Latest())
	params, err := queries.Params(ctx, &oracletypes.QueryParamsRequest{})
	if err != nil {
		return nil, false, err
	}
	seen := map[[sha256.Size]byte]bool{}
	for {
		resp, err := queries.Round(ctx, &oracletypes.QueryRoundRequest{Id: round.Id})
		if err != nil {
			return nil, false, err
		}
		for _, v := range resp.Votes {
			claim := sha256.Sum256(v.Body)
			if len(v.Body) == 0 || string(claim[:]) != string(v.Claim) || seen[claim] {
				continue
			}
			seen[claim] = true
			err := p.check(ctx, v.Body, w.modelSource(round.Id))
			if err == nil {
				return v.Body, false, nil
			}
			if !errors.Is(err, errRefused) {
				return nil, false, err
			}
			w.log.Warn("no vote for a model", "round", round.Id, "proposer", v.Operator, "reason", err)
		}
		_, turn, err := w.rank(ctx, resp, int64(params.Params.ProposerDelay)*modelPatience)
		if err != nil {
			return nil, false, err
		}
		if turn {
			report, err := p.fit(ctx, w.modelSource(round.Id))
			if err != nil {
				return nil, false, err
			}
			body, err := report.Marshal()
			return body, true, err
		}
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// modelPatience is how many times the chain's delay between proposers an oracle waits: a fit takes longer than a batch.
const modelPatience = 6

// modelSource is the random source of an oracle's fits of one round: every oracle has its own, so that they check each other from
// different starts.
func (w *Worker) modelSource(round uint64) classify.Source {
	sum := sha256.Sum256(fmt.Appendf(nil, "fog/model/v1\x00%s\x00%d", w.cfg.Operator, round))
	src := classify.SplitMix64(binary.BigEndian.Uint64(sum[:]))
	return &src
}
