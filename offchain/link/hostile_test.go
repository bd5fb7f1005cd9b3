package link

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// Agents that break the protocol are dropped with a reason.
func TestHostileAgents(t *testing.T) {
	progress := progressToProto(Progress{JobID: "j", State: ProgressRunning})
	badReport := func(change func(*SignedReport)) *linkpb.AgentMessage {
		s := testReport().Sign(agentKey)
		change(&s)
		return reportToProto(s)
	}
	foreign := testReport()
	foreign.NodeID = "node1other"
	for name, c := range map[string]struct {
		send []*linkpb.AgentMessage
		want codes.Code
	}{
		"second hello":             {[]*linkpb.AgentMessage{{Body: &linkpb.AgentMessage_Hello{Hello: &linkpb.Hello{}}}}, codes.InvalidArgument},
		"empty message":            {[]*linkpb.AgentMessage{{}}, codes.InvalidArgument},
		"pong of no ping":          {[]*linkpb.AgentMessage{(&rawAgent{}).pong(testOracle, make([]byte, nonceSize))}, codes.InvalidArgument},
		"short pong":               {[]*linkpb.AgentMessage{(&rawAgent{}).pong(testOracle, make([]byte, 5))}, codes.InvalidArgument},
		"bad progress":             {[]*linkpb.AgentMessage{{Body: &linkpb.AgentMessage_Progress{Progress: &linkpb.Progress{}}}}, codes.InvalidArgument},
		"grant of nothing":         {[]*linkpb.AgentMessage{{Body: &linkpb.AgentMessage_Grant{Grant: &linkpb.ChallengeGrant{Id: make([]byte, 16)}}}}, codes.InvalidArgument},
		"answer to nothing":        {[]*linkpb.AgentMessage{{Body: &linkpb.AgentMessage_Answer{Answer: &linkpb.ChallengeAnswer{Id: make([]byte, 16)}}}}, codes.InvalidArgument},
		"cancel of nothing":        {[]*linkpb.AgentMessage{{Body: &linkpb.AgentMessage_Cancel{Cancel: &linkpb.ChallengeCancel{Id: []byte{1}}}}}, codes.InvalidArgument},
		"report without signature": {[]*linkpb.AgentMessage{badReport(func(s *SignedReport) { s.Signature = nil })}, codes.InvalidArgument},
		"report that was changed":  {[]*linkpb.AgentMessage{badReport(func(s *SignedReport) { s.Attempt++ })}, codes.InvalidArgument},
		"report of another node":   {[]*linkpb.AgentMessage{reportToProto(foreign.Sign(agentKey))}, codes.InvalidArgument},
		"report of nothing":        {[]*linkpb.AgentMessage{{Body: &linkpb.AgentMessage_Report{Report: &linkpb.SignedReport{}}}}, codes.InvalidArgument},
		"piece of no watch":        {[]*linkpb.AgentMessage{watchPiece(make([]byte, watchIDSize), 1)}, codes.InvalidArgument},
		"piece without an id":      {[]*linkpb.AgentMessage{watchPiece(nil, 1)}, codes.InvalidArgument},
		"network piece of nothing": {[]*linkpb.AgentMessage{networkPiece(challengeID(1), 1, 1)}, codes.InvalidArgument},
		"huge message":             {[]*linkpb.AgentMessage{badReport(func(s *SignedReport) { s.Signature = make([]byte, maxMessageSize) })}, codes.ResourceExhausted},
		"flood":                    {repeat(progress, 1000), codes.ResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := startOracle(t, nil)
			a := connectRaw(t, addr)
			session := sessionOf(t, s, testNode)
			for _, msg := range c.send {
				if a.stream.Send(msg) != nil {
					break // dropped already
				}
			}
			err := a.dropped()
			require.Equal(t, c.want, status.Code(err), "%v", err)
			<-session.Done()
			require.Equal(t, c.want, status.Code(session.Err()))
		})
	}
}

func repeat(msg *linkpb.AgentMessage, n int) []*linkpb.AgentMessage {
	list := make([]*linkpb.AgentMessage, n)
	for i := range list {
		list[i] = msg
	}
	return list
}

func TestBadGreetings(t *testing.T) {
	good := linkpb.Hello{Protocol: 1, NodeId: testNode, BootId: "0123456789abcdef", Version: "raw"}
	for name, change := range map[string]func(*linkpb.Hello){
		"protocol": func(h *linkpb.Hello) { h.Protocol = 2 },
		"boot":     func(h *linkpb.Hello) { h.BootId = "now" },
		"version":  func(h *linkpb.Hello) { h.Version = "" },
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := startOracle(t, nil)
			a := dialRaw(t, addr, agentKey)
			h := good
			change(&h)
			a.hello(&h)
			require.Equal(t, codes.InvalidArgument, status.Code(a.dropped()))
			require.Empty(t, s.Sessions())
		})
	}
	t.Run("not hello", func(t *testing.T) {
		_, addr := startOracle(t, nil)
		a := dialRaw(t, addr, agentKey)
		a.send(a.pong(testOracle, make([]byte, nonceSize)))
		require.Equal(t, codes.InvalidArgument, status.Code(a.dropped()))
	})
	t.Run("silence", func(t *testing.T) {
		_, addr := startOracle(t, func(o *ServerOptions) { o.HelloTimeout = 50 * time.Millisecond })
		require.Equal(t, codes.DeadlineExceeded, status.Code(dialRaw(t, addr, agentKey).dropped()))
	})
}

func TestNewestSessionWins(t *testing.T) {
	s, addr := startOracle(t, nil)
	a := connectRaw(t, addr)
	first := sessionOf(t, s, testNode)
	connectRaw(t, addr)
	require.Equal(t, codes.Aborted, status.Code(a.dropped()))
	<-first.Done()
	require.NotSame(t, first, sessionOf(t, s, testNode))
	require.Len(t, s.Sessions(), 1)
}

func TestReconnectingTooOften(t *testing.T) {
	_, addr := startOracle(t, nil)
	for range reconnectBurst {
		connectRaw(t, addr)
	}
	a := dialRaw(t, addr, agentKey)
	a.hello(&linkpb.Hello{Protocol: 1, NodeId: testNode, BootId: "0123456789abcdef", Version: "raw"})
	require.Equal(t, codes.ResourceExhausted, status.Code(a.dropped()))
}

// pinged returns the nonce of a ping, and where its result goes.
func pinged(t *testing.T, session *Session, a *rawAgent) ([]byte, chan error) {
	result := make(chan error, 1)
	go func() {
		_, err := session.Ping(t.Context())
		result <- err
	}()
	nonce := a.recv().GetPing().GetNonce()
	require.Len(t, nonce, nonceSize)
	return nonce, result
}

func TestPongs(t *testing.T) {
	for name, answer := range map[string]func(a *rawAgent, nonce, old []byte) *linkpb.AgentMessage{
		"replayed":           func(a *rawAgent, _, old []byte) *linkpb.AgentMessage { return a.pong(testOracle, old) },
		"for another oracle": func(a *rawAgent, nonce, _ []byte) *linkpb.AgentMessage { return a.pong("fog1other", nonce) },
		"old signature": func(a *rawAgent, nonce, old []byte) *linkpb.AgentMessage {
			m := a.pong(testOracle, old)
			m.GetPong().Nonce = nonce
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := startOracle(t, nil)
			a := connectRaw(t, addr)
			session := sessionOf(t, s, testNode)
			old, result := pinged(t, session, a)
			a.send(a.pong(testOracle, old))
			require.NoError(t, <-result)

			nonce, result := pinged(t, session, a)
			a.send(answer(a, nonce, old))
			require.ErrorIs(t, <-result, ErrGone)
			require.Equal(t, codes.InvalidArgument, status.Code(a.dropped()))
		})
	}
}

func TestPingTimeoutAndLatePong(t *testing.T) {
	s, addr := startOracle(t, nil)
	a := connectRaw(t, addr)
	session := sessionOf(t, s, testNode)
	start := time.Now()
	nonce, result := pinged(t, session, a)
	require.ErrorIs(t, <-result, ErrPingTimeout)
	require.GreaterOrEqual(t, time.Since(start), PingLimit)

	a.send(a.pong(testOracle, nonce)) // late, which is no crime
	next, result := pinged(t, session, a)
	a.send(a.pong(testOracle, next))
	require.NoError(t, <-result)

	a.send(a.pong(testOracle, nonce)) // the late one again, which is
	require.Equal(t, codes.InvalidArgument, status.Code(a.dropped()))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := session.Ping(ctx)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrPingTimeout)
}

var diskSpec = challenge.Spec{Kind: challenge.Disk, Declared: challenge.Declared{StorageMiB: 8}, PortionMiB: 1}

// challenged returns the id of a reservation, and where the challenge's result goes.
func challenged(ctx context.Context, t *testing.T, session *Session, a *rawAgent) ([]byte, chan error) {
	result := make(chan error, 1)
	go func() {
		_, err := session.Challenge(ctx, diskSpec)
		result <- err
	}()
	id := a.recv().GetReserve().GetId()
	require.Len(t, id, challengeIDSize)
	return id, result
}

func grant(id []byte) *linkpb.AgentMessage {
	return &linkpb.AgentMessage{Body: &linkpb.AgentMessage_Grant{Grant: &linkpb.ChallengeGrant{Id: id}}}
}

func answer(id []byte, step uint32, values ...[]byte) *linkpb.AgentMessage {
	return &linkpb.AgentMessage{Body: &linkpb.AgentMessage_Answer{Answer: &linkpb.ChallengeAnswer{Id: id, Step: step, Values: values}}}
}

func TestSlowAndSilentAgents(t *testing.T) {
	s, addr := startOracle(t, func(o *ServerOptions) { o.GrantTimeout = 50 * time.Millisecond })
	a := connectRaw(t, addr)
	session := sessionOf(t, s, testNode)
	id, result := challenged(t.Context(), t, session, a)
	require.ErrorIs(t, <-result, ErrNotGranted)
	require.Equal(t, id, a.recv().GetCancel().GetId())
	a.send(grant(id)) // crossed with the cancellation, which is no crime

	ctx, cancel := context.WithCancel(t.Context())
	id, result = challenged(ctx, t, session, a)
	a.send(grant(id))
	require.Equal(t, uint32(1), a.recv().GetStart().GetStep())
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	require.Equal(t, id, a.recv().GetCancel().GetId())
	a.send(answer(id, 1))

	id, result = challenged(t.Context(), t, session, a)
	a.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Cancel{Cancel: &linkpb.ChallengeCancel{Id: id, Reason: "disk\nfull"}}})
	err := <-result
	require.ErrorIs(t, err, ErrDeclined)
	require.ErrorContains(t, err, "disk?full")
	require.NoError(t, session.Err(), "none of this ends the session")
}

func TestFalseAndMisplacedAnswers(t *testing.T) {
	start := func(t *testing.T) (*rawAgent, *Session, []byte, chan error) {
		s, addr := startOracle(t, nil)
		a := connectRaw(t, addr)
		session := sessionOf(t, s, testNode)
		id, result := challenged(t.Context(), t, session, a)
		a.send(grant(id))
		require.NotNil(t, a.recv().GetStart().GetDiskPrepare())
		return a, session, id, result
	}
	t.Run("false", func(t *testing.T) {
		a, session, id, result := start(t)
		a.send(answer(id, 1))
		read := a.recv().GetStart().GetDiskRead()
		values := make([][]byte, read.Lanes*read.Reads)
		for i := range values {
			values[i] = make([]byte, 32)
		}
		a.send(answer(id, 2, values...))
		require.ErrorIs(t, <-result, challenge.ErrWrongAnswer)
		require.NoError(t, session.Err(), "what to make of it is the oracle's business")
	})
	for name, send := range map[string]func(a *rawAgent, id []byte){
		"wrong step":     func(a *rawAgent, id []byte) { a.send(answer(id, 2)) },
		"step zero":      func(a *rawAgent, id []byte) { a.send(answer(id, 0)) },
		"granted twice":  func(a *rawAgent, id []byte) { a.send(grant(id)) },
		"piece unasked":  func(a *rawAgent, id []byte) { a.send(networkPiece(id, 1, 1)) },
		"answered twice": func(a *rawAgent, id []byte) { a.send(answer(id, 1)); a.recv(); a.send(answer(id, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			a, _, id, result := start(t)
			send(a, id)
			require.ErrorIs(t, <-result, ErrGone)
			require.Equal(t, codes.InvalidArgument, status.Code(a.dropped()))
		})
	}
}

func TestFloodOfBytes(t *testing.T) {
	s, addr := startOracle(t, nil)
	a := connectRaw(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	id, result := challenged(ctx, t, sessionOf(t, s, testNode), a)
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	// Answers to a challenge that has ended are ignored, but not for ever.
	for range 100 {
		if a.stream.Send(answer(id, 1, make([]byte, maxMessageSize-100))) != nil {
			break
		}
	}
	require.Equal(t, codes.ResourceExhausted, status.Code(a.dropped()))
}
