package nomad_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/seal"
)

// A job whose inputs and results are encrypted is registered by nobody, however it was matched.
func TestSealedJobsAreRefused(t *testing.T) {
	s := newScene(t, nil)
	key, err := seal.NewKey()
	require.NoError(t, err)
	a := dispatchtest.Assignment(s.guest, 1, "exit", "0")
	a.SealTo = key.Recipient().String()
	require.ErrorIs(t, s.d.Start(t.Context(), a), dispatch.ErrInvalidAssignment)
	_, err = s.d.Adopt(t.Context(), a)
	require.ErrorIs(t, err, dispatch.ErrInvalidAssignment)
	require.Zero(t, s.server.Registrations())
}
