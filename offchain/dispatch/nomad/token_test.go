package nomad_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// TestTokenReplaced: an attempt under way goes on with a new token, whose file was for a moment empty and away.
func TestTokenReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("first\n"), 0o600))
	s := newScene(t, func(o *nomad.Options) { o.Regions[0].TokenFile = file })
	s.server.Accept("first")
	a := s.start(t, 2)
	s.running(t, 2)
	s.server.Accept("second") // the lease of the first has ended
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	time.Sleep(1100 * time.Millisecond)
	require.NoError(t, os.Remove(file))
	s.release(t, a)
	s.running(t, 0)
	require.NoError(t, os.WriteFile(file+".new", []byte("second\n"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	requireReason(t, watch(t, s.d, a), dispatch.ReasonOK, "")
}
