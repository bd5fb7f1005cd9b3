package nomad_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// second is another oracle's dispatcher.
func (s *scene) second(t *testing.T) *nomad.Dispatcher {
	other := s.opts
	other.Dir = t.TempDir()
	return openNomad(t, other)
}

func TestAdoptWaitsForAnother(t *testing.T) {
	s := newScene(t, nil)
	second := s.second(t)
	a := dispatchtest.WithInputs(t, dispatchtest.Assignment(s.guest, 2, "wait", "0"))
	for range 2 {
		held, err := second.Adopt(context.Background(), a)
		require.NoError(t, err)
		require.False(t, held)
		require.Zero(t, s.server.Registrations())
	}
	require.NoError(t, s.d.Start(context.Background(), a))
	changed := a
	changed.Args = []string{"wait", "1"}
	_, err := second.Adopt(context.Background(), changed)
	require.ErrorIs(t, err, dispatch.ErrConflict)
	held, err := second.Adopt(context.Background(), a)
	require.NoError(t, err)
	require.True(t, held)
	s.release(t, a)
	require.Equal(t, watch(t, s.d, a).ResultRoot(), watch(t, second, a).ResultRoot())
	require.Equal(t, 1, s.server.Registrations())
}

// TestAdoptDoesNotTakeAnErrorForAbsence: who cannot ask Nomad does not know whether the job is there.
func TestAdoptDoesNotTakeAnErrorForAbsence(t *testing.T) {
	s := newScene(t, nil)
	a := dispatchtest.Assignment(s.guest, 1, "exit", "0")
	s.server.FailRequests(100)
	_, err := s.d.Adopt(context.Background(), a)
	require.ErrorContains(t, err, "failed on demand")
}

// TestForgottenAttemptsStayInNomad: an oracle that is behind the chain does not register an attempt again that another has forgotten.
func TestForgottenAttemptsStayInNomad(t *testing.T) {
	s := newScene(t, nil)
	a := dispatchtest.Assignment(s.guest, 1, "exit", "0")
	require.NoError(t, s.d.Start(context.Background(), a))
	require.ErrorIs(t, s.d.Forget(context.Background(), dispatch.AttemptID{}), dispatch.ErrInvalidAssignment)
	want := watch(t, s.d, a)
	require.NoError(t, s.d.Forget(context.Background(), a.ID))
	kept, err := s.d.Kept()
	require.NoError(t, err)
	require.Empty(t, kept)
	second := s.second(t)
	require.NoError(t, second.Start(context.Background(), a))
	require.Equal(t, want.ResultRoot(), watch(t, second, a).ResultRoot())
	require.Equal(t, 1, s.server.Registrations())
}
