package oracle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/match"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

const (
	// maxHeld questions are kept until their round ends; there is one open match round at a time.
	maxHeld = 2
	// maxBehind rounds may wait to be counted. A worker that is further behind leaves them out.
	maxBehind = 4
	// maxBlind is how many blocks may pass unseen: a round is open for that long at least, between its opening and its execution. What
	// ended in a longer gap is asked for, if that is of at most maxGap blocks.
	maxBlind = 2
	maxGap   = link.OffersWindow
	// unseenRounds are read at most to fill a gap.
	unseenRounds = 1_000
)

// offerSession is what the desk needs of a *link.Session.
type offerSession interface {
	NodeID() string
	Done() <-chan struct{}
	SendOffers(link.OffersReport) error
}

// matchRound is a match round with the height of its snapshot.
type matchRound struct {
	id     uint64
	height int64
}

// offerDesk counts, behind the votes, what executed batches offered to the nodes whose agents ask, and tells them. It costs nothing until
// one asks. What it counts is memory of this process: agents keep what they were told.
type offerDesk struct {
	log *slog.Logger
	// executed tells whether a round's batch was executed, and its claim.
	executed func(ctx context.Context, round uint64) (claim []byte, ok bool, err error)
	// read reads the question of a round that this oracle did not answer.
	read func(ctx context.Context, height int64) (Question, error)
	// unseen lists the match rounds that were opened after the block from, the newest first, as far back as whole says.
	unseen func(ctx context.Context, from int64) (rounds []matchRound, whole bool, err error)
	// class is that of a node.
	class func(ctx context.Context, node string) (uint32, error)

	wake chan struct{}

	mu     sync.Mutex
	wanted bool // somebody asks
	held   []heldQuestion
	asks   []offerAsk
	news   offerNews

	// Owned by run.
	book  *offerBook
	subs  map[string]*offerSub
	since int64 // the last height that was counted
}

// heldQuestion is what an open round asks, with this oracle's answer.
type heldQuestion struct {
	round    uint64
	question Question
	claim    [sha256.Size]byte
}

type offerAsk struct {
	session offerSession
	from    uint64
}

// offerSub is an agent that is told.
type offerSub struct {
	session offerSession
	from    uint64
	greeted bool
}

// offerNews is what was seen of the chain since the desk looked.
type offerNews struct {
	seen int64 // the newest height
	// open is the least height of a snapshot whose round is open, or that may still be asked about.
	open  int64
	ended []matchRound
	holes []span // windows
	// gap is the last height that was seen before the first blocks that were not; zero if there are none.
	gap int64
}

func newOfferDesk(w *Worker) *offerDesk {
	d := &offerDesk{log: w.log, wake: make(chan struct{}, 1), book: newOfferBook(), subs: map[string]*offerSub{}}
	d.read = func(ctx context.Context, height int64) (Question, error) {
		return ReadQuestion(ctx, w.cfg.Chain, height)
	}
	d.executed = func(ctx context.Context, round uint64) ([]byte, bool, error) {
		resp, err := oracletypes.NewQueryClient(w.cfg.Chain.Latest()).Round(ctx, &oracletypes.QueryRoundRequest{Id: round})
		if err != nil {
			return nil, false, err
		}
		return resp.Round.Claim, resp.Round.Status == oracletypes.ROUND_STATUS_EXECUTED, nil
	}
	d.unseen = func(ctx context.Context, from int64) ([]matchRound, bool, error) {
		resp, err := oracletypes.NewQueryClient(w.cfg.Chain.Latest()).Rounds(ctx, &oracletypes.QueryRoundsRequest{
			Pagination: &query.PageRequest{Reverse: true, Limit: unseenRounds},
		})
		if err != nil {
			return nil, false, err
		}
		older := func(r oracletypes.Round) bool { return r.OpenedHeight <= from }
		whole := len(resp.Pagination.GetNextKey()) == 0 || slices.ContainsFunc(resp.Rounds, older)
		return matchRounds(slices.DeleteFunc(resp.Rounds, older)), whole, nil
	}
	d.class = func(ctx context.Context, node string) (uint32, error) {
		n, err := w.nodes.node(ctx, node)
		return n.Class, err
	}
	return d
}

// ask is link.Handlers.Offers.
func (d *offerDesk) ask(session offerSession, from uint64) {
	d.mu.Lock()
	d.asks = append(d.asks, offerAsk{session, from})
	d.mu.Unlock()
	d.kick()
}

func (d *offerDesk) kick() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// hold keeps the question of a round until it ends, if somebody asks.
func (d *offerDesk) hold(round uint64, question Question, claim [sha256.Size]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.wanted {
		return
	}
	d.held = append(d.held, heldQuestion{round, question, claim})
	if len(d.held) > maxHeld {
		d.held = slices.Delete(d.held, 0, 1)
	}
}

// look takes what the newest block shows: the match rounds that are open, and those that were and are no more, by id.
func (d *offerDesk) look(newest int64, open, ended []matchRound) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := &d.news
	switch {
	case newest <= n.seen+maxBlind:
	case n.seen > 0 && newest-n.seen <= maxGap:
		n.gap = cmp.Or(n.gap, n.seen)
	default: // the first time too
		n.holes = append(n.holes, span{link.WindowOf(n.seen + 1), link.WindowOf(newest) + 1})
	}
	n.ended = append(n.ended, ended...)
	for len(n.ended) > maxBehind {
		n.holes, n.ended = append(n.holes, windowOf(n.ended[0].height)), n.ended[1:]
	}
	n.seen, n.open = newest, newest+1
	for _, r := range open {
		n.open = min(n.open, r.height)
	}
	d.kick()
}

// run counts and tells until the context ends.
func (d *offerDesk) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.wake:
			d.work(ctx, time.Now())
		}
	}
}

// work goes through what has come in.
func (d *offerDesk) work(ctx context.Context, now time.Time) {
	d.mu.Lock()
	asks, news, held := d.asks, d.news, d.held
	d.asks, d.news.ended, d.news.holes, d.news.gap, d.held = nil, nil, nil, 0, nil
	d.mu.Unlock()
	if news.gap > 0 {
		d.fill(ctx, &news)
	}
	for _, h := range news.holes {
		d.book.hole(h)
	}
	if d.since == 0 {
		d.since = news.seen
	}
	for _, r := range news.ended {
		if err := d.count(ctx, r, held); err != nil && ctx.Err() == nil {
			d.log.Warn("what a match round offered cannot be counted; its window is left out", "round", r.id, "error", err)
			d.book.hole(windowOf(r.height))
		}
	}
	d.book.over(link.WindowOf(news.open))
	for _, a := range asks {
		d.welcome(ctx, a, link.WindowOf(news.seen)+1)
	}
	d.tell(now)
	held = slices.DeleteFunc(held, func(h heldQuestion) bool {
		return slices.ContainsFunc(news.ended, func(r matchRound) bool { return r.id == h.round })
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted, d.held = len(d.book.nodes) > 0, append(held, d.held...)
}

// fill adds the rounds that ended in a gap, or else leaves out the windows of the gap.
func (d *offerDesk) fill(ctx context.Context, news *offerNews) {
	rounds, whole, err := d.unseen(ctx, news.gap)
	if err != nil && ctx.Err() == nil {
		d.log.Warn("match rounds that ended unseen cannot be read; their windows are left out", "after", news.gap, "error", err)
	}
	if err != nil || !whole {
		news.holes = append(news.holes, span{link.WindowOf(news.gap + 1), link.WindowOf(news.seen) + 1})
		return
	}
	for _, r := range rounds {
		if r.height < news.open && !slices.Contains(news.ended, r) { // the others are open still
			news.ended = append(news.ended, r)
		}
	}
	slices.SortFunc(news.ended, func(a, b matchRound) int { return cmp.Compare(a.id, b.id) })
}

// windowOf is the window of a height alone.
func windowOf(height int64) span { return span{link.WindowOf(height), link.WindowOf(height) + 1} }

// welcome begins to tell an agent what is counted from a window on, or was before.
func (d *offerDesk) welcome(ctx context.Context, a offerAsk, from uint64) {
	name := a.session.NodeID()
	id, err := nodestypes.ParseNodeID(name)
	if err != nil {
		d.log.Warn("offers asked for by a node without a proper id", "node", name, "error", err)
		return
	}
	class, err := d.class(ctx, name)
	if err != nil {
		d.log.Warn("the class of a node that asks for offers cannot be read; it begins without", "node", name, "error", err)
	}
	if !d.book.watch(name, match.ID(id), class, from) {
		d.log.Warn("too many nodes ask for offers; not counting for one more", "node", name, "most", maxOfferNodes)
		return
	}
	d.subs[name] = &offerSub{session: a.session, from: a.from}
}

// tell sends each agent what is new to it.
func (d *offerDesk) tell(now time.Time) {
	for name, sub := range d.subs {
		n := d.book.nodes[name]
		select {
		case <-sub.session.Done():
			n.left = now
			delete(d.subs, name)
			continue
		default:
		}
		reports := d.book.reports(n, sub.from)
		if !sub.greeted {
			if len(reports) == 0 {
				reports = []link.OffersReport{{From: sub.from, Until: sub.from}}
			}
			reports[0].Class = d.book.class(n.class)
			sub.greeted = true
		}
		for _, r := range reports {
			if err := sub.session.SendOffers(r); err != nil {
				d.log.Error("offers not sent", "node", name, "error", err)
			}
			sub.from = max(sub.from, r.Until)
		}
	}
	d.book.forget(now)
}

// count adds what the batch of an executed round offered.
func (d *offerDesk) count(ctx context.Context, r matchRound, held []heldQuestion) error {
	if len(d.book.nodes) == 0 {
		d.since = r.height
		return nil
	}
	claim, executed, err := d.executed(ctx, r.id)
	if err != nil || !executed {
		return err
	}
	h, err := d.questionOf(ctx, r, held)
	if err != nil {
		return err
	}
	if string(claim) != string(h.claim[:]) {
		return fmt.Errorf("the quorum's batch is not what is computed here; compare them with fog oracle replay --round %d", r.id)
	}
	policy, known := match.Named(h.question.Version)
	if !known {
		return fmt.Errorf("this release does not know match policy %q; upgrade fog", h.question.Version)
	}
	ids, names := d.book.ids()
	sample := sampleClasses(h.question.Snapshot, h.question.Seed)
	for id := range sample {
		if _, watched := names[id]; !watched {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareNodes)
	offers, err := policy.Offers(h.question.Snapshot, h.question.Seed, d.since, ids)
	if err != nil {
		return err
	}
	for _, o := range offers {
		if name, watched := names[o.Node]; watched {
			d.book.record(name, r.height, o)
		}
		if sample[o.Node] {
			d.book.recordClass(h.question.Snapshot.Time, o)
		}
	}
	d.since = r.height
	return nil
}

// questionOf is the question of a round with its answer: the one that was held, or else computed now.
func (d *offerDesk) questionOf(ctx context.Context, r matchRound, held []heldQuestion) (heldQuestion, error) {
	for _, h := range held {
		if h.round == r.id {
			return h, nil
		}
	}
	question, err := d.read(ctx, r.height)
	if err != nil {
		return heldQuestion{}, err
	}
	body, err := question.Batch()
	if err != nil {
		return heldQuestion{}, err
	}
	return heldQuestion{r.id, question, sha256.Sum256(body)}, nil
}

// matchRounds are the match rounds among others, by id.
func matchRounds(rounds []oracletypes.Round) []matchRound {
	var out []matchRound
	for _, r := range rounds {
		if r.Kind != oracletypes.KindMatches {
			continue
		}
		if height, err := jobstypes.DecodeMatchSubject(r.Subject); err == nil { // others are abstained from
			out = append(out, matchRound{r.Id, height})
		}
	}
	slices.SortFunc(out, func(a, b matchRound) int { return cmp.Compare(a.id, b.id) })
	return out
}
