package link

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/foggrid/fogd/offchain/challenge"
)

// ClientOptions configure the agent's link to one oracle; zero values of the limits mean the defaults.
type ClientOptions struct {
	// OracleID is the operator's address; the agent signs it with each pong.
	OracleID string
	// Endpoint is host:port, and OracleKey the transport key, that the chain holds for the oracle.
	Endpoint  string
	OracleKey ed25519.PublicKey
	// Key is the private half of the agent key on chain.
	Key ed25519.PrivateKey
	// Hello is what the agent says of itself.
	Hello Hello
	// Slot is shared by all links of the agent, so that one challenge at a time runs.
	Slot *challenge.Slot
	// Limits are what the agent lends to challenges.
	Limits challenge.Limits
	// Source shows tasks to those who may watch them; nil shows none.
	Source Source
	// Offers gets what the matching offers to the node; nil does not ask.
	Offers OffersTaker
	// Log takes what happens to the link; nothing is logged if it is nil.
	Log *slog.Logger

	// MinBackoff and MaxBackoff bound the wait before another connection, which doubles at each failure and is spread by half; 500 ms and 20 s.
	MinBackoff time.Duration
	MaxBackoff time.Duration
	// Resend is how long an acknowledgement may take before a report is sent again; 5 s.
	Resend time.Duration
	// Lease is how long one challenge may hold the slot; 5 min.
	Lease time.Duration
	// StatsEach is the pause between two figures of a task that is watched; 2 s.
	StatsEach time.Duration
	// IdleLease is how long the oracle may hold the slot without a task under way; 30 s.
	IdleLease time.Duration
}

const (
	defaultMinBackoff = 500 * time.Millisecond
	defaultMaxBackoff = 20 * time.Second
	defaultResend     = 5 * time.Second
	defaultLease      = 5 * time.Minute
	defaultIdleLease  = 30 * time.Second
	defaultStatsEach  = 2 * time.Second

	// A link that held this long was good, and the next failure is a new one.
	goodLink = 10 * time.Second

	progressQueue = 64

	// What the client sends of its own accord stays well below what a server allows.
	sendPerSecond = 20
	sendBurst     = 20
)

// Client is the agent's link to one oracle. Safe for concurrent use.
type Client struct {
	opts     ClientOptions
	identity *identity
	log      *slog.Logger
	pace     *rate.Limiter
	// watchPace bounds what is shown to all who watch, in bytes.
	watchPace *rate.Limiter
	progress  chan Progress
	wake      chan struct{} // a report is new

	mu        sync.Mutex
	pending   map[[32]byte]*pendingReport
	connected bool
	since     time.Time
	lastErr   error
}

// pendingReport is a report that is not acknowledged yet.
type pendingReport struct {
	report  SignedReport
	sent    time.Time
	waiting int           // calls of SendReport
	settled chan struct{} // closed by the acknowledgement
	refused error         // set before settled is closed
}

// NewClient makes a link; Run keeps it up.
func NewClient(opts ClientOptions) (*Client, error) {
	id, err := newIdentity(opts.Key)
	if err != nil {
		return nil, err
	}
	if len(opts.OracleKey) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the transport key of oracle %s has %d bytes; the chain must hold an ed25519 key of %d", opts.OracleID, len(opts.OracleKey), ed25519.PublicKeySize)
	}
	if err := errors.Join(checkID("oracle id", opts.OracleID), checkID("endpoint", opts.Endpoint), opts.Hello.Validate()); err != nil {
		return nil, err
	}
	if opts.Slot == nil {
		return nil, errors.New("the link has no challenge slot; give all links of an agent the same")
	}
	setDefault(&opts.MinBackoff, defaultMinBackoff)
	setDefault(&opts.MaxBackoff, defaultMaxBackoff)
	setDefault(&opts.Resend, defaultResend)
	setDefault(&opts.Lease, defaultLease)
	setDefault(&opts.IdleLease, defaultIdleLease)
	setDefault(&opts.StatsEach, defaultStatsEach)
	opts.Hello.Watch, opts.Hello.Network = opts.Source != nil, true
	_, opts.Hello.Events = opts.Source.(EventSource)
	_, opts.Hello.Exec = opts.Source.(ExecSource)
	c := &Client{
		opts: opts, identity: id, log: opts.Log, pace: rate.NewLimiter(sendPerSecond, sendBurst),
		watchPace: rate.NewLimiter(watchBytes, watchBytes),
		progress:  make(chan Progress, progressQueue), wake: make(chan struct{}, 1), pending: map[[32]byte]*pendingReport{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("oracle", opts.OracleID, "endpoint", opts.Endpoint)
	return c, nil
}

// Run keeps one stream to the oracle up, and connects again after each failure, until the context ends. It returns the context's error.
func (c *Client) Run(ctx context.Context) error {
	wait := c.opts.MinBackoff
	for {
		start := time.Now()
		err := c.connect(ctx)
		c.setState(false, err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(start) > goodLink {
			wait = c.opts.MinBackoff
		}
		pause := wait/2 + rand.N(wait) //nolint:gosec // jitter; nobody gains by guessing it
		c.log.WarnContext(ctx, "link lost", "reason", err, "again_in", pause.Round(time.Millisecond))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		wait = min(2*wait, c.opts.MaxBackoff)
	}
}

// State is what Client.State tells.
type State struct {
	OracleID  string
	Connected bool
	// Since is when it became so; zero before the first attempt has ended.
	Since time.Time
	// LastError is why the last connection ended; nil if there was none.
	LastError error
}

// State says how the link is.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{OracleID: c.opts.OracleID, Connected: c.connected, Since: c.since, LastError: c.lastErr}
}

func (c *Client) setState(connected bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.connected != connected || c.since.IsZero() {
		c.since = time.Now()
	}
	c.connected = connected
	if err != nil {
		c.lastErr = err
	}
}

// SendReport sends a report, over as many connections as it takes, until the oracle has acknowledged it, and then returns
// nil, or ErrRefused with the oracle's reason. It stops with the context's error.
func (c *Client) SendReport(ctx context.Context, report SignedReport) error {
	if err := report.Verify(c.opts.Key.Public().(ed25519.PublicKey)); err != nil {
		return fmt.Errorf("send the report of job %s slice %d: %w", report.JobID, report.Slice, err)
	}
	digest := report.Digest()
	c.mu.Lock()
	p, ok := c.pending[digest]
	if !ok {
		p = &pendingReport{report: report, settled: make(chan struct{})}
		c.pending[digest] = p
	}
	p.waiting++
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	select {
	case <-p.settled:
		return p.refused
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		if p.waiting--; p.waiting == 0 && c.pending[digest] == p {
			delete(c.pending, digest)
		}
		return ctx.Err()
	}
}

// takeAck settles a report. An acknowledgement of a report that is not pending came twice, or too late.
func (c *Client) takeAck(digest []byte, refused string) error {
	if len(digest) != 32 {
		return malformed("an acknowledgement of %d bytes", len(digest))
	}
	key := [32]byte(digest)
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pending[key]
	if !ok {
		return nil
	}
	delete(c.pending, key)
	if refused != "" {
		p.refused = fmt.Errorf("%w by oracle %s: %s", ErrRefused, c.opts.OracleID, printable(refused))
	}
	close(p.settled)
	return nil
}

// due returns the reports to send now, and marks them as sent.
func (c *Client) due(now time.Time) []SignedReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	var reports []SignedReport
	for _, p := range c.pending {
		if now.Sub(p.sent) >= c.opts.Resend {
			p.sent = now
			reports = append(reports, p.report)
		}
	}
	return reports
}

// forgetSent makes all reports due: on a new stream nothing is under way.
func (c *Client) forgetSent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pending {
		p.sent = time.Time{}
	}
}

// SendProgress passes a hint on if the link is up and not busy, and says if it took it.
func (c *Client) SendProgress(p Progress) (bool, error) {
	if err := p.Validate(); err != nil {
		return false, err
	}
	if !c.State().Connected {
		return false, nil
	}
	select {
	case c.progress <- p:
		return true, nil
	default:
		return false, nil
	}
}
