package nomad

import (
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
)

func TestAttemptOfFolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := dispatch.AttemptID{
			Job: rapid.StringMatching(`[a-z0-9_][a-z0-9._-]{0,20}`).Draw(t, "job"), Slice: rapid.Uint32().Draw(t, "slice"), Attempt: rapid.Uint32().Draw(t, "attempt"),
		}
		got, ok := attemptOf(filepath.Base(attemptDir("x", id)))
		require.True(t, ok)
		require.Equal(t, id, got)
	})
	for _, name := range []string{"", "job1x", "job1x_a1", "job1x_s1", "job1x_sx_a1", "job1x_s1_a-1", "_s1_a1", ".x_s1_a1", "job1x_s1_a4294967296"} {
		_, ok := attemptOf(name)
		require.False(t, ok, name)
	}
}

func FuzzAttemptOfFolder(f *testing.F) {
	f.Add("job1x_s1_a2")
	f.Fuzz(func(t *testing.T, name string) {
		if id, ok := attemptOf(name); ok {
			again, ok := attemptOf(filepath.Base(attemptDir("x", id)))
			require.True(t, ok)
			require.Equal(t, id, again)
		}
	})
}
