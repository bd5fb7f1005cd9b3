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

// A program that was killed while it made its store begins again: what it left is no wrong passphrase.
func TestStoreWhoseMakingWasCutOff(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	for name, passphrase := range map[string]string{"the first": "correct horse", "the same": "correct horse", "another": "battery staple"} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.RemoveAll(dir))
			open := func(text string) *Store {
				s, err := Open(dir, File, func(bool) (string, error) { return text, nil })
				require.NoError(t, err)
				return s
			}
			hash := filepath.Join(dir, "keyring-file", "keyhash")
			require.NoError(t, os.MkdirAll(filepath.Dir(hash), 0o700))
			require.NoError(t, os.WriteFile(hash, nil, 0o600))
			require.NoError(t, open("correct horse").Write(t.Context(), "a", []byte("x")))
			_, err := open(passphrase).Read(t.Context(), "a")
			if name == "another" {
				require.ErrorIs(t, err, ErrPassphrase)
				return
			}
			require.NoError(t, err)
			entries, err := os.ReadDir(filepath.Dir(hash))
			require.NoError(t, err)
			require.Len(t, entries, 1, "and nothing that a keyring takes for a key")
		})
	}
}
