package link

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// Registry says which live node of the chain an agent key belongs to. It is asked at every connection and every Recheck, so it should remember.
type Registry interface {
	NodeByAgentKey(ctx context.Context, key ed25519.PublicKey) (nodeID string, ok bool, err error)
}

// ErrRefused means, wrapped by a report handler's error, that the report will never be taken: the agent stops sending it.
var ErrRefused = errors.New("report refused")

// Handlers are what an oracle does with what agents say. Any of them may be nil, and none may block for long.
type Handlers struct {
	// Report takes a report whose signature was checked. Nil acknowledges it; ErrRefused refuses it for good; after another error
	// the agent sends it again. The same report may come more than once, also after a nil.
	Report func(ctx context.Context, nodeID string, report SignedReport) error
	// Progress takes a hint about a running slice.
	Progress func(nodeID string, progress Progress)
	// Offers begins to send what the matching offers to the node of a session, from a window on (Session.SendOffers).
	Offers func(s *Session, from uint64)
	// Connected and Disconnected frame a session. When an agent reconnects, the new session may be connected before the old one is disconnected.
	Connected    func(s *Session)
	Disconnected func(s *Session, reason error)
}

// ServerOptions configure a Server; zero values of the limits mean the defaults.
type ServerOptions struct {
	// Key is the private half of the oracle's transport key on chain.
	Key ed25519.PrivateKey
	// OracleID is the operator's address; agents sign it with each pong.
	OracleID string
	Registry Registry
	Handlers Handlers
	// Jobs tells whose jobs are and where they run, for their owners to watch; nil serves no owners.
	Jobs Jobs
	// Local says whether a task runs where no agent shows it, and what does; nil: all agents do.
	Local func(ctx context.Context, task TaskRef) (Local, error)
	// Examiner carries challenges out; nil makes one when the server is made, which takes a fraction of a second.
	Examiner *challenge.Examiner
	// Log takes what happens to sessions; nothing is logged if it is nil.
	Log *slog.Logger

	// HelloTimeout is how long a new connection may take to say Hello; 10 s.
	HelloTimeout time.Duration
	// GrantTimeout is how long a challenge may wait for the agent's slot; 5 min.
	GrantTimeout time.Duration
	// Recheck is how often a session's key is looked up again; 1 min.
	Recheck time.Duration
	// MaxConnections at once, over which new ones wait; 4096.
	MaxConnections int
	// WatchTime is how long an owner may watch before asking again; 1 h.
	WatchTime time.Duration
	// StatsEach is how often an owner gets figures of a task that Local shows; 2 s.
	StatsEach time.Duration
	// Absence is how long an owner waits for an agent that is not connected before being sent to another oracle; 20 s.
	Absence time.Duration
	// LookAgain is how often it is looked where a task runs that an owner waits for; 2 s.
	LookAgain time.Duration
	// Messages is how many messages an agent may send a second, with a burst of four times as many; 50.
	Messages int
}

const (
	maxMessageSize = 1 << 20
	bytesPerSecond = 1 << 20
	bytesBurst     = 4 << 20

	defaultHelloTimeout   = 10 * time.Second
	defaultGrantTimeout   = 5 * time.Minute
	defaultRecheck        = time.Minute
	defaultMaxConnections = 4096
	defaultMessages       = 50
	defaultWatchTime      = time.Hour
	defaultLookAgain      = 2 * time.Second
	defaultAbsence        = 20 * time.Second

	// A node may come back this often; a burst covers restarts.
	reconnectEvery = time.Second
	reconnectBurst = 10

	stopPatience = 2 * time.Second

	// rememberedReports is how many accepted reports are acknowledged again without the handler.
	rememberedReports = 4096
)

// Server is the oracle's side of all links.
type Server struct {
	opts     ServerOptions
	identity *identity
	grpc     *grpc.Server
	log      *slog.Logger
	// networkTurn is held while the network of an agent is measured.
	networkTurn chan struct{}

	mu       sync.Mutex
	sessions map[string]*Session
	comeback map[string]*rate.Limiter
	accepted *memory[[32]byte]
	closed   bool
}

// NewServer makes a server; Serve starts it.
func NewServer(opts ServerOptions) (*Server, error) {
	if opts.Registry == nil {
		return nil, errors.New("the link server has no registry; give one that looks nodes up on chain")
	}
	if err := checkID("oracle id", opts.OracleID); err != nil {
		return nil, err
	}
	id, err := newIdentity(opts.Key)
	if err != nil {
		return nil, err
	}
	if opts.Examiner == nil {
		if opts.Examiner, err = challenge.NewExaminer(); err != nil {
			return nil, err
		}
	}
	setDefault(&opts.HelloTimeout, defaultHelloTimeout)
	setDefault(&opts.GrantTimeout, defaultGrantTimeout)
	setDefault(&opts.Recheck, defaultRecheck)
	setDefault(&opts.MaxConnections, defaultMaxConnections)
	setDefault(&opts.Messages, defaultMessages)
	setDefault(&opts.WatchTime, defaultWatchTime)
	setDefault(&opts.LookAgain, defaultLookAgain)
	setDefault(&opts.Absence, defaultAbsence)
	setDefault(&opts.StatsEach, defaultStatsEach)
	s := &Server{
		opts: opts, identity: id, log: opts.Log,
		sessions: map[string]*Session{}, comeback: map[string]*rate.Limiter{}, accepted: newMemory[[32]byte](rememberedReports),
		networkTurn: make(chan struct{}, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(id.serverTLS())),
		grpc.MaxRecvMsgSize(maxMessageSize),
		grpc.MaxConcurrentStreams(2),
		grpc.MaxHeaderListSize(8<<10),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: connectTimeout, Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second}),
	)
	linkpb.RegisterLinkServer(s.grpc, service{s})
	if opts.Jobs != nil {
		linkpb.RegisterWatchServer(s.grpc, &watchService{server: s, busy: make(chan struct{}, maxOwners)})
	}
	return s, nil
}

func setDefault[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// Serve accepts agents until Close, then returns nil. It closes the listener.
func (s *Server) Serve(lis net.Listener) error {
	if err := s.grpc.Serve(netutil.LimitListener(lis, s.opts.MaxConnections)); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve agents on %s: %w", lis.Addr(), err)
	}
	return nil
}

// Close drops all sessions, stops serving, and waits until everything has ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	sessions := s.list()
	s.mu.Unlock()
	for _, session := range sessions {
		session.drop(status.Error(codes.Unavailable, "the oracle is shutting down"))
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.grpc.GracefulStop()
	}()
	patience := time.AfterFunc(stopPatience, s.grpc.Stop)
	<-stopped
	patience.Stop()
}

func (s *Server) list() []*Session {
	list := make([]*Session, 0, len(s.sessions))
	for _, session := range s.sessions {
		list = append(list, session)
	}
	slices.SortFunc(list, func(a, b *Session) int { return strings.Compare(a.hello.NodeID, b.hello.NodeID) })
	return list
}

// Sessions lists the connected agents by node id.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list()
}

// Session is the connected agent of a node.
func (s *Server) Session(nodeID string) (*Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, ok := s.sessions[nodeID]
	return session, ok
}

// service keeps the generated interface out of the server's methods.
type service struct{ server *Server }

// Connect holds one agent's stream; what it returns is the reason that the agent reads.
func (v service) Connect(stream linkpb.Link_ConnectServer) error {
	s := v.server
	ctx := stream.Context()
	key, remote, err := s.caller(ctx)
	if err != nil {
		return err
	}
	nodeID, err := s.nodeOf(ctx, key)
	if err != nil {
		s.log.InfoContext(ctx, "agent refused", "remote", remote, "key", fmt.Sprintf("%x", key), "reason", err)
		return err
	}
	hello, err := s.hello(stream)
	if err != nil {
		s.log.InfoContext(ctx, "agent refused", "remote", remote, "node", nodeID, "reason", err)
		return err
	}
	if hello.NodeID != nodeID {
		return status.Errorf(codes.PermissionDenied, "the agent says it is node %s, but its key belongs to node %s on chain", hello.NodeID, nodeID)
	}
	session := newSession(s, stream, key, hello, remote)
	if err := s.enter(session); err != nil {
		return err
	}
	return session.run()
}

func (s *Server) caller(ctx context.Context) (ed25519.PublicKey, string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, "", status.Error(codes.Internal, "the connection has no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil, "", status.Error(codes.Unauthenticated, "the connection is not TLS")
	}
	key, err := peerKey(info.State, s.identity.now())
	if err != nil {
		return nil, "", status.Error(codes.Unauthenticated, err.Error())
	}
	return key, p.Addr.String(), nil
}

func (s *Server) nodeOf(ctx context.Context, key ed25519.PublicKey) (string, error) {
	nodeID, ok, err := s.opts.Registry.NodeByAgentKey(ctx, key)
	if err != nil {
		return "", status.Errorf(codes.Unavailable, "the oracle could not look the agent key up; it will be tried again: %v", err)
	}
	if !ok {
		return "", status.Errorf(codes.PermissionDenied, "no live node on chain has the agent key %x; register the node", key)
	}
	return nodeID, nil
}

// hello waits for the first message.
func (s *Server) hello(stream linkpb.Link_ConnectServer) (Hello, error) {
	type first struct {
		msg *linkpb.AgentMessage
		err error
	}
	got := make(chan first, 1)
	// Recv has no deadline of its own; it ends when Connect returns.
	go func() {
		msg, err := stream.Recv()
		got <- first{msg, err}
	}()
	timer := time.NewTimer(s.opts.HelloTimeout)
	defer timer.Stop()
	select {
	case f := <-got:
		if f.err != nil {
			return Hello{}, f.err
		}
		if f.msg.GetHello() == nil {
			return Hello{}, status.Error(codes.InvalidArgument, "the first message must be hello")
		}
		hello, err := helloFromProto(f.msg.GetHello())
		if err != nil {
			return Hello{}, status.Error(codes.InvalidArgument, err.Error())
		}
		return hello, nil
	case <-timer.C:
		return Hello{}, status.Errorf(codes.DeadlineExceeded, "no hello within %s", s.opts.HelloTimeout)
	case <-stream.Context().Done():
		return Hello{}, status.FromContextError(stream.Context().Err()).Err()
	}
}

// enter makes the session the node's only one: the newest wins, because the older connection of a restarted agent may be half-dead.
func (s *Server) enter(session *Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodeID := session.hello.NodeID
	if s.closed {
		return status.Error(codes.Unavailable, "the oracle is shutting down")
	}
	limiter, ok := s.comeback[nodeID]
	if !ok {
		limiter = rate.NewLimiter(rate.Every(reconnectEvery), reconnectBurst)
		s.comeback[nodeID] = limiter
	}
	if !limiter.Allow() {
		return status.Error(codes.ResourceExhausted, "the agent connects too often; is it running twice?")
	}
	if old, ok := s.sessions[nodeID]; ok {
		old.drop(status.Error(codes.Aborted, "the same agent has connected again"))
	}
	s.sessions[nodeID] = session
	return nil
}

func (s *Server) leave(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[session.hello.NodeID] == session {
		delete(s.sessions, session.hello.NodeID)
	}
}

func (s *Server) wasAccepted(digest [32]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted.has(digest)
}

func (s *Server) setAccepted(digest [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted.add(digest)
}
