package oracle

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/oracle/nomaddesk"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Config of a Worker; fields without a default must be set.
type Config struct {
	Chain *chain.Client
	// Operator (fog1…) is the oracle that the feeder attests for.
	Operator string
	Feeder   chain.Signer
	// FindFeeder gets the key of another address that the operator named on chain in place of Feeder's; nil: keys are not rotated.
	FindFeeder func(ctx context.Context, address string) (chain.Signer, error)
	// TransportKey is the private half of the transport key on chain.
	TransportKey ed25519.PrivateKey
	// Listener takes the agents' connections; the worker closes it.
	Listener net.Listener
	Registry *client.Client
	// PingInterval is the pause between two liveness tests of a node, spread by a fifth; 30 s.
	PingInterval time.Duration
	// StartTimeout is how long an agent may take to start a slice; 120 s.
	StartTimeout time.Duration
	// Nomad says how attempts of nodes are run that are served there; nil if this oracle has no cluster. What this Config has too need not be set.
	Nomad *nomaddesk.Options
	Log   *slog.Logger
}

func (c *Config) validate() error {
	switch {
	case c.Chain == nil:
		return errors.New("oracle: no chain client")
	case c.Operator == "":
		return errors.New("oracle: no operator address")
	case c.Feeder == nil:
		return errors.New("oracle: no feeder key")
	case len(c.TransportKey) != ed25519.PrivateKeySize:
		return errors.New("oracle: no transport key")
	case c.Listener == nil:
		return errors.New("oracle: no listener")
	case c.Registry == nil:
		return errors.New("oracle: no registry client")
	}
	if c.PingInterval <= 0 {
		c.PingInterval = 30 * time.Second
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = 120 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

// Worker of one oracle. Make it with New and run it once.
type Worker struct {
	cfg    Config
	log    *slog.Logger
	nodes  *nodeBook
	voter  *voter
	pulse  *pulse
	report *reportBook
	offers *offerDesk
	server *link.Server
	// infirmary watches services.
	infirmary *infirmary
	// nurses keep those of them up that are on Nomad.
	nurses *nurses
	// nomad is nil if this oracle has no cluster.
	nomad *nomaddesk.Desk

	mu sync.Mutex
	// tracked holds the open rounds that this worker has begun to answer.
	tracked map[uint64]*task
}

// task is one open round under way.
type task struct {
	round  oracletypes.Round
	cancel context.CancelFunc
}

// New checks the configuration; nothing runs yet.
func New(cfg Config) (*Worker, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	votes, err := newFeeder(cfg)
	if err != nil {
		return nil, err
	}
	w := &Worker{
		cfg: cfg, log: cfg.Log.With("operator", cfg.Operator),
		nodes: newNodeBook(cfg.Chain), voter: newVoter(votes, cfg.Operator, cfg.Log),
		report: newReportBook(), tracked: map[uint64]*task{},
	}
	w.pulse = newPulse(cfg.PingInterval)
	w.offers = newOfferDesk(w)
	w.infirmary, w.nurses = newInfirmary(w), newNurses(w)
	if err := w.openNomad(); err != nil {
		return nil, err
	}
	w.server, err = link.NewServer(link.ServerOptions{
		Key: cfg.TransportKey, OracleID: cfg.Operator, Registry: w.nodes, Jobs: jobBook{cfg.Chain}, Local: w.showNomad, Log: w.log,
		Handlers: link.Handlers{
			Report: w.takeReport, Progress: w.takeProgress, Offers: func(s *link.Session, from uint64) { w.offers.ask(s, from) },
		},
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Run works until the context ends; its error is then the context's.
func (w *Worker) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if w.nomad != nil {
		g.Go(func() error { return w.runNomad(ctx) })
	}
	g.Go(func() error {
		<-ctx.Done()
		w.server.Close()
		return ctx.Err()
	})
	g.Go(func() error {
		if err := w.server.Serve(w.cfg.Listener); err != nil {
			return fmt.Errorf("serve agents on %s: %w", w.cfg.Listener.Addr(), err)
		}
		return ctx.Err()
	})
	g.Go(func() error { return w.voter.run(ctx) })
	g.Go(func() error { return w.runPulse(ctx) })
	g.Go(func() error { return w.offers.run(ctx) })
	g.Go(func() error { return w.infirmary.run(ctx, w.cfg.PingInterval/3) })
	g.Go(func() error { return w.follow(ctx) })
	return g.Wait()
}

// follow looks at the open rounds after each block. A gap in the blocks does not matter, only the newest state does.
func (w *Worker) follow(ctx context.Context) error {
	for height := int64(1); ; {
		newest, err := w.cfg.Chain.WaitForHeight(ctx, height)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		height = newest + 1
		if err := w.look(ctx, newest); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			w.log.Warn("cannot read the open rounds; trying again at the next block", "error", err)
		}
	}
}

// look starts a task for each open round that has none and ends the tasks of rounds that are over.
func (w *Worker) look(ctx context.Context, newest int64) error {
	queries := oracletypes.NewQueryClient(w.cfg.Chain.Latest())
	rounds, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*oracletypes.QueryRoundsResponse, error) {
		return queries.Rounds(ctx, &oracletypes.QueryRoundsRequest{Status: oracletypes.ROUND_STATUS_OPEN, Pagination: page})
	}, func(r *oracletypes.QueryRoundsResponse) []oracletypes.Round { return r.Rounds })
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	open := make(map[uint64]bool, len(rounds))
	for _, r := range rounds {
		open[r.Id] = true
		if _, known := w.tracked[r.Id]; known {
			continue
		}
		taskCtx, cancel := context.WithCancel(ctx)
		t := &task{round: r, cancel: cancel}
		w.tracked[r.Id] = t
		go w.answer(taskCtx, t)
	}
	var ended []oracletypes.Round
	for id, t := range w.tracked {
		if !open[id] {
			ended = append(ended, t.round)
			// The vote may still count as taking part, so a task that is about to vote goes on for a while.
			time.AfterFunc(lateVotes, func() {
				t.cancel()
				w.kickNomad()
			})
			w.kickNomad()
			delete(w.tracked, id)
		}
	}
	w.offers.look(newest, matchRounds(rounds), matchRounds(ended))
	return nil
}

// lateVotes is how long a task goes on after its round was decided without this oracle.
const lateVotes = 20 * time.Second

// answer works out this oracle's vote in one round and casts it.
func (w *Worker) answer(ctx context.Context, t *task) {
	defer t.cancel()
	log := w.log.With("round", t.round.Id, "kind", t.round.Kind)
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		err := w.answerOnce(ctx, t.round)
		switch {
		case err == nil:
			return
		case ctx.Err() != nil:
			return
		case errors.Is(err, errAbstain):
			log.Info("abstaining", "reason", err)
			return
		}
		log.Warn("cannot answer the round yet", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// errAbstain says that this oracle must not or need not vote, errNotYet that the chain is not so far.
var (
	errAbstain = errors.New("abstain")
	errNotYet  = errors.New("not yet")
)

func (w *Worker) answerOnce(ctx context.Context, round oracletypes.Round) error {
	if err := w.mayVote(ctx, round.Id); err != nil {
		return err
	}
	switch round.Kind {
	case oracletypes.KindBenchmark:
		return w.answerBenchmark(ctx, round)
	case oracletypes.KindLiveness:
		return w.answerLiveness(ctx, round)
	case oracletypes.KindMatches:
		return w.answerMatches(ctx, round)
	case nodestypes.RoundKindModel:
		return w.answerModel(ctx, round)
	case oracletypes.KindOutcome:
		return w.answerOutcome(ctx, round)
	case jobstypes.RoundKindServices:
		return w.answerServices(ctx, round)
	}
	return fmt.Errorf("%w: this release does not know rounds of kind %q; upgrade fog", errAbstain, round.Kind)
}

// mayVote asks the chain whether this oracle can still vote in a round; if not, it is an errAbstain that says why.
func (w *Worker) mayVote(ctx context.Context, round uint64) error {
	resp, err := oracletypes.NewQueryClient(w.cfg.Chain.Latest()).Round(ctx, &oracletypes.QueryRoundRequest{Id: round})
	if err != nil {
		return err
	}
	mine := func(v oracletypes.RecordedVote) bool { return v.Operator == w.cfg.Operator }
	switch {
	case slices.ContainsFunc(resp.Round.Votes, mine):
		return fmt.Errorf("%w: this oracle has voted", errAbstain)
	case resp.Round.Status == oracletypes.ROUND_STATUS_CANCELLED || resp.Round.Status == oracletypes.ROUND_STATUS_EXPIRED:
		return fmt.Errorf("%w: the round is over", errAbstain)
	case !slices.Contains(resp.Ranks, w.cfg.Operator):
		return w.outside(ctx)
	}
	return nil
}

// outside is why rounds are opened without this oracle, and what its operator can do.
func (w *Worker) outside(ctx context.Context) error {
	queries := oracletypes.NewQueryClient(w.cfg.Chain.Latest())
	resp, err := queries.Oracle(ctx, &oracletypes.QueryOracleRequest{Operator: w.cfg.Operator})
	if err != nil {
		return err
	}
	params, err := queries.Params(ctx, &oracletypes.QueryParamsRequest{})
	if err != nil {
		return err
	}
	why := "this oracle was not active when the round was opened"
	switch o, least := resp.Oracle, params.Params.MinBond; {
	case o.Tombstoned:
		why = "this oracle was punished for a disproved claim and cannot return"
	case o.Jailed:
		why = fmt.Sprintf("this oracle is jailed; its operator can send MsgUnjail from %s on", time.Unix(o.JailedUntil, 0).UTC().Format(time.RFC3339))
	case !o.Admitted:
		why = "governance has not admitted this oracle"
	case o.Bond < least:
		why = fmt.Sprintf("the bond of %d ufog is below min_bond; its operator must add %d ufog with MsgBond, better more", o.Bond, least-o.Bond)
	}
	w.log.Warn("not voting", "reason", why)
	return fmt.Errorf("%w: %s", errAbstain, why)
}
