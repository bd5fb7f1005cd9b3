package oracle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// nurses keep services up that this oracle runs on Nomad, one for each, and say how they are.
type nurses struct {
	// place says whether a slice is on Nomad, and where.
	place func(ctx context.Context, slice jobstypes.Slice) (handover.Place, bool, error)
	// serves reports whether this oracle has a region, serve keeps a service up there until the context ends.
	serves func(region string) bool
	serve  func(ctx context.Context, slice jobstypes.Slice, tell func(link.ProgressState)) error
	// tell takes what is said of an attempt, left is called when some are not looked after any more.
	tell func(a attempt, state link.ProgressState)
	left func()

	mu      sync.Mutex
	places  map[attempt]nursed // never change while an attempt lasts
	running map[attempt]context.CancelFunc
}

type nursed struct {
	place  handover.Place
	served bool
}

func newNurses(w *Worker) *nurses {
	return &nurses{
		place:  w.nomadPlace,
		serves: func(region string) bool { return w.nomad != nil && w.nomad.Serves(region) },
		serve: func(ctx context.Context, slice jobstypes.Slice, tell func(link.ProgressState)) error {
			rank, err := w.serviceTurn(ctx, slice)
			if err != nil {
				return err
			}
			return w.nomad.Serve(ctx, slice, rank, tell)
		},
		tell: func(a attempt, state link.ProgressState) { w.infirmary.observe(a, state, time.Now()) },
		left: w.kickNomad, places: map[attempt]nursed{}, running: map[attempt]context.CancelFunc{},
	}
}

// onNomad reports whether a slice is on Nomad.
func (n *nurses) onNomad(ctx context.Context, slice jobstypes.Slice) (nursed, error) {
	a := attempt{slice.JobId, slice.Number, slice.Attempt}
	n.mu.Lock()
	known, ok := n.places[a]
	n.mu.Unlock()
	if ok {
		return known, nil
	}
	place, served, err := n.place(ctx, slice)
	if err != nil {
		return nursed{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.places[a] = nursed{place, served}
	return n.places[a], nil
}

// round begins to look after slices that are new, and leaves those that have gone. Whoever looks after one does so until ctx ends.
func (n *nurses) round(ctx context.Context, list []jobstypes.Slice) error {
	here := map[attempt]bool{}
	var failed error
	for _, s := range list {
		a := attempt{s.JobId, s.Number, s.Attempt}
		here[a] = true
		at, err := n.onNomad(ctx, s)
		if failed = errors.Join(failed, err); err != nil || !at.served || !n.serves(at.place.Region) {
			continue
		}
		n.mu.Lock()
		if n.running[a] == nil {
			nursing, stop := context.WithCancel(ctx)
			n.running[a] = stop
			go n.nurse(nursing, a, s)
		}
		n.mu.Unlock()
	}
	n.mu.Lock()
	gone := false
	for a, stop := range n.running {
		if !here[a] {
			stop()
			delete(n.running, a)
			gone = true
		}
	}
	for a := range n.places {
		if !here[a] {
			delete(n.places, a)
		}
	}
	n.mu.Unlock()
	if gone {
		n.left()
	}
	return failed
}

// nurse looks after one slice. When that ends before ctx does, the next round begins anew.
func (n *nurses) nurse(ctx context.Context, a attempt, slice jobstypes.Slice) {
	n.serve(ctx, slice, func(state link.ProgressState) { n.tell(a, state) }) //nolint:errcheck // the desk has logged why; the next round tries again
	n.mu.Lock()
	defer n.mu.Unlock()
	if ctx.Err() == nil {
		n.running[a]()
		delete(n.running, a)
	}
}

// serviceTurn is this oracle's place among the active ones for a slice that has no round: the order is that of a round whose number is made of the attempt.
func (w *Worker) serviceTurn(ctx context.Context, slice jobstypes.Slice) (int, error) {
	queries := oracletypes.NewQueryClient(w.cfg.Chain.Latest())
	list, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*oracletypes.QueryOraclesResponse, error) {
		return queries.Oracles(ctx, &oracletypes.QueryOraclesRequest{ActiveOnly: true, Pagination: page})
	}, func(r *oracletypes.QueryOraclesResponse) []oracletypes.Oracle { return r.Oracles })
	if err != nil {
		return 0, err
	}
	accounts := w.cfg.Chain.Codec().Accounts()
	mine, err := accounts.StringToBytes(w.cfg.Operator)
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", slice.JobId, slice.Number, slice.Attempt))
	var operators []sdk.AccAddress
	for _, o := range list {
		address, err := accounts.StringToBytes(o.Operator)
		if err != nil {
			return 0, err
		}
		operators = append(operators, address)
	}
	ranks := oracletypes.Ranks(binary.BigEndian.Uint64(sum[:]), operators)
	rank := slices.IndexFunc(ranks, func(a sdk.AccAddress) bool { return bytes.Equal(a, mine) })
	if rank < 0 { // who cannot vote comes last
		rank = len(ranks)
	}
	return rank, nil
}
