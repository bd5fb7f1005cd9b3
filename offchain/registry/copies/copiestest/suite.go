// Package copiestest is what every store of copies must pass.
package copiestest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/registry/copies"
)

// Run checks a store that is empty.
func Run(t *testing.T, open func(t *testing.T) copies.Store) {
	t.Run("what is put is got, listed and deleted", func(t *testing.T) { roundTrip(t, open(t)) })
	t.Run("a key holds all of a body or what it held", func(t *testing.T) { whole(t, open(t)) })
	t.Run("keys", func(t *testing.T) { keys(t, open(t)) })
	t.Run("at the same time", func(t *testing.T) { together(t, open(t)) })
}

func put(t *testing.T, s copies.Store, key, data string) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, strings.NewReader(data), int64(len(data))))
}

func get(t *testing.T, s copies.Store, key string) string {
	t.Helper()
	body, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	data, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	return string(data)
}

func list(t *testing.T, s copies.Store, prefix string) []string {
	t.Helper()
	var found []string
	require.NoError(t, s.List(t.Context(), prefix, func(o copies.Object) error {
		found = append(found, o.Key)
		require.EqualValues(t, len(get(t, s, o.Key)), o.Size)
		return nil
	}))
	slices.Sort(found)
	return found
}

func roundTrip(t *testing.T, s copies.Store) {
	_, err := s.Get(t.Context(), "blobs/sha256/ab/abc")
	require.ErrorIs(t, err, copies.ErrMissing)
	require.Empty(t, list(t, s, ""))
	require.NoError(t, s.Delete(t.Context(), "blobs/sha256/ab/abc"), "nothing to delete")

	put(t, s, "blobs/sha256/ab/abc", "one")
	put(t, s, "blobs/sha256/ab/abd", strings.Repeat("x", 1<<20))
	put(t, s, "repos/a/_blobs/abc", "")
	require.Equal(t, "one", get(t, s, "blobs/sha256/ab/abc"))
	require.Equal(t, "", get(t, s, "repos/a/_blobs/abc"))
	require.Equal(t, []string{"blobs/sha256/ab/abc", "blobs/sha256/ab/abd"}, list(t, s, "blobs/"))
	require.Len(t, list(t, s, ""), 3)

	put(t, s, "blobs/sha256/ab/abc", "two, longer")
	require.Equal(t, "two, longer", get(t, s, "blobs/sha256/ab/abc"))
	require.NoError(t, s.Delete(t.Context(), "blobs/sha256/ab/abc"))
	_, err = s.Get(t.Context(), "blobs/sha256/ab/abc")
	require.ErrorIs(t, err, copies.ErrMissing)
	require.Len(t, list(t, s, ""), 2)

	stop := errors.New("enough")
	require.ErrorIs(t, s.List(t.Context(), "", func(copies.Object) error { return stop }), stop)
}

type broken struct{ n int }

func (b *broken) Read(p []byte) (int, error) {
	if b.n == 0 {
		return 0, errors.New("the disk is gone")
	}
	n := min(b.n, len(p))
	b.n -= n
	return n, nil
}

func whole(t *testing.T, s copies.Store) {
	put(t, s, "a/b", "old")
	require.Error(t, s.Put(t.Context(), "a/b", &broken{1000}, 2000))
	require.Error(t, s.Put(t.Context(), "a/c", &broken{1000}, 2000))
	require.Error(t, s.Put(t.Context(), "a/b", strings.NewReader("short"), 50), "fewer bytes than were announced")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, s.Put(ended, "a/b", strings.NewReader("new"), 3))
	require.Equal(t, "old", get(t, s, "a/b"))
	require.Equal(t, []string{"a/b"}, list(t, s, ""))
}

func keys(t *testing.T, s copies.Store) {
	for _, key := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/./b", "a b", "a\x00b", "ä", strings.Repeat("k", 1025)} {
		require.ErrorIs(t, s.Put(t.Context(), key, strings.NewReader(""), 0), copies.ErrKey, "%q", key)
		_, err := s.Get(t.Context(), key)
		require.ErrorIs(t, err, copies.ErrKey, "%q", key)
		require.ErrorIs(t, s.Delete(t.Context(), key), copies.ErrKey, "%q", key)
	}
	require.Empty(t, list(t, s, ""))
}

func together(t *testing.T, s copies.Store) {
	bodies := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 100_000)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			body := bodies[i%2]
			if err := s.Put(t.Context(), "same", bytes.NewReader([]byte(body)), int64(len(body))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Contains(t, bodies, get(t, s, "same"))
}
