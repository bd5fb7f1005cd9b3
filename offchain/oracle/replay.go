package oracle

import (
	"context"
	"fmt"

	"github.com/foggrid/fogd/offchain/chain"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Replay is the comparison of a match round with what this machine computes from archived state.
type Replay struct {
	Round uint64 `json:"round"`
	// Height of the snapshot.
	Height    int64 `json:"height"`
	Items     int   `json:"items"`
	Identical bool  `json:"identical"`
	// Difference is the first one, for people; empty if identical.
	Difference string `json:"difference,omitempty"`
}

// ReplayRound recomputes the batch of a match round that a quorum accepted. The node must still hold the state at its height.
func ReplayRound(ctx context.Context, c *chain.Client, id uint64) (Replay, error) {
	resp, err := oracletypes.NewQueryClient(c.Latest()).Round(ctx, &oracletypes.QueryRoundRequest{Id: id})
	if err != nil {
		return Replay{}, err
	}
	round := resp.Round
	if round.Kind != oracletypes.KindMatches {
		return Replay{}, fmt.Errorf("round %d is of kind %s; only rounds of kind %s can be computed again", id, round.Kind, oracletypes.KindMatches)
	}
	height, err := jobstypes.DecodeMatchSubject(round.Subject)
	if err != nil {
		return Replay{}, err
	}
	var accepted []byte
	for _, v := range resp.Votes {
		if len(v.Body) > 0 && string(v.Claim) == string(round.Claim) {
			accepted = v.Body
		}
	}
	if accepted == nil {
		return Replay{}, fmt.Errorf("round %d (%s) has no accepted batch", id, round.Status)
	}
	question, err := ReadQuestion(ctx, c, height)
	if err != nil {
		return Replay{}, err
	}
	body, err := question.Batch()
	if err != nil {
		return Replay{}, err
	}
	theirs, err := jobstypes.DecodeMatchBody(accepted)
	if err != nil {
		return Replay{}, err
	}
	ours, err := jobstypes.DecodeMatchBody(body)
	if err != nil {
		return Replay{}, err
	}
	out := Replay{Round: id, Height: height, Items: len(theirs.Items), Identical: string(body) == string(accepted)}
	if !out.Identical {
		out.Difference = difference(theirs, ours)
	}
	return out, nil
}

// difference names the first item in which two batches differ.
func difference(theirs, ours jobstypes.MatchBatch) string {
	for i := range max(len(theirs.Items), len(ours.Items)) {
		switch {
		case i >= len(theirs.Items):
			return fmt.Sprintf("item %d: not in the accepted batch, computed here: %s", i, ours.Items[i].String())
		case i >= len(ours.Items):
			return fmt.Sprintf("item %d: accepted %s, not computed here", i, theirs.Items[i].String())
		case !theirs.Items[i].Equal(ours.Items[i]):
			return fmt.Sprintf("item %d: accepted %s, computed here %s", i, theirs.Items[i].String(), ours.Items[i].String())
		}
	}
	return "the encoding differs"
}
