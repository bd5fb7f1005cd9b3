package link

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// ErrNotWatchable means that the agent shows too much already.
var ErrNotWatchable = errors.New("the agent cannot show this task now")

// watch is a task that a session's agent shows.
type watch struct {
	kind   WatchKind
	pieces chan *linkpb.WatchPiece
}

// Watch asks the agent to show a task and passes pieces until the task has ended, take returns an error, or session or context end. The error
// is nil if the task, or the command, has ended.
func (s *Session) Watch(ctx context.Context, ask WatchAsk, take func(Piece) error) error {
	if !s.hello.shows(ask.Kind) {
		return fmt.Errorf("%w: its agent runs an older release, or does not allow it", ErrNotShown)
	}
	ref, kind := ask.Ref, ask.Kind
	if err := s.watchPace.Wait(ctx); err != nil {
		return err
	}
	w := &watch{kind: kind, pieces: make(chan *linkpb.WatchPiece, watchWindow+1)}
	var id [watchIDSize]byte
	rand.Read(id[:]) // never fails: it ends the program instead
	s.mu.Lock()
	full := len(s.watches) >= maxWatches
	if !full {
		s.watches[id] = w
	}
	s.mu.Unlock()
	if full {
		return fmt.Errorf("%w: it shows %d already", ErrNotWatchable, maxWatches)
	}
	ended := false
	defer func() {
		s.mu.Lock()
		delete(s.watches, id)
		s.unwatched.add(id)
		s.mu.Unlock()
		if !ended {
			s.post(&linkpb.OracleMessage{Body: &linkpb.OracleMessage_Unwatch{Unwatch: &linkpb.WatchStop{Id: id[:]}}})
		}
	}()
	s.post(&linkpb.OracleMessage{Body: &linkpb.OracleMessage_Watch{Watch: &linkpb.WatchStart{
		Id: id[:], JobId: ref.JobID, Slice: ref.Slice, Attempt: ref.Attempt, Task: ref.Task, Kind: linkpb.WatchKind(kind), Offset: ask.From, //nolint:gosec // a number of an enum; unknown ones are refused
		Once: ask.Once, Exec: execToProto(ask.Exec),
	}}})
	for taken := uint32(0); ; {
		select {
		case m := <-w.pieces:
			piece, end, err := pieceFromProto(m, kind)
			if end || err != nil {
				ended = end
				if piece.Exit != nil {
					return take(piece)
				}
				return err
			}
			if err := take(piece); err != nil {
				return err
			}
			if taken++; taken == watchWindow/2 { // half as many messages
				s.post(&linkpb.OracleMessage{Body: &linkpb.OracleMessage_More{More: &linkpb.WatchMore{Id: id[:], Pieces: taken}}})
				taken = 0
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.done:
			return s.gone()
		}
	}
}

// takeWatchPiece hands a piece on. One of a watch that has ended crossed with its end.
func (s *Session) takeWatchPiece(m *linkpb.WatchPiece) error {
	if len(m.GetId()) != watchIDSize {
		return malformed("a watch id of %d bytes", len(m.GetId()))
	}
	id := [watchIDSize]byte(m.GetId())
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watches[id]
	if w == nil {
		if s.unwatched.has(id) {
			return nil
		}
		return malformed("a piece of a watch that there never was")
	}
	if _, _, err := pieceFromProto(m, w.kind); errors.Is(err, ErrMalformed) {
		return err
	}
	select {
	case w.pieces <- m:
		return nil
	default:
		return malformed("more pieces of a watch than it had leave for")
	}
}
