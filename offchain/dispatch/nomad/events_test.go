package nomad_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// reader takes events, whole lines at a time, and knows where to go on.
type reader struct {
	kinds []string
	last  dispatch.Event
	next  uint64
	// until ends it with errEnough after an event of this kind.
	until string
}

var errEnough = errors.New("enough")

func (r *reader) take(offset uint64, piece []byte) error {
	if !bytes.HasSuffix(piece, []byte("\n")) || len(piece) > dispatch.MaxLogPiece {
		return errors.New("no whole line")
	}
	r.next = offset + uint64(len(piece))
	r.last = dispatch.Event{}
	if err := json.Unmarshal(piece, &r.last); err != nil {
		return err
	}
	r.kinds = append(r.kinds, r.last.Event)
	if r.last.Event == r.until {
		return errEnough
	}
	return nil
}

func events(t *testing.T, d *nomad.Dispatcher, id dispatch.AttemptID, once bool, r *reader) error {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return d.Events(ctx, id, 1, r.next, once, r.take)
}

// TestEvents: what Nomad tells of a task is followed to its end, and another oracle goes on where one left off.
func TestEvents(t *testing.T) {
	s := newScene(t, nil)
	a := s.start(t, 2)
	s.running(t, 2)
	r := &reader{until: "Started"}
	require.ErrorIs(t, events(t, s.d, a.ID, false, r), errEnough)
	require.Equal(t, []string{"Received", "Started"}, r.kinds)
	require.EqualValues(t, 1, *r.last.Task)
	again := &reader{}
	require.NoError(t, events(t, s.d, a.ID, true, again))
	require.Equal(t, r.kinds, again.kinds)

	second := s.second(t)
	require.NoError(t, second.Start(t.Context(), a))
	s.release(t, a)
	require.NoError(t, events(t, second, a.ID, false, r))
	require.Equal(t, []string{"Received", "Started", "Terminated"}, r.kinds)
	require.Zero(t, r.last.ExitCode)
	requireReason(t, watch(t, s.d, a), dispatch.ReasonOK, "")
	require.NoError(t, events(t, s.d, a.ID, false, r))
	require.Len(t, r.kinds, 3, "nothing is told twice")

	require.ErrorContains(t, s.d.Events(t.Context(), a.ID, 9, 0, true, r.take), "no task 9")
	require.ErrorIs(t, s.d.Events(t.Context(), dispatch.AttemptID{Job: "job1none"}, 0, 0, true, r.take), dispatch.ErrUnknownAttempt)
}

// TestEventsOfALostClient: its allocation is gone from the list, and what it told is not.
func TestEventsOfALostClient(t *testing.T) {
	s := newScene(t, nil)
	a := s.start(t, 2)
	s.running(t, 2)
	r := &reader{until: "Started"}
	require.ErrorIs(t, events(t, s.d, a.ID, false, r), errEnough)
	s.server.LoseClients()
	requireReason(t, watch(t, s.d, a), dispatch.ReasonNode, "client was lost")
	s.server.CutStreams()
	require.NoError(t, events(t, s.d, a.ID, false, r))
	require.Equal(t, "Client Lost", r.last.Event)
}
