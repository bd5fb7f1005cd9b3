package oracle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/oracle/nomaddesk"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// nomadChain is what the desk asks of the chain.
type nomadChain struct{ chain *chain.Client }

var _ nomaddesk.Chain = nomadChain{}

func (c nomadChain) Job(ctx context.Context, id string) (jobstypes.Job, error) {
	resp, err := jobstypes.NewQueryClient(c.chain.Latest()).Job(ctx, &jobstypes.QueryJobRequest{Id: id})
	if err != nil {
		return jobstypes.Job{}, err
	}
	return resp.Job, nil
}

func (c nomadChain) Slice(ctx context.Context, job string, number uint32) (jobstypes.Slice, error) {
	resp, err := jobstypes.NewQueryClient(c.chain.Latest()).Slice(ctx, &jobstypes.QuerySliceRequest{JobId: job, Number: number})
	if err != nil {
		return jobstypes.Slice{}, err
	}
	return resp.Slice, nil
}

// NodeAt implements nomaddesk.Chain: what an owner changes while an attempt runs must not move it.
func (c nomadChain) NodeAt(ctx context.Context, id string, height int64) (nodestypes.Node, error) {
	req := &nodestypes.QueryNodeRequest{Id: id}
	resp, err := nodestypes.NewQueryClient(c.chain.AtHeight(height)).Node(ctx, req)
	if err != nil && ctx.Err() == nil && !errors.Is(err, chain.ErrUnavailable) {
		resp, err = nodestypes.NewQueryClient(c.chain.Latest()).Node(ctx, req)
	}
	if err != nil {
		return nodestypes.Node{}, fmt.Errorf("node %s: %w", id, err)
	}
	return resp.Node, nil
}

// wipeFresh is how old the newest block may be for volumes to be wiped by it.
const wipeFresh = 5 * time.Minute

// OnNode implements nomaddesk.Chain.
func (c nomadChain) OnNode(ctx context.Context, id string) (nomaddesk.Holding, error) {
	status, err := c.chain.Status(ctx)
	if err != nil {
		return nomaddesk.Holding{}, err
	}
	if status.CatchingUp || time.Since(status.Time) > wipeFresh {
		return nomaddesk.Holding{}, fmt.Errorf("this oracle's node of the chain is behind: its newest block is of %s", status.Time.Format(time.RFC3339))
	}
	height, err := c.chain.Height(ctx)
	if err != nil {
		return nomaddesk.Holding{}, err
	}
	if _, err := nodestypes.NewQueryClient(c.chain.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: id}); err != nil {
		return nomaddesk.Holding{}, err
	}
	queries := jobstypes.NewQueryClient(c.chain.Latest())
	all, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QuerySlicesResponse, error) {
		return queries.Slices(ctx, &jobstypes.QuerySlicesRequest{NodeId: id, Pagination: page})
	}, func(r *jobstypes.QuerySlicesResponse) []jobstypes.Slice { return r.Slices })
	if err != nil {
		return nomaddesk.Holding{}, fmt.Errorf("slices: %w", err)
	}
	held := nomaddesk.Holding{Height: height, Replicas: map[dispatch.Replica]bool{}}
	for _, s := range all {
		if s.Status == jobstypes.SLICE_STATUS_MATCHED && s.NodeId == id {
			held.Replicas[dispatch.Replica{Job: s.JobId, Task: s.FirstTask}] = true
		}
	}
	return held, nil
}

// openNomad opens the desk, if this oracle has a cluster.
func (w *Worker) openNomad() (err error) {
	if w.cfg.Nomad == nil {
		return nil
	}
	opts := *w.cfg.Nomad
	opts.Chain, opts.Registry, opts.StartTimeout, opts.Log = nomadChain{w.cfg.Chain}, w.cfg.Registry, w.cfg.StartTimeout, w.log
	w.nomad, err = nomaddesk.New(opts)
	return err
}

// runNomad reports what the clusters are and then keeps them tidy.
func (w *Worker) runNomad(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, w.nomad.Close()) }()
	if err := w.nomad.Check(ctx); err != nil {
		return err
	}
	return w.nomad.Run(ctx)
}

func (w *Worker) kickNomad() {
	if w.nomad != nil {
		w.nomad.Kick()
	}
}

// nomadPlace reports whether the attempt that a slice is in runs on Nomad, and where.
func (w *Worker) nomadPlace(ctx context.Context, slice jobstypes.Slice) (handover.Place, bool, error) {
	node, err := nomadChain{w.cfg.Chain}.NodeAt(ctx, slice.NodeId, slice.MatchedHeight)
	if err != nil {
		return handover.Place{}, false, err
	}
	p, served := handover.NomadPlace(node)
	return p, served, nil
}

// refusedIf is why an agent's report of an attempt on Nomad is not taken.
func refusedIf(served bool) error {
	if !served {
		return nil
	}
	return fmt.Errorf("%w: the node is served by Nomad, where the oracles watch for themselves; run its agent with --dispatcher nomad", link.ErrRefused)
}

// outcomeOf waits until there is something to say of the attempt that a slice is in.
func (w *Worker) outcomeOf(ctx context.Context, round oracletypes.Round, slice jobstypes.Slice) (jobstypes.Outcome, uint64, error) {
	place, served, err := w.nomadPlace(ctx, slice)
	switch {
	case err != nil:
		return jobstypes.Outcome{}, 0, err
	case !served:
		return w.outcome(ctx, attempt{slice.JobId, slice.Number, slice.Attempt}, slice)
	case w.nomad == nil || !w.nomad.Serves(place.Region):
		return w.unserved(ctx, place, slice)
	}
	rank, err := w.turn(ctx, round.Id)
	if err != nil {
		return jobstypes.Outcome{}, 0, err
	}
	report, err := w.nomad.Report(ctx, slice, rank)
	if err != nil {
		return jobstypes.Outcome{}, 0, err
	}
	return w.judge(ctx, link.SignedReport{Report: report}, time.Time{}, slice)
}

// unserved is the outcome that an oracle without the region's cluster can vouch for: it has not started the attempt, nor can it see anybody
// do so. If a quorum has the region, this vote is outnumbered; if none can be had, the work goes to another node in place of waiting for days.
func (w *Worker) unserved(ctx context.Context, place handover.Place, slice jobstypes.Slice) (jobstypes.Outcome, uint64, error) {
	w.log.Warn("this oracle has no access to the Nomad region of a node; give it with --nomad-addr", "region", place.Region, "node", slice.NodeId)
	select {
	case <-ctx.Done():
		return jobstypes.Outcome{}, 0, ctx.Err()
	case <-time.After(time.Until(time.Unix(slice.MatchedTime, 0).Add(w.cfg.StartTimeout))):
		return notStarted(slice), 0, nil
	}
}

// turn is this oracle's place in a round's order.
func (w *Worker) turn(ctx context.Context, round uint64) (int, error) {
	resp, err := oracletypes.NewQueryClient(w.cfg.Chain.Latest()).Round(ctx, &oracletypes.QueryRoundRequest{Id: round})
	if err != nil {
		return 0, err
	}
	return max(slices.Index(resp.Ranks, w.cfg.Operator), 0), nil
}

// showNomad shows owners the tasks of a node that is served by Nomad.
func (w *Worker) showNomad(ctx context.Context, t link.TaskRef) (link.Local, error) {
	slice, err := w.slice(ctx, t.JobID, t.Slice)
	if err != nil {
		return link.Local{}, err
	}
	place, served, err := w.nomadPlace(ctx, slice)
	if err != nil || !served {
		return link.Local{}, err
	}
	if w.nomad == nil || !w.nomad.Serves(place.Region) {
		return link.Local{Served: true}, nil
	}
	return link.Local{Served: true, Source: w.nomad}, nil
}
