package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/agent/autoprice"
	"github.com/foggrid/fogd/offchain/link"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// maxRefusals is how often a report is sent again after an oracle refused it: one whose node is a block behind knows no such slice yet.
const maxRefusals = 3

// links holds a link to every oracle, and the reports that they have to bring.
type links struct {
	ctx  context.Context
	opts link.ClientOptions // without the oracle
	log  *slog.Logger
	// again is the pause before a report is sent again that was refused while the chain still waits for it.
	again time.Duration
	wg    sync.WaitGroup
	// offers, if set, learns which oracles there are.
	offers *autoprice.Book

	mu       sync.Mutex
	open     map[string]*oracleLink // by operator
	outgoing map[*outgoing]struct{}
}

// oracleLink is the link to one oracle at one endpoint.
type oracleLink struct {
	endpoint string
	key      ed25519.PublicKey
	client   *link.Client
	ctx      context.Context
	close    context.CancelFunc
}

// outgoing is a report that is sent until its context ends.
type outgoing struct {
	ctx    context.Context
	report link.SignedReport
}

func newLinks(ctx context.Context, opts link.ClientOptions, log *slog.Logger, again time.Duration) *links {
	return &links{ctx: ctx, opts: opts, log: log, again: again, open: map[string]*oracleLink{}, outgoing: map[*outgoing]struct{}{}}
}

// tellOffers has the links opened from now on ask for offers.
func (l *links) tellOffers(book *autoprice.Book) {
	l.offers, l.opts.Offers = book, book
}

// update opens and closes links so that they are those to the given oracles. An oracle takes part once it is admitted and says where
// it listens and with which key.
func (l *links) update(oracles []oracletypes.Oracle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := map[string]bool{}
	oracles = slices.DeleteFunc(slices.Clone(oracles), func(o oracletypes.Oracle) bool {
		return !o.Admitted || o.Tombstoned || o.Endpoint == "" || len(o.TransportKey) != ed25519.PublicKeySize
	})
	for _, o := range oracles {
		wanted[o.Operator] = true
	}
	if l.offers != nil { // before a link brings the first of them
		l.offers.SetOracles(slices.Collect(maps.Keys(wanted)))
	}
	for _, o := range oracles {
		before := l.open[o.Operator]
		if before != nil && before.endpoint == o.Endpoint && bytes.Equal(before.key, o.TransportKey) {
			continue
		}
		if before != nil {
			l.log.Info("the oracle has moved", "oracle", o.Operator, "endpoint", o.Endpoint)
			before.close()
			delete(l.open, o.Operator)
		}
		if err := l.start(o); err != nil {
			l.log.Error("no link to the oracle", "oracle", o.Operator, "endpoint", o.Endpoint, "error", err)
		}
	}
	for operator, ol := range l.open {
		if !wanted[operator] {
			l.log.Info("the oracle has left", "oracle", operator)
			ol.close()
			delete(l.open, operator)
		}
	}
}

// start opens a link. The caller holds mu.
func (l *links) start(o oracletypes.Oracle) error {
	opts := l.opts
	opts.OracleID, opts.Endpoint, opts.OracleKey = o.Operator, o.Endpoint, ed25519.PublicKey(bytes.Clone(o.TransportKey))
	client, err := link.NewClient(opts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(l.ctx)
	ol := &oracleLink{endpoint: o.Endpoint, key: opts.OracleKey, client: client, ctx: ctx, close: cancel}
	l.open[o.Operator] = ol
	l.wg.Go(func() {
		if err := client.Run(ctx); !errors.Is(err, context.Canceled) {
			l.log.Error("a link has ended", "oracle", o.Operator, "error", err)
		}
	})
	for out := range l.outgoing {
		l.wg.Go(func() { l.send(ol, o.Operator, out) })
	}
	return nil
}

// deliver sends a report to every oracle that there is and that will be, until the context ends.
func (l *links) deliver(ctx context.Context, report link.SignedReport) {
	out := &outgoing{ctx: ctx, report: report}
	l.mu.Lock()
	l.outgoing[out] = struct{}{}
	for operator, ol := range l.open {
		l.wg.Go(func() { l.send(ol, operator, out) })
	}
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.outgoing, out)
}

// send brings a report to one oracle until it is acknowledged, refused for good, or report or link end.
func (l *links) send(ol *oracleLink, operator string, out *outgoing) {
	ctx, cancel := context.WithCancel(out.ctx)
	defer cancel()
	defer context.AfterFunc(ol.ctx, cancel)()
	log := l.log.With("oracle", operator, "job", out.report.JobID, "slice", out.report.Slice, "attempt", out.report.Attempt)
	for refused := 1; ; refused++ {
		err := ol.client.SendReport(ctx, out.report)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			log.Info("report acknowledged")
			return
		case !errors.Is(err, link.ErrRefused): // the report itself cannot be sent
			log.Error("report not sent", "error", err)
			return
		case refused == maxRefusals:
			log.Error("report refused", "error", err)
			return
		}
		log.Warn("report refused; sending it again in a while", "error", err)
		if sleep(ctx, l.again) != nil {
			return
		}
	}
}

// progress passes a hint to all oracles; it may be lost.
func (l *links) progress(p link.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for operator, ol := range l.open {
		if _, err := ol.client.SendProgress(p); err != nil {
			l.log.Error("progress not sent", "oracle", operator, "error", err)
		}
	}
}

// states tells how the links are.
func (l *links) states() []link.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []link.State
	for _, ol := range l.open {
		all = append(all, ol.client.State())
	}
	return all
}
