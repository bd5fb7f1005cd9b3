package link

import (
	"context"
	"errors"
	"sync"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// agentWatches are the watches of one stream, on the agent's side.
type agentWatches struct {
	mu   sync.Mutex
	open map[[watchIDSize]byte]*agentWatch
}

// agentWatch shows one task to the oracle.
type agentWatch struct {
	stream *agentStream
	id     [watchIDSize]byte
	kind   WatchKind
	ref    TaskRef
	from   uint64
	cancel context.CancelFunc
	leave  chan struct{} // one for each piece that may be sent
}

// grant lets the agent send so many pieces more, and reports whether that is within the window.
func (w *agentWatch) grant(pieces uint32) bool {
	for range pieces {
		select {
		case w.leave <- struct{}{}:
		default:
			return false
		}
	}
	return true
}

// takeWatchStart begins to show a task, whatever else is shown.
func (s *agentStream) takeWatchStart(m *linkpb.WatchStart) error {
	ref := TaskRef{JobID: m.GetJobId(), Slice: m.GetSlice(), Attempt: m.GetAttempt(), Task: m.GetTask()}
	kind := WatchKind(m.GetKind())
	switch {
	case s.client.opts.Source == nil:
		return malformed("a watch, which this agent did not offer")
	case len(m.GetId()) != watchIDSize:
		return malformed("a watch id of %d bytes; send %d", len(m.GetId()), watchIDSize)
	case kind != WatchLog && kind != WatchStats:
		return malformed("a watch of the unknown kind %d", kind)
	}
	if err := checkID("job_id", ref.JobID); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	w := &agentWatch{
		stream: s, id: [watchIDSize]byte(m.GetId()), kind: kind, ref: ref, from: m.GetOffset(), cancel: cancel,
		leave: make(chan struct{}, watchWindow),
	}
	w.grant(watchWindow)
	s.watches.mu.Lock()
	_, twice := s.watches.open[w.id]
	full := len(s.watches.open) >= maxWatches
	if !twice && !full {
		s.watches.open[w.id] = w
	}
	s.watches.mu.Unlock()
	if twice || full {
		cancel()
		return malformed("a watch too many: at most %d, each with an id of its own", maxWatches)
	}
	s.tasks.Go(func() {
		defer cancel()
		err := w.show(ctx)
		s.watches.mu.Lock()
		delete(s.watches.open, w.id)
		s.watches.mu.Unlock()
		if ctx.Err() == nil {
			w.send(endToProto(err))
		}
	})
	return nil
}

func (s *agentStream) watch(id []byte) *agentWatch {
	if len(id) != watchIDSize {
		return nil
	}
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	return s.watches.open[[watchIDSize]byte(id)]
}

// takeWatchMore may come after the end, which crossed it.
func (s *agentStream) takeWatchMore(m *linkpb.WatchMore) error {
	if w := s.watch(m.GetId()); w != nil && !w.grant(m.GetPieces()) {
		return malformed("leave to send more than %d pieces of a watch", watchWindow)
	}
	return nil
}

func (s *agentStream) takeWatchStop(m *linkpb.WatchStop) {
	if w := s.watch(m.GetId()); w != nil {
		w.cancel()
	}
}

func (w *agentWatch) send(m *linkpb.WatchPiece) bool {
	m.Id = w.id[:]
	return w.stream.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Watch{Watch: m}})
}

// piece waits for leave and for its turn.
func (w *agentWatch) piece(ctx context.Context, p Piece) error {
	select {
	case <-w.leave:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := w.stream.client.watchPace.WaitN(ctx, max(len(p.Log), leastPiece)); err != nil {
		return err
	}
	if !w.send(pieceToProto(p)) {
		return errors.New("the stream has ended")
	}
	return nil
}

// show returns nil when the task has ended.
func (w *agentWatch) show(ctx context.Context) error {
	opts := w.stream.client.opts
	return shown{w.ref, w.kind, w.from, opts.StatsEach}.pass(ctx, opts.Source, w.piece)
}
