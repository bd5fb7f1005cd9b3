package file

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each file that is opened takes 32 MiB for a tenth of a second, so however many ask at once, few are opened at a time.
func TestFewAreOpenedAtATime(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "s"), Test, nil)
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context(), "a", []byte("x")))
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	read := make(chan error)
	go func() {
		_, err := s.Read(t.Context(), "a")
		read <- err
	}()
	select {
	case err := <-read:
		t.Fatal("one more was opened", err)
	case <-time.After(300 * time.Millisecond):
	}
	<-s.slots
	require.NoError(t, <-read)
}

// The authority's key is opened once, as keys of accounts are.
func TestAuthorityIsOpenedOnce(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "s"), Test, nil)
	require.NoError(t, err)
	first, err := s.Trust(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(s.Dir(), caDir, rootName+suffix)))
	again, err := s.Trust(t.Context())
	require.NoError(t, err)
	require.Equal(t, first.Roots, again.Roots)
}
