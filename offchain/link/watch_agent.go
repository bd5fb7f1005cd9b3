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
	ask    WatchAsk
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
	ask := WatchAsk{Ref: ref, Kind: WatchKind(m.GetKind()), From: m.GetOffset(), Once: m.GetOnce()} //nolint:gosec // a number of an enum; unknown ones are refused
	var err error
	if ask.Exec, err = execFromProto(m.GetExec()); err != nil {
		return err
	}
	switch {
	case !ask.Kind.shown():
		return malformed("a watch of the unknown kind %d", ask.Kind)
	case !s.client.opts.Hello.shows(ask.Kind):
		return malformed("a watch, which this agent did not offer")
	case len(m.GetId()) != watchIDSize:
		return malformed("a watch id of %d bytes; send %d", len(m.GetId()), watchIDSize)
	case (ask.Kind == WatchExec) != (ask.Exec != nil):
		return malformed("a command to a watch of kind %d", ask.Kind)
	}
	if err := checkID("job_id", ref.JobID); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	w := &agentWatch{
		stream: s, id: [watchIDSize]byte(m.GetId()), ask: ask, cancel: cancel,
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
		exit, err := w.show(ctx)
		s.watches.mu.Lock()
		delete(s.watches.open, w.id)
		s.watches.mu.Unlock()
		switch {
		case ctx.Err() != nil:
		case exit != nil && err == nil:
			w.send(pieceToProto(Piece{Exit: exit}))
		default:
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

// show returns when the task, or the command, has ended. A kind that the source has not is refused before.
func (w *agentWatch) show(ctx context.Context) (exit *uint32, err error) {
	opts := w.stream.client.opts
	return w.ask.pass(ctx, opts.Source, opts.StatsEach, w.piece)
}
