package link

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

const (
	connectTimeout = 10 * time.Second
	welcomeTimeout = 20 * time.Second

	// What an oracle may send: far more than pings and challenges need, far less than would keep a core busy with signing.
	oracleMessages = 20
	oracleBurst    = 100

	// The examiner's challenges have at most a fill and a few tries.
	maxChallengeSteps = 16
)

var errOracleLeft = errors.New("the oracle closed the stream")

// agentStream is one connection of a client, from dial to loss.
type agentStream struct {
	client *Client
	stream linkpb.Link_ConnectClient
	ctx    context.Context
	fail   context.CancelCauseFunc
	out    chan *linkpb.AgentMessage
	tasks  sync.WaitGroup

	// exam is the last one; owned by the reader, but for its channels.
	exam *agentExam
	// offersFrom is the first window of which nothing has come; owned by the reader.
	offersFrom  uint64
	offersAsked bool

	watches agentWatches
}

// connect dials, and serves the stream until it fails; it returns why.
func (c *Client) connect(ctx context.Context) error {
	var refused pinError
	conn, err := grpc.NewClient("passthrough:///"+c.opts.Endpoint,
		grpc.WithTransportCredentials(credentials.NewTLS(c.identity.clientTLS(c.opts.OracleKey, &refused))),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageSize)),
		grpc.WithMaxHeaderListSize(8<<10),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
	)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	err = c.serve(ctx, fail, conn)
	fail(nil)
	closeErr := conn.Close()
	// gRPC keeps only the text of what a handshake failed with.
	if pin := refused.load(); pin != nil {
		err = pin
	}
	return errors.Join(err, closeErr)
}

func (c *Client) serve(ctx context.Context, fail context.CancelCauseFunc, conn *grpc.ClientConn) error {
	impatience := time.AfterFunc(welcomeTimeout, func() { fail(fmt.Errorf("the oracle did not welcome within %s", welcomeTimeout)) })
	defer impatience.Stop()
	stream, err := linkpb.NewLinkClient(conn).Connect(ctx)
	if err != nil {
		return cause(ctx, err)
	}
	h := c.opts.Hello
	hello := &linkpb.Hello{Protocol: protocolVersion, NodeId: h.NodeID, BootId: h.BootID, Version: h.Version, Watch: h.Watch, Network: h.Network,
		Events: h.Events, Exec: h.Exec}
	// An error of Send says less than that of Recv, which follows.
	sendErr := stream.Send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Hello{Hello: hello}})
	msg, err := stream.Recv()
	if err = errors.Join(err, ignoreEOF(sendErr)); err != nil {
		return cause(ctx, err)
	}
	welcome := msg.GetWelcome()
	if welcome == nil || welcome.GetProtocol() != protocolVersion || welcome.GetOracleId() != c.opts.OracleID {
		return malformed("the first message is not the welcome of oracle %s in protocol %d", c.opts.OracleID, protocolVersion)
	}
	impatience.Stop()
	c.log.InfoContext(ctx, "link up")
	c.forgetSent()
	c.setState(true, nil)

	s := &agentStream{client: c, stream: stream, ctx: ctx, fail: fail, out: make(chan *linkpb.AgentMessage, outQueue)}
	s.watches.open = map[[watchIDSize]byte]*agentWatch{}
	s.tasks.Go(s.write)
	s.askOffers(welcome)
	s.tasks.Go(s.sendPending)
	s.tasks.Go(func() { fail(s.read()) })
	<-ctx.Done()
	s.tasks.Wait()
	return context.Cause(ctx)
}

// cause prefers why the context was cancelled to what that did to the stream.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *agentStream) write() {
	for {
		select {
		case msg := <-s.out:
			if err := s.stream.Send(msg); err != nil {
				if !errors.Is(err, io.EOF) { // after EOF the reader has the reason
					s.fail(err)
				}
				return
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// send queues a message and says if the stream is still up.
func (s *agentStream) send(msg *linkpb.AgentMessage) bool {
	select {
	case s.out <- msg:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// sendPending sends reports and progress at the client's pace.
func (s *agentStream) sendPending() {
	c := s.client
	ticker := time.NewTicker(max(c.opts.Resend/4, time.Millisecond))
	defer ticker.Stop()
	for {
		for _, report := range c.due(time.Now()) {
			if c.pace.Wait(s.ctx) != nil || !s.send(reportToProto(report)) {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-c.wake:
		case p := <-c.progress:
			if c.pace.Wait(s.ctx) != nil || !s.send(progressToProto(p)) {
				return
			}
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *agentStream) read() error {
	flood := rate.NewLimiter(oracleMessages, oracleBurst)
	for {
		msg, err := s.stream.Recv()
		if errors.Is(err, io.EOF) {
			return errOracleLeft
		}
		if err != nil {
			return cause(s.ctx, err)
		}
		if !s.announced(msg) && !flood.Allow() {
			return fmt.Errorf("the oracle sends more than %d messages a second", oracleMessages)
		}
		if err := s.take(msg); err != nil {
			return fmt.Errorf("the oracle broke the protocol: %w", err)
		}
	}
}

func (s *agentStream) take(msg *linkpb.OracleMessage) error {
	switch m := msg.GetBody().(type) {
	case *linkpb.OracleMessage_Ping:
		return s.takePing(m.Ping)
	case *linkpb.OracleMessage_Reserve:
		return s.takeReserve(m.Reserve)
	case *linkpb.OracleMessage_Start:
		return s.takeStart(m.Start)
	case *linkpb.OracleMessage_Piece:
		return s.takePiece(m.Piece)
	case *linkpb.OracleMessage_Cancel:
		s.takeCancel(m.Cancel)
		return nil
	case *linkpb.OracleMessage_Ack:
		return s.client.takeAck(m.Ack.GetReportDigest(), m.Ack.GetRefused())
	case *linkpb.OracleMessage_Offers:
		return s.takeOffers(m.Offers)
	case *linkpb.OracleMessage_Watch:
		return s.takeWatchStart(m.Watch)
	case *linkpb.OracleMessage_More:
		return s.takeWatchMore(m.More)
	case *linkpb.OracleMessage_Unwatch:
		s.takeWatchStop(m.Unwatch)
		return nil
	case *linkpb.OracleMessage_Welcome:
		return malformed("a second welcome")
	}
	return malformed("a message that this agent does not know")
}

func (s *agentStream) takePing(m *linkpb.Ping) error {
	if len(m.GetNonce()) != nonceSize {
		return malformed("a ping nonce of %d bytes; send %d", len(m.GetNonce()), nonceSize)
	}
	o := s.client.opts
	signature := ed25519.Sign(o.Key, pongBytes(o.OracleID, o.Hello.NodeID, m.GetNonce()))
	s.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Pong{Pong: &linkpb.Pong{Nonce: m.GetNonce(), Signature: signature}}})
	return nil
}

// agentExam is the challenge that the oracle of this stream has asked for.
type agentExam struct {
	id        [challengeIDSize]byte
	cancel    context.CancelFunc
	cancelled bool // by the oracle
	starts    chan agentStep
	over      chan struct{} // closed when it has ended on this side
	// incoming is the step that has begun to come; owned by the reader.
	incoming *incoming
}

func (s *agentStream) takeReserve(m *linkpb.ChallengeReserve) error {
	if len(m.GetId()) != challengeIDSize {
		return malformed("a challenge id of %d bytes; send %d", len(m.GetId()), challengeIDSize)
	}
	before := s.exam
	if before != nil && !before.cancelled && !before.isOver() {
		return malformed("a challenge is reserved while another one of the same oracle is not over")
	}
	ctx, cancel := context.WithCancel(s.ctx)
	e := &agentExam{id: [challengeIDSize]byte(m.GetId()), cancel: cancel, starts: make(chan agentStep, 1), over: make(chan struct{})}
	s.exam = e
	s.tasks.Go(func() {
		defer close(e.over)
		defer cancel()
		if before != nil {
			<-before.over
		}
		if err := s.examine(ctx, e); err != nil && ctx.Err() == nil {
			s.client.log.WarnContext(ctx, "challenge given up", "reason", err)
			s.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Cancel{Cancel: &linkpb.ChallengeCancel{Id: e.id[:], Reason: printable(err.Error())}}})
		}
	})
	return nil
}

func (s *agentStream) takeStart(m *linkpb.ChallengeStart) error {
	e := s.exam
	if e == nil || string(m.GetId()) != string(e.id[:]) {
		return malformed("a step of a challenge that was not reserved")
	}
	if e.incoming != nil {
		return malformed("a step of a challenge before the last one was sent whole")
	}
	if e.incoming = incomingOf(m); e.incoming != nil {
		return nil
	}
	return e.begin(agentStep{start: m})
}

// begin hands a step that has come whole to the worker.
func (e *agentExam) begin(step agentStep) error {
	select {
	case e.starts <- step:
		return nil
	case <-e.over: // given up; the oracle will read it
		return nil
	default:
		return malformed("a step of a challenge before the answer to the last one")
	}
}

func (s *agentStream) takeCancel(m *linkpb.ChallengeCancel) {
	if e := s.exam; e != nil && string(m.GetId()) == string(e.id[:]) {
		e.cancelled = true
		e.cancel()
	}
}

func (e *agentExam) isOver() bool {
	select {
	case <-e.over:
		return true
	default:
		return false
	}
}

// examine waits for the slot, grants it, and does steps until the oracle ends the challenge or the lease is over.
func (s *agentStream) examine(ctx context.Context, e *agentExam) (err error) {
	o := s.client.opts
	release, err := o.Slot.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeoutCause(ctx, o.Lease, fmt.Errorf("the challenge held the slot for more than %s", o.Lease))
	defer cancel()
	worker := challenge.NewWorker(o.Limits)
	defer func() { err = errors.Join(err, worker.Close()) }()
	if !s.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Grant{Grant: &linkpb.ChallengeGrant{Id: e.id[:]}}}) {
		return ctx.Err()
	}
	for number := uint32(1); ; number++ {
		step, err := e.next(ctx, o.IdleLease)
		if err != nil {
			return err
		}
		if step.start.GetStep() != number || number > maxChallengeSteps {
			return malformed("step %d of the challenge comes as number %d of at most %d", step.start.GetStep(), number, maxChallengeSteps)
		}
		values, err := worker.Do(ctx, step.task())
		if err != nil {
			return cause(ctx, err)
		}
		if err := s.answerStep(ctx, e, step, values); err != nil {
			return err
		}
	}
}

func (e *agentExam) next(ctx context.Context, idle time.Duration) (agentStep, error) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case step := <-e.starts:
		return step, nil
	case <-timer.C:
		return agentStep{}, fmt.Errorf("the oracle held the slot for %s without a task", idle)
	case <-ctx.Done():
		return agentStep{}, context.Cause(ctx)
	}
}
