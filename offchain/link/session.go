package link

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// PingLimit is how long an agent may take to answer a ping.
const PingLimit = 2 * time.Second

// ErrPingTimeout means that a ping was not answered within PingLimit.
var ErrPingTimeout = errors.New("the agent did not answer the ping in time")

const (
	outQueue     = 64
	reportQueue  = 64
	latePongs    = 64
	rttProbes    = 3
	pongNotAsked = "a pong that was not asked for, or comes a second time"
)

// Session is one connected agent, seen by the oracle. Safe for concurrent use.
type Session struct {
	server *Server
	stream linkpb.Link_ConnectServer
	key    ed25519.PublicKey
	hello  Hello
	remote string
	since  time.Time

	out     chan outgoing
	reports chan SignedReport
	done    chan struct{}
	dropped sync.Once
	reason  error // set before done is closed

	challengeTurn chan struct{}
	offersAsked   bool // owned by the reader

	mu    sync.Mutex
	pings map[[nonceSize]byte]chan time.Time
	late  *memory[[nonceSize]byte]
	exam  *exam
	ended *memory[[challengeIDSize]byte]
	// stale bytes of pieces may still come of the challenge that ended last.
	stale uint64

	watches   map[[watchIDSize]byte]*watch
	watchPace *rate.Limiter // of new ones, which an agent counts as messages
	unwatched *memory[[watchIDSize]byte]
}

// outgoing is a message on its way; sent, if not nil, gets the time just before it goes out.
type outgoing struct {
	msg  *linkpb.OracleMessage
	sent chan time.Time
}

func newSession(server *Server, stream linkpb.Link_ConnectServer, key ed25519.PublicKey, hello Hello, remote string) *Session {
	return &Session{
		server: server, stream: stream, key: key, hello: hello, remote: remote, since: time.Now(),
		out: make(chan outgoing, outQueue), reports: make(chan SignedReport, reportQueue), done: make(chan struct{}),
		challengeTurn: make(chan struct{}, 1),
		pings:         map[[nonceSize]byte]chan time.Time{}, late: newMemory[[nonceSize]byte](latePongs),
		ended:   newMemory[[challengeIDSize]byte](16),
		watches: map[[watchIDSize]byte]*watch{}, watchPace: rate.NewLimiter(2, maxWatches), unwatched: newMemory[[watchIDSize]byte](8 * maxWatches),
	}
}

// NodeID is the node that the agent's key belongs to on chain.
func (s *Session) NodeID() string { return s.hello.NodeID }

// Hello is what the agent said of itself; its node id was checked.
func (s *Session) Hello() Hello { return s.hello }

// Remote is the agent's network address.
func (s *Session) Remote() string { return s.remote }

// Since is when the agent connected.
func (s *Session) Since() time.Time { return s.since }

// Done is closed when the session ends; Err then says why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is nil until the session has ended, then the reason.
func (s *Session) Err() error {
	select {
	case <-s.done:
		return s.reason
	default:
		return nil
	}
}

// Drop ends the session; the agent is told the reason, and will come back.
func (s *Session) Drop(reason string) {
	s.drop(status.Error(codes.Aborted, printable(reason)))
}

func (s *Session) drop(reason error) {
	s.dropped.Do(func() {
		s.reason = reason
		close(s.done)
	})
}

// run serves the stream until the session is dropped or the agent leaves, and returns the reason.
func (s *Session) run() error {
	ctx, cancel := context.WithCancel(s.stream.Context())
	defer cancel()
	h := s.server.opts.Handlers
	s.server.log.InfoContext(ctx, "agent connected", "node", s.NodeID(), "boot", s.hello.BootID, "version", s.hello.Version, "remote", s.remote)

	// Reader and writer may hang in the stream until this method returns, so they are not waited for.
	go s.write()
	go s.read()
	s.post(&linkpb.OracleMessage{Body: &linkpb.OracleMessage_Welcome{Welcome: &linkpb.Welcome{
		Protocol: protocolVersion, OracleId: s.server.opts.OracleID, Offers: h.Offers != nil,
	}}})
	if h.Connected != nil {
		h.Connected(s)
	}
	var workers sync.WaitGroup
	workers.Go(func() { s.takeReports(ctx) })
	workers.Go(func() { s.recheck(ctx) })
	<-s.done
	cancel()
	workers.Wait()
	s.server.leave(s)
	if h.Disconnected != nil {
		h.Disconnected(s, s.reason)
	}
	s.server.log.InfoContext(s.stream.Context(), "agent disconnected", "node", s.NodeID(), "reason", s.reason)
	return s.reason
}

func (s *Session) write() {
	for {
		select {
		case o := <-s.out:
			if o.sent != nil {
				o.sent <- time.Now()
			}
			if err := s.stream.Send(o.msg); err != nil {
				s.drop(err)
				return
			}
		case <-s.done:
			return
		}
	}
}

func (s *Session) read() {
	per := s.server.opts.Messages
	messages := rate.NewLimiter(rate.Limit(per), 4*per)
	size := rate.NewLimiter(bytesPerSecond, bytesBurst)
	for {
		msg, err := s.stream.Recv()
		at := time.Now()
		switch {
		case errors.Is(err, io.EOF):
			s.drop(status.Error(codes.Canceled, "the agent left"))
			return
		case err != nil:
			s.drop(err)
			return
		case !s.asked(msg) && (!messages.AllowN(at, 1) || !size.AllowN(at, msg.Size())):
			s.drop(status.Errorf(codes.ResourceExhausted, "the agent sends more than %d messages or %d KiB a second", per, bytesPerSecond>>10))
			return
		}
		if err := s.take(msg, at); err != nil {
			s.drop(status.Error(codes.InvalidArgument, err.Error()))
			return
		}
	}
}

// take handles one message; an error means that the agent broke the protocol.
func (s *Session) take(msg *linkpb.AgentMessage, at time.Time) error {
	switch m := msg.GetBody().(type) {
	case *linkpb.AgentMessage_Pong:
		return s.takePong(m.Pong, at)
	case *linkpb.AgentMessage_Grant:
		return s.takeGrant(m.Grant)
	case *linkpb.AgentMessage_Answer:
		return s.takeAnswer(m.Answer, at)
	case *linkpb.AgentMessage_Piece:
		return s.takePiece(m.Piece)
	case *linkpb.AgentMessage_Cancel:
		return s.takeCancel(m.Cancel)
	case *linkpb.AgentMessage_Report:
		return s.takeReport(m.Report)
	case *linkpb.AgentMessage_Progress:
		p, err := progressFromProto(m.Progress)
		if err == nil && s.server.opts.Handlers.Progress != nil {
			s.server.opts.Handlers.Progress(s.NodeID(), p)
		}
		return err
	case *linkpb.AgentMessage_Offers:
		return s.takeOffersRequest(m.Offers)
	case *linkpb.AgentMessage_Watch:
		return s.takeWatchPiece(m.Watch)
	case *linkpb.AgentMessage_Hello:
		return malformed("a second hello")
	}
	return malformed("a message that this oracle does not know")
}

// post queues a message without waiting; an agent that does not read what it is sent is dropped.
func (s *Session) post(msg *linkpb.OracleMessage) {
	select {
	case s.out <- outgoing{msg: msg}:
	default:
		s.drop(status.Error(codes.ResourceExhausted, "the agent does not read its messages"))
	}
}

// send waits until a message goes out and returns the time just before.
func (s *Session) send(ctx context.Context, msg *linkpb.OracleMessage) (time.Time, error) {
	sent := make(chan time.Time, 1)
	select {
	case s.out <- outgoing{msg, sent}:
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	case <-s.done:
		return time.Time{}, s.gone()
	}
	select {
	case at := <-sent:
		return at, nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	case <-s.done:
		return time.Time{}, s.gone()
	}
}

// ErrGone is wrapped by the errors of calls on a session that has ended.
var ErrGone = errors.New("the agent is not connected")

func (s *Session) gone() error {
	return fmt.Errorf("%w: %w", ErrGone, s.reason)
}

// Ping sends a fresh nonce and returns how long the agent took to sign it, within PingLimit.
func (s *Session) Ping(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, PingLimit, ErrPingTimeout)
	defer cancel()
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails: it ends the program instead
	answered := make(chan time.Time, 1)
	s.mu.Lock()
	s.pings[nonce] = answered
	s.mu.Unlock()
	sent, err := s.send(ctx, &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Ping{Ping: &linkpb.Ping{Nonce: nonce[:]}}})
	if err == nil {
		select {
		case at := <-answered:
			return at.Sub(sent), nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-s.done:
			err = s.gone()
		}
	}
	s.mu.Lock()
	if _, open := s.pings[nonce]; open {
		delete(s.pings, nonce)
		s.late.add(nonce)
	}
	s.mu.Unlock()
	return 0, fmt.Errorf("ping node %s: %w", s.NodeID(), err)
}

func (s *Session) takePong(m *linkpb.Pong, at time.Time) error {
	if len(m.GetNonce()) != nonceSize {
		return malformed("a pong of %d bytes", len(m.GetNonce()))
	}
	if !ed25519.Verify(s.key, pongBytes(s.server.opts.OracleID, s.NodeID(), m.GetNonce()), m.GetSignature()) {
		return fmt.Errorf("pong: %w", ErrBadSignature)
	}
	nonce := [nonceSize]byte(m.GetNonce())
	s.mu.Lock()
	defer s.mu.Unlock()
	answered, ok := s.pings[nonce]
	if ok {
		delete(s.pings, nonce)
		answered <- at
		return nil
	}
	if s.late.remove(nonce) {
		return nil
	}
	return malformed(pongNotAsked)
}

// RTT is the shortest of three pings.
func (s *Session) RTT(ctx context.Context) (time.Duration, error) {
	best := PingLimit
	for range rttProbes {
		rtt, err := s.Ping(ctx)
		if err != nil {
			return 0, err
		}
		best = min(best, rtt)
	}
	return best, nil
}

// takeReport checks a report; the handler gets it in takeReports, so that a slow one does not hold up pongs and answers.
func (s *Session) takeReport(m *linkpb.SignedReport) error {
	report, err := reportFromProto(m)
	if err != nil {
		return err
	}
	if report.NodeID != s.NodeID() {
		return malformed("node %s reports for node %s", s.NodeID(), report.NodeID)
	}
	if err := report.Verify(s.key); err != nil {
		return err
	}
	select {
	case s.reports <- report:
	default: // the agent sends it again
	}
	return nil
}

func (s *Session) takeReports(ctx context.Context) {
	handler := s.server.opts.Handlers.Report
	for {
		select {
		case <-s.done:
			return
		case report := <-s.reports:
			digest := report.Digest()
			ack := &linkpb.Ack{ReportDigest: digest[:]}
			if handler != nil && !s.server.wasAccepted(digest) {
				err := handler(ctx, s.NodeID(), report)
				if err != nil && !errors.Is(err, ErrRefused) {
					s.server.log.WarnContext(ctx, "report not taken; the agent sends it again", "node", s.NodeID(), "job", report.JobID, "slice", report.Slice, "reason", err)
					continue
				}
				if err != nil {
					ack.Refused = printable(err.Error())
				} else {
					s.server.setAccepted(digest)
				}
			}
			s.post(&linkpb.OracleMessage{Body: &linkpb.OracleMessage_Ack{Ack: ack}})
		}
	}
}

// recheck drops the session when its key is no longer that of a live node. A look-up that fails changes nothing.
func (s *Session) recheck(ctx context.Context) {
	ticker := time.NewTicker(s.server.opts.Recheck)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
			nodeID, ok, err := s.server.opts.Registry.NodeByAgentKey(ctx, s.key)
			if err == nil && (!ok || nodeID != s.NodeID()) {
				s.drop(status.Errorf(codes.PermissionDenied, "no live node %s on chain has this agent key any more", s.NodeID()))
			}
		}
	}
}
