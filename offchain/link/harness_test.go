package link

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// TestMain fails if any goroutine of a link outlives the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	left := ""
	for range 100 {
		if left = linkGoroutines(); left == "" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if left != "" && code == 0 {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

func linkGoroutines() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var left []string
	for _, stack := range strings.Split(string(buf), "\n\n") {
		if strings.Contains(stack, "TestMain") {
			continue
		}
		if strings.Contains(stack, "offchain/link.") || strings.Contains(stack, "google.golang.org/grpc") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

var (
	oracleKey = testKey(100)
	agentKey  = testKey(1)

	testExaminer = sync.OnceValue(func() *challenge.Examiner {
		e, err := challenge.NewExaminer()
		if err != nil {
			panic(err)
		}
		return e
	})
)

const (
	testOracle = "fog1oracle"
	testNode   = "node1qqq"
	soon       = 20 * time.Second // an upper bound for whatever must happen
)

// chainOf is a registry that tests can change.
type chainOf struct {
	mu    sync.Mutex
	nodes map[string]string
	err   error
}

func newChain(nodes map[string]ed25519.PrivateKey) *chainOf {
	c := &chainOf{nodes: map[string]string{}}
	for id, key := range nodes {
		c.set(key, id)
	}
	return c
}

func (c *chainOf) set(key ed25519.PrivateKey, nodeID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[string(key.Public().(ed25519.PublicKey))] = nodeID
}

func (c *chainOf) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *chainOf) NodeByAgentKey(_ context.Context, key ed25519.PublicKey) (string, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.nodes[string(key)]
	return id, id != "", c.err
}

// startOracle serves on loopback until the test ends.
func startOracle(t testing.TB, change func(*ServerOptions)) (*Server, string) {
	return startOracleAt(t, "127.0.0.1:0", change)
}

func startOracleAt(t testing.TB, addr string, change func(*ServerOptions)) (*Server, string) {
	opts := ServerOptions{
		Key: oracleKey, OracleID: testOracle, Examiner: testExaminer(),
		Registry: newChain(map[string]ed25519.PrivateKey{testNode: agentKey}),
	}
	if change != nil {
		change(&opts)
	}
	s, err := NewServer(opts)
	require.NoError(t, err)
	lis, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	t.Cleanup(func() {
		s.Close()
		require.NoError(t, <-served)
	})
	return s, lis.Addr().String()
}

func agentOptions(t testing.TB, addr string) ClientOptions {
	return ClientOptions{
		OracleID: testOracle, Endpoint: addr, OracleKey: oracleKey.Public().(ed25519.PublicKey), Key: agentKey,
		Hello:  Hello{NodeID: testNode, BootID: "0123456789abcdef", Version: "test", Network: true},
		Slot:   challenge.NewSlot(),
		Limits: challenge.Limits{Cores: 2, MemoryMiB: 1, DiskMiB: 1, Dir: t.TempDir()},
		// Fast, so that tests are.
		MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, Resend: 100 * time.Millisecond,
	}
}

// runAgent runs a client until the test ends or stop is called.
func runAgent(t testing.TB, opts ClientOptions) (c *Client, stop func()) {
	c, err := NewClient(opts)
	require.NoError(t, err)
	return c, runClient(t, c)
}

func runClient(t testing.TB, c *Client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	t.Cleanup(stop)
	return stop
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, 5*time.Millisecond, what)
}

// sessionOf waits for the session of a node.
func sessionOf(t testing.TB, s *Server, nodeID string) *Session {
	t.Helper()
	var session *Session
	eventually(t, "no session of "+nodeID, func() bool {
		found, ok := s.Session(nodeID)
		session = found
		return ok
	})
	return session
}

// rawAgent speaks the protocol by hand, so that it can break it.
type rawAgent struct {
	t      *testing.T
	stream linkpb.Link_ConnectClient
}

func dialRaw(t *testing.T, addr string, key ed25519.PrivateKey) *rawAgent {
	id, err := newIdentity(key)
	require.NoError(t, err)
	return dialAs(t, addr, id)
}

// dialAs is dialRaw with a certificate that the test may have made.
func dialAs(t *testing.T, addr string, id *identity) *rawAgent {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(
		credentials.NewTLS(id.clientTLS(oracleKey.Public().(ed25519.PublicKey), new(pinError)))))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	t.Cleanup(cancel)
	stream, err := linkpb.NewLinkClient(conn).Connect(ctx)
	require.NoError(t, err)
	return &rawAgent{t, stream}
}

// connectRaw is dialRaw with the greetings exchanged.
func connectRaw(t *testing.T, addr string) *rawAgent {
	a := dialRaw(t, addr, agentKey)
	a.hello(&linkpb.Hello{Protocol: 1, NodeId: testNode, BootId: "0123456789abcdef", Version: "raw"})
	require.NotNil(t, a.recv().GetWelcome())
	return a
}

func (a *rawAgent) send(msg *linkpb.AgentMessage) {
	require.NoError(a.t, a.stream.Send(msg))
}

func (a *rawAgent) hello(h *linkpb.Hello) {
	a.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Hello{Hello: h}})
}

func (a *rawAgent) recv() *linkpb.OracleMessage {
	msg, err := a.stream.Recv()
	require.NoError(a.t, err)
	return msg
}

// dropped reads until the oracle ends the stream, and returns the reason.
func (a *rawAgent) dropped() error {
	for {
		if _, err := a.stream.Recv(); err != nil {
			return err
		}
	}
}

func (a *rawAgent) pong(oracleID string, nonce []byte) *linkpb.AgentMessage {
	return &linkpb.AgentMessage{Body: &linkpb.AgentMessage_Pong{Pong: &linkpb.Pong{
		Nonce: nonce, Signature: ed25519.Sign(agentKey, pongBytes(oracleID, testNode, nonce)),
	}}}
}
