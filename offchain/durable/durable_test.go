package durable_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/durable"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	holds := func(want string, mode os.FileMode) {
		t.Helper()
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm())
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1, "nothing is left beside it")
	}
	require.NoError(t, durable.Replace(path, []byte("first"), 0o600))
	holds("first", 0o600)
	require.NoError(t, os.Chmod(path, 0o666))
	require.NoError(t, durable.Replace(path, []byte("second"), 0o600))
	holds("second", 0o600)
	failure := errors.New("half way")
	require.ErrorIs(t, durable.ReplaceWith(path, 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, "thi")
		return errors.Join(err, failure)
	}), failure)
	holds("second", 0o600)
	require.NoError(t, durable.Replace(path, []byte("third"), 0o644))
	holds("third", 0o644)
	require.NoError(t, durable.SyncDir(dir))
	require.ErrorIs(t, durable.SyncDir(filepath.Join(dir, "none")), os.ErrNotExist)
	require.ErrorIs(t, durable.Replace(filepath.Join(dir, "none", "f"), nil, 0o600), os.ErrNotExist)
}
