package link

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// shower is an agent's source: a log that grows, and figures.
type shower struct {
	mu    sync.Mutex
	log   []byte
	over  bool
	grown chan struct{}
	asked []uint64 // offsets
	err   error
}

func newShower(log string) *shower { return &shower{log: []byte(log), grown: make(chan struct{})} }

func (s *shower) write(text string, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log, s.over = append(s.log, text...), over
	close(s.grown)
	s.grown = make(chan struct{})
}

func (s *shower) Follow(ctx context.Context, _ TaskRef, from uint64, emit func(uint64, []byte) error) error {
	s.mu.Lock()
	s.asked = append(s.asked, from)
	err := s.err
	s.mu.Unlock()
	for err == nil {
		s.mu.Lock()
		rest, over, grown := bytes.Clone(s.log[min(from, uint64(len(s.log))):]), s.over, s.grown
		s.mu.Unlock()
		if len(rest) > 0 {
			if err := emit(from, rest); err != nil {
				return err
			}
			from += uint64(len(rest))
			continue
		}
		if over {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (s *shower) Stats(_ context.Context, t TaskRef) (Stats, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{At: time.UnixMilli(5), Running: !s.over, Measured: true, CPUNanos: 7, Memory: uint64(t.Task)}, s.over, s.err
}

// book is what the chain says of jobs; tests change it.
type book struct {
	mu    sync.Mutex
	owner []byte
	place Place
	err   error
}

func (b *book) set(change func(*book)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *book) Owner(context.Context, string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owner, b.err
}

func (b *book) Place(context.Context, string, uint32) (Place, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.place, b.err
}

// accountKey is an owner's key.
type accountKey struct{ *secp256k1.PrivKey }

func (k accountKey) Key() []byte { return k.PubKey().Bytes() }

func newAccountKey(seed byte) accountKey {
	return accountKey{&secp256k1.PrivKey{Key: bytes.Repeat([]byte{seed}, 32)}}
}

// watchWorld is an oracle, an agent that shows, and an owner.
type watchWorld struct {
	t      *testing.T
	server *Server
	oracle OracleAddress
	shows  *shower
	source Source // shows, or something around it
	jobs   *book
	owner  accountKey
}

func newWatchWorld(t *testing.T, log string) *watchWorld {
	return newWatchWorldOf(t, log, func(s *shower) Source { return s })
}

func newWatchWorldOf(t *testing.T, log string, source func(*shower) Source) *watchWorld {
	w := &watchWorld{t: t, shows: newShower(log), owner: newAccountKey(1), jobs: &book{place: Place{NodeID: testNode, Slice: 2, Attempt: 3}}}
	w.jobs.owner = w.owner.PubKey().Address()
	var addr string
	w.server, addr = startOracle(t, func(o *ServerOptions) {
		o.Jobs, o.LookAgain, o.Absence = w.jobs, 10*time.Millisecond, time.Minute
	})
	w.oracle = OracleAddress{ID: testOracle, Endpoint: addr, Key: oracleKey.Public().(ed25519.PublicKey)}
	opts := agentOptions(t, addr)
	w.source = source(w.shows)
	opts.Source, opts.StatsEach = w.source, time.Millisecond
	runAgent(t, opts)
	sessionOf(t, w.server, testNode)
	return w
}

// watcher collects a log.
func (w *watchWorld) watcher(piece func(Piece) error) *Watcher {
	return &Watcher{JobID: "job1a", Task: 4, Kind: WatchLog, Owner: w.owner, Piece: piece}
}

func watchContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	t.Cleanup(cancel)
	return ctx
}

func TestOwnerFollowsALog(t *testing.T) {
	w := newWatchWorld(t, "one\n")
	var text bytes.Buffer
	watcher := w.watcher(func(p Piece) error {
		require.EqualValues(t, text.Len(), p.Offset)
		text.Write(p.Log)
		if text.Len() == 4 {
			w.shows.write("two\n", false)
		} else {
			w.shows.write("", true)
		}
		return nil
	})
	var from []Place
	watcher.Source = func(p Place) { from = append(from, p) }
	require.NoError(t, watcher.Watch(watchContext(t), w.oracle))
	require.Equal(t, "one\ntwo\n", text.String())
	require.Equal(t, []Place{{NodeID: testNode, Slice: 2, Attempt: 3}}, from)
}

// A log larger than all windows arrives whole, in pieces.
func TestLargeLog(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // 320 KiB
	w := newWatchWorld(t, string(want))
	w.shows.over = true
	var got bytes.Buffer
	require.NoError(t, w.watcher(func(p Piece) error { got.Write(p.Log); return nil }).Watch(watchContext(t), w.oracle))
	require.True(t, bytes.Equal(want, got.Bytes()))
}

func TestNobodyElseWatches(t *testing.T) {
	w := newWatchWorld(t, "secret\n")
	nothing := func(Piece) error { t.Error("it was shown"); return nil }
	stranger := w.watcher(nothing)
	stranger.Owner = newAccountKey(2)
	err := stranger.Watch(watchContext(t), w.oracle)
	require.ErrorIs(t, err, ErrMayNotWatch)
	require.ErrorContains(t, err, "only the owner")

	for name, owner := range map[string]OwnerKey{
		"signs with another key": liar{w.owner, newAccountKey(2)},
		"signs an old request":   replayer{w.owner, new(sync.Once), new([]byte)},
		"has no key":             liar{noKey{w.owner}, w.owner},
	} {
		watcher := w.watcher(nothing)
		watcher.Owner = owner
		if name == "signs an old request" {
			w.jobs.set(func(b *book) { b.place.Over = true })
			require.NoError(t, watcher.Watch(watchContext(t), w.oracle), "the first time it is no old one")
			w.jobs.set(func(b *book) { b.place.Over = false })
		}
		require.ErrorIs(t, watcher.Watch(watchContext(t), w.oracle), ErrMayNotWatch, name)
	}

	w.jobs.set(func(b *book) { b.err = fmt.Errorf("job1a: %w", ErrNoJob) })
	require.ErrorIs(t, w.watcher(nothing).Watch(watchContext(t), w.oracle), ErrMayNotWatch)
	w.jobs.set(func(b *book) { b.err = errors.New("the chain rests") })
	err = w.watcher(nothing).Watch(watchContext(t), w.oracle)
	require.ErrorContains(t, err, "the chain rests")
	require.NotErrorIs(t, err, ErrMayNotWatch)

	elsewhere := w.oracle
	elsewhere.Key = testKey(7).Public().(ed25519.PublicKey)
	require.ErrorIs(t, w.watcher(nothing).Watch(watchContext(t), elsewhere), ErrWrongKey)
	require.Empty(t, w.shows.asked)
}

// liar names one key and signs with another.
type liar struct {
	OwnerKey
	signer accountKey
}

func (l liar) Sign(msg []byte) ([]byte, error) { return l.signer.Sign(msg) }

type noKey struct{ accountKey }

func (noKey) Key() []byte { return nil }

// replayer sends its first signature each time.
type replayer struct {
	accountKey
	once  *sync.Once
	first *[]byte
}

func (r replayer) Sign(msg []byte) (_ []byte, err error) {
	r.once.Do(func() { *r.first, err = r.accountKey.Sign(msg) })
	return *r.first, err
}

// The agent's connection is lost again and again, and the owner reads each byte once.
func TestWatchOutlivesTheAgentsConnection(t *testing.T) {
	w := newWatchWorld(t, "")
	var want, got bytes.Buffer
	lines := 0
	next := func() {
		line := fmt.Sprintf("line %d\n", lines)
		lines++
		want.WriteString(line)
		w.shows.write(line, lines == 6)
	}
	next()
	err := w.watcher(func(p Piece) error {
		require.EqualValues(t, got.Len(), p.Offset)
		got.Write(p.Log)
		if lines < 6 {
			if lines%2 == 0 {
				sessionOf(t, w.server, testNode).Drop("lost")
			}
			next()
		}
		return nil
	}).Watch(watchContext(t), w.oracle)
	require.NoError(t, err)
	require.Equal(t, want.String(), got.String())
	w.shows.mu.Lock()
	defer w.shows.mu.Unlock()
	require.Greater(t, len(w.shows.asked), 1)
}

// The owner's connection is lost, and another one goes on.
func TestOwnerComesBack(t *testing.T) {
	w := newWatchWorld(t, "one\n")
	hangUp := errors.New("hang up")
	var got bytes.Buffer
	watcher := w.watcher(func(p Piece) error { got.Write(p.Log); return nil })
	ctx, cancel := context.WithCancel(watchContext(t))
	first := watcher.Piece
	watcher.Piece = func(p Piece) error {
		defer cancel()
		return first(p)
	}
	require.Error(t, watcher.Watch(ctx, w.oracle))
	w.shows.write("two\n", true)
	watcher.Piece = first
	require.NoError(t, watcher.Watch(watchContext(t), w.oracle))
	require.Equal(t, "one\ntwo\n", got.String())

	again := w.watcher(func(Piece) error { return hangUp })
	require.ErrorIs(t, again.Watch(watchContext(t), w.oracle), hangUp)
}

// A task that moves is followed from its new beginning.
func TestWatchFollowsAMove(t *testing.T) {
	w := newWatchWorld(t, "text\n")
	var from []Place
	pieces := 0
	watcher := w.watcher(func(p Piece) error {
		require.Zero(t, p.Offset)
		if pieces++; pieces == 1 {
			w.jobs.set(func(b *book) { b.place.Attempt = 4 })
		} else {
			w.shows.write("", true)
		}
		return nil
	})
	watcher.Source = func(p Place) { from = append(from, p) }
	require.NoError(t, watcher.Watch(watchContext(t), w.oracle))
	require.Equal(t, 2, pieces)
	require.EqualValues(t, 4, from[1].Attempt)
}

func TestWatchWaits(t *testing.T) {
	w := newWatchWorld(t, "text\n")
	w.shows.over = true
	w.jobs.set(func(b *book) { b.place.NodeID = "" })
	var notes []string
	watcher := w.watcher(func(Piece) error { return nil })
	watcher.Note = func(text string) {
		notes = append(notes, text)
		w.jobs.set(func(b *book) {
			if b.place.NodeID == "" {
				b.place.NodeID = "node1other"
			} else {
				b.place.NodeID = testNode
			}
		})
	}
	require.NoError(t, watcher.Watch(watchContext(t), w.oracle))
	require.Equal(t, []string{"the task waits for a node", "the agent of node node1other is not connected to this oracle"}, notes)
}

func TestOwnerWatchesStats(t *testing.T) {
	w := newWatchWorld(t, "")
	watcher := w.watcher(nil)
	watcher.Kind = WatchStats
	var seen []Stats
	watcher.Piece = func(p Piece) error {
		if seen = append(seen, *p.Stats); len(seen) == 3 {
			w.shows.write("", true)
		}
		return nil
	}
	require.NoError(t, watcher.Watch(watchContext(t), w.oracle))
	require.GreaterOrEqual(t, len(seen), 3)
	require.Equal(t, Stats{At: time.UnixMilli(5).UTC(), Running: true, Measured: true, CPUNanos: 7, Memory: 4}, seen[0])
}

func watchPiece(id []byte, size int) *linkpb.AgentMessage {
	m := pieceToProto(Piece{Log: make([]byte, size)})
	m.Id = id
	return &linkpb.AgentMessage{Body: &linkpb.AgentMessage_Watch{Watch: m}}
}

// Agents that send what is not asked for, or more than they may, are dropped, and who watches is told.
func TestHostileShows(t *testing.T) {
	for name, send := range map[string]func(id []byte) []*linkpb.AgentMessage{
		"more than it has leave for": func(id []byte) []*linkpb.AgentMessage { return repeat(watchPiece(id, 1), 3*watchWindow) },
		"too large a piece":          func(id []byte) []*linkpb.AgentMessage { return repeat(watchPiece(id, MaxLogPiece+1), 1) },
		"an empty piece":             func(id []byte) []*linkpb.AgentMessage { return repeat(watchPiece(id, 0), 1) },
		"figures for a log": func(id []byte) []*linkpb.AgentMessage {
			m := pieceToProto(Piece{Stats: &Stats{}})
			m.Id = id
			return []*linkpb.AgentMessage{{Body: &linkpb.AgentMessage_Watch{Watch: m}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, addr := startOracle(t, nil)
			a := dialRaw(t, addr, agentKey)
			a.hello(&linkpb.Hello{Protocol: 1, NodeId: testNode, BootId: "0123456789abcdef", Version: "raw", Watch: true})
			require.NotNil(t, a.recv().GetWelcome())
			ended := make(chan error, 1)
			block := make(chan struct{})
			go func() {
				ended <- sessionOf(t, s, testNode).Watch(watchContext(t), WatchAsk{Ref: TaskRef{JobID: "j"}, Kind: WatchLog}, func(Piece) error { <-block; return nil })
			}()
			for _, msg := range send(a.recv().GetWatch().GetId()) {
				if a.stream.Send(msg) != nil {
					break // dropped already
				}
			}
			require.Equal(t, codes.InvalidArgument, status.Code(a.dropped()))
			close(block)
			require.ErrorIs(t, <-ended, ErrGone)
		})
	}
}

// Oracles that ask for too much lose the agent.
func TestHostileWatchers(t *testing.T) {
	start := func(id byte, kind linkpb.WatchKind) *linkpb.OracleMessage {
		return &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Watch{Watch: &linkpb.WatchStart{
			Id: bytes.Repeat([]byte{id}, watchIDSize), JobId: "j", Kind: kind,
		}}}
	}
	many := func(n int) (all []*linkpb.OracleMessage) {
		for i := range n {
			all = append(all, start(byte(i), linkpb.WatchKind_WATCH_KIND_LOG))
		}
		return all
	}
	for name, c := range map[string]struct {
		source Source
		send   []*linkpb.OracleMessage
		says   string
	}{
		"not offered":  {nil, many(1), "did not offer"},
		"twice":        {newShower(""), append(many(1), many(1)...), "too many"},
		"too many":     {newShower(""), many(maxWatches + 1), "too many"},
		"unknown kind": {newShower(""), []*linkpb.OracleMessage{start(1, 9)}, "unknown kind"},
		"too much leave": {newShower(""), append(many(1), &linkpb.OracleMessage{Body: &linkpb.OracleMessage_More{More: &linkpb.WatchMore{
			Id: make([]byte, watchIDSize), Pieces: 1 << 30,
		}}}), "leave to send"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, fail := context.WithCancelCause(context.Background())
			opts := agentOptions(t, "127.0.0.1:1")
			opts.Source = c.source
			client, err := NewClient(opts)
			require.NoError(t, err)
			s := &agentStream{client: client, ctx: ctx, fail: fail, out: make(chan *linkpb.AgentMessage, outQueue)}
			s.watches.open = map[[watchIDSize]byte]*agentWatch{}
			defer s.tasks.Wait()
			defer fail(nil)
			for i, m := range c.send {
				if err = s.take(m); i < len(c.send)-1 {
					require.NoError(t, err)
				}
			}
			require.ErrorIs(t, err, ErrMalformed)
			require.ErrorContains(t, err, c.says)
		})
	}
}
