package store_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/gateway/store/storetest"
)

func TestBolt(t *testing.T) {
	dir := t.TempDir()
	storetest.Run(t, func(t testing.TB, name string) store.Store {
		s, err := store.Open(filepath.Join(dir, name), false)
		require.NoError(t, err)
		return s
	})
}

func TestBoltIsForOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	_, err := store.Open(path, true)
	require.ErrorIs(t, err, fs.ErrNotExist)
	s, err := store.Open(path, false)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	for _, readOnly := range []bool{true, false} {
		_, err = store.Open(path, readOnly)
		require.ErrorIs(t, err, store.ErrInUse)
	}
	require.NoError(t, s.Close())
	reader, err := store.Open(path, true)
	require.NoError(t, err)
	other, err := store.Open(path, true)
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	require.NoError(t, other.Close())
}
