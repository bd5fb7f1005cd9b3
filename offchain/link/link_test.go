package link

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/challenge"
)

func TestPingMeasureAndProgress(t *testing.T) {
	type event struct {
		node     string
		progress Progress
	}
	events := make(chan event, 1)
	gone := make(chan error, 1)
	s, addr := startOracle(t, func(o *ServerOptions) {
		o.Handlers.Progress = func(node string, p Progress) { events <- event{node, p} }
		o.Handlers.Disconnected = func(_ *Session, reason error) { gone <- reason }
	})
	opts := agentOptions(t, addr)
	c, stop := runAgent(t, opts)
	session := sessionOf(t, s, testNode)
	require.Equal(t, opts.Hello, session.Hello())
	require.Len(t, s.Sessions(), 1)
	require.NoError(t, session.Err())

	rtt, err := session.RTT(t.Context())
	require.NoError(t, err)
	require.Positive(t, rtt)

	declared := challenge.Declared{Cores: 2, CPUSingle: 2000, CPUAll: 4000, MemoryMiB: 4, StorageMiB: 8}
	m, err := session.Measure(t.Context(), declared)
	require.NoError(t, err)
	require.NotZero(t, m.CPUSingle)
	require.NotZero(t, m.CPUAll)
	require.NotZero(t, m.MemoryBandwidthMiB)
	require.NotZero(t, m.DiskReadMiB)
	require.NotZero(t, m.RTTMicros)
	require.NotZero(t, m.BandwidthKbit)
	require.Equal(t, uint64(8), m.StorageMiB)
	eventually(t, "the slot stays taken", func() bool { return !opts.Slot.Busy() })

	eventually(t, "not connected", func() bool { return c.State().Connected })
	p := Progress{JobID: "job1zzz", Slice: 1, Attempt: 2, State: ProgressRunning, TasksDone: 3, TasksTotal: 4}
	sent, err := c.SendProgress(p)
	require.NoError(t, err)
	require.True(t, sent)
	require.Equal(t, event{testNode, p}, <-events)
	_, err = c.SendProgress(Progress{})
	require.ErrorIs(t, err, ErrMalformed)

	stop()
	require.Error(t, <-gone)
	require.Error(t, session.Err())
	_, found := s.Session(testNode)
	require.False(t, found)
	_, err = session.Ping(t.Context())
	require.ErrorIs(t, err, ErrGone)
	_, err = session.Challenge(t.Context(), challenge.Spec{Kind: challenge.CPUSingle, Declared: declared})
	require.ErrorIs(t, err, ErrGone)
	sent, err = c.SendProgress(p)
	require.NoError(t, err)
	require.False(t, sent)
}

func TestReconnectAfterRestart(t *testing.T) {
	s, addr := startOracle(t, nil)
	c, _ := runAgent(t, agentOptions(t, addr))
	sessionOf(t, s, testNode)
	s.Close()
	eventually(t, "the loss is not seen", func() bool { return !c.State().Connected && c.State().LastError != nil })
	require.Equal(t, codes.Unavailable, status.Code(c.State().LastError))

	again, _ := startOracleAt(t, addr, nil)
	_, err := sessionOf(t, again, testNode).Ping(t.Context())
	require.NoError(t, err)
	require.True(t, c.State().Connected)
}

func TestReportUntilAcknowledged(t *testing.T) {
	var calls atomic.Int32
	s, addr := startOracle(t, func(o *ServerOptions) {
		o.Handlers.Report = func(_ context.Context, node string, r SignedReport) error {
			if node != testNode || r.JobID != "job1zzz" || len(r.Tasks) != 3 {
				return ErrRefused
			}
			if calls.Add(1) < 3 {
				return errors.New("the chain is not there now")
			}
			return nil
		}
	})
	c, _ := runAgent(t, agentOptions(t, addr))
	sessionOf(t, s, testNode)
	report := testReport().Sign(agentKey)
	require.NoError(t, c.SendReport(t.Context(), report))
	require.Equal(t, int32(3), calls.Load())

	require.NoError(t, c.SendReport(t.Context(), report), "the same again")
	require.Equal(t, int32(3), calls.Load(), "is acknowledged without the handler")

	other := testReport()
	other.JobID = "job1unknown"
	err := c.SendReport(t.Context(), other.Sign(agentKey))
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, testOracle)

	require.ErrorIs(t, c.SendReport(t.Context(), testReport().Sign(testKey(9))), ErrBadSignature, "not this agent's")
	require.Empty(t, c.pending)
}

// The oracle takes a report and drops the connection before the acknowledgement is out.
func TestReportAfterLostAck(t *testing.T) {
	var calls atomic.Int32
	s, addr := startOracle(t, func(o *ServerOptions) {
		o.Handlers.Report = func(ctx context.Context, node string, _ SignedReport) error {
			if calls.Add(1) == 1 {
				<-ctx.Done()
			}
			return nil
		}
	})
	opts := agentOptions(t, addr)
	opts.Resend = time.Hour // a new connection must not wait for that
	c, _ := runAgent(t, opts)
	first := sessionOf(t, s, testNode)
	done := make(chan error, 1)
	go func() { done <- c.SendReport(t.Context(), testReport().Sign(agentKey)) }()
	eventually(t, "the report does not come", func() bool { return calls.Load() == 1 })
	first.Drop("lost")
	require.NoError(t, <-done)
	require.Equal(t, int32(1), calls.Load(), "the second time it is only acknowledged")
	require.NotSame(t, first, sessionOf(t, s, testNode))
}

func TestReportsWaitForTheLink(t *testing.T) {
	c, err := NewClient(agentOptions(t, "127.0.0.1:1"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.SendReport(ctx, testReport().Sign(agentKey)), context.DeadlineExceeded)
	require.Empty(t, c.pending, "who gave up must not be sent for")
}

// Two oracles, one slot: the second challenge is granted when the first is over.
func TestOneChallengeAtATime(t *testing.T) {
	key2 := testKey(101)
	s1, addr1 := startOracle(t, nil)
	s2, addr2 := startOracle(t, func(o *ServerOptions) { o.Key, o.OracleID = key2, "fog1second" })
	opts := agentOptions(t, addr1)
	runAgent(t, opts)
	opts2 := opts
	opts2.Endpoint, opts2.OracleID, opts2.OracleKey = addr2, "fog1second", key2.Public().(ed25519.PublicKey)
	runAgent(t, opts2)
	one, two := sessionOf(t, s1, testNode), sessionOf(t, s2, testNode)

	// Held by hand, the slot keeps both waiting, however long, and nothing of that is measured.
	release, err := opts.Slot.Acquire(t.Context())
	require.NoError(t, err)
	spec := challenge.Spec{Kind: challenge.Disk, Declared: challenge.Declared{StorageMiB: 8}}
	results := make(chan error, 4)
	for _, session := range []*Session{one, two, one, two} {
		go func() {
			m, err := session.Challenge(t.Context(), spec)
			if err == nil && m.DiskReadMiB == 0 {
				err = errors.New("nothing measured")
			}
			results <- err
		}()
	}
	select {
	case err := <-results:
		t.Fatalf("a challenge ran without the slot: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	_, err = one.Ping(t.Context())
	require.NoError(t, err, "pings go on meanwhile")
	release()
	for range 4 {
		require.NoError(t, <-results)
	}
}

func TestAgentDeclines(t *testing.T) {
	s, addr := startOracle(t, nil)
	opts := agentOptions(t, addr)
	runAgent(t, opts)
	session := sessionOf(t, s, testNode)
	spec := challenge.Spec{Kind: challenge.Memory, Declared: challenge.Declared{MemoryMiB: 8}, PortionMiB: 2}
	_, err := session.Challenge(t.Context(), spec)
	require.ErrorIs(t, err, ErrDeclined)
	require.ErrorContains(t, err, "memory blocks")
	spec.PortionMiB = 1
	_, err = session.Challenge(t.Context(), spec)
	require.NoError(t, err, "the next one is taken")
}

func TestChallengeIsCancelled(t *testing.T) {
	s, addr := startOracle(t, nil)
	opts := agentOptions(t, addr)
	runAgent(t, opts)
	session := sessionOf(t, s, testNode)
	endless := challenge.Spec{Kind: challenge.CPUSingle, Declared: challenge.Declared{CPUSingle: 1 << 40}}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := session.Challenge(ctx, endless)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	eventually(t, "the agent works on", func() bool { return !opts.Slot.Busy() })
	_, err = session.Challenge(t.Context(), challenge.Spec{Kind: challenge.Disk, Declared: challenge.Declared{StorageMiB: 8}})
	require.NoError(t, err)
}

func TestOptionsThatCannotWork(t *testing.T) {
	good := ServerOptions{Key: oracleKey, OracleID: testOracle, Registry: newChain(nil), Examiner: testExaminer()}
	for name, change := range map[string]func(*ServerOptions){
		"no key":      func(o *ServerOptions) { o.Key = nil },
		"no id":       func(o *ServerOptions) { o.OracleID = "" },
		"no registry": func(o *ServerOptions) { o.Registry = nil },
	} {
		o := good
		change(&o)
		_, err := NewServer(o)
		require.Error(t, err, name)
	}
	for name, change := range map[string]func(*ClientOptions){
		"no key":        func(o *ClientOptions) { o.Key = nil },
		"no oracle key": func(o *ClientOptions) { o.OracleKey = nil },
		"no oracle":     func(o *ClientOptions) { o.OracleID = "" },
		"no endpoint":   func(o *ClientOptions) { o.Endpoint = "" },
		"no node":       func(o *ClientOptions) { o.Hello.NodeID = "" },
		"no slot":       func(o *ClientOptions) { o.Slot = nil },
	} {
		o := agentOptions(t, "127.0.0.1:1")
		change(&o)
		_, err := NewClient(o)
		require.Error(t, err, name)
	}
}

// BenchmarkPing is a signed round trip over loopback.
func BenchmarkPing(b *testing.B) {
	s, addr := startOracle(b, nil)
	runAgent(b, agentOptions(b, addr))
	session := sessionOf(b, s, testNode)
	// The agent bears some 20 messages a second from an oracle, so the time is that of single pings, not of a flood.
	var total time.Duration
	for b.Loop() {
		b.StopTimer()
		time.Sleep(time.Second / oracleMessages)
		b.StartTimer()
		rtt, err := session.Ping(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		total += rtt
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "rtt-us")
}

func BenchmarkVerifyReport(b *testing.B) {
	r := testReport()
	r.Tasks = make([]TaskOutcome, MaxTasks)
	for i := range r.Tasks {
		r.Tasks[i].Task = uint32(i)
	}
	m := reportToProto(r.Sign(agentKey)).GetReport()
	public := agentKey.Public().(ed25519.PublicKey)
	for b.Loop() {
		s, err := reportFromProto(m)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Verify(public); err != nil {
			b.Fatal(err)
		}
	}
}
