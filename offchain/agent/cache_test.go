package agent

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// fileOf is content of size bytes that is written once for each fill.
func fileOf(name string, size int, fills *atomic.Int32) content {
	raw := bytes.Repeat([]byte(name), size/len(name))
	d := artifact.DigestOf(raw)
	return content{
		kind: kindBlob, digest: d,
		check: func(path string) (bool, error) { return fileHas(path, d) },
		fill: func(_ context.Context, path string, reserve func(int64) error) error {
			fills.Add(1)
			if err := reserve(int64(len(raw))); err != nil {
				return err
			}
			return os.WriteFile(path, raw, 0o600)
		},
	}
}

func use(t *testing.T, c *cache, want content) string {
	t.Helper()
	path, release, err := c.acquire(t.Context(), want)
	require.NoError(t, err)
	release()
	return path
}

func TestCacheSharesOneFill(t *testing.T) {
	c, err := openCache(t.TempDir(), 1<<20)
	require.NoError(t, err)
	var fills atomic.Int32
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if _, release, err := c.acquire(t.Context(), fileOf("a", 1000, &fills)); err != nil {
				t.Error(err)
			} else {
				release()
			}
		})
	}
	callers.Wait()
	require.EqualValues(t, 1, fills.Load())
}

func TestCacheRemovesTheLongestUnused(t *testing.T) {
	dir := t.TempDir()
	const each = 100 << 10 // and 4 KiB
	c, err := openCache(dir, 3*each+20<<10)
	require.NoError(t, err)
	var fills atomic.Int32
	a, b, d := fileOf("a", each, &fills), fileOf("b", each, &fills), fileOf("d", each, &fills)
	use(t, c, a)
	use(t, c, b)
	use(t, c, d)
	use(t, c, a)
	require.EqualValues(t, 3, fills.Load())

	// A new process remembers when they were used.
	c, err = openCache(dir, 3*each+20<<10)
	require.NoError(t, err)
	use(t, c, fileOf("e", each, &fills))
	require.NoFileExists(t, filepath.Join(dir, kindBlob, b.digest.Hex()))
	require.FileExists(t, filepath.Join(dir, kindBlob, a.digest.Hex()))

	// With less room it starts by making some.
	_, err = openCache(dir, each+20<<10)
	require.NoError(t, err)
	left, err := os.ReadDir(filepath.Join(dir, kindBlob))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestCacheKeepsWhatIsInUse(t *testing.T) {
	const each = 100 << 10
	c, err := openCache(t.TempDir(), each+20<<10)
	require.NoError(t, err)
	var fills atomic.Int32
	path, release, err := c.acquire(t.Context(), fileOf("a", each, &fills))
	require.NoError(t, err)
	_, _, err = c.acquire(t.Context(), fileOf("b", each, &fills))
	require.ErrorIs(t, err, errCacheFull)
	require.NoError(t, c.clear())
	require.FileExists(t, path)
	release()
	release() // counts once
	use(t, c, fileOf("b", each, &fills))
	require.NoFileExists(t, path)
	_, _, err = c.acquire(t.Context(), fileOf("c", 10*each, &fills))
	require.ErrorIs(t, err, errTooBig)
	require.NoError(t, c.clear())
	require.Zero(t, c.total)
	require.Empty(t, c.entries)
}

func TestCacheRepairsDamage(t *testing.T) {
	dir := t.TempDir()
	c, err := openCache(dir, 1<<20)
	require.NoError(t, err)
	var fills atomic.Int32
	want := fileOf("a", 1000, &fills)
	path := use(t, c, want)
	require.NoError(t, os.WriteFile(path, []byte("damaged"), 0o600))
	use(t, c, want)
	good, err := fileHas(path, want.digest)
	require.NoError(t, err)
	require.True(t, good)
	require.NoError(t, os.Remove(path))
	use(t, c, want)
	require.EqualValues(t, 3, fills.Load())

	// What a process left half done is gone after the next start.
	require.NoError(t, os.WriteFile(filepath.Join(dir, kindBlob, ".pull-1"), nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, kindTree, ".unpack-1", "sub"), 0o700))
	_, err = openCache(dir, 1<<20)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, kindBlob, ".pull-1"))
	require.NoDirExists(t, filepath.Join(dir, kindTree, ".unpack-1"))
}

func TestCacheFailedFill(t *testing.T) {
	c, err := openCache(t.TempDir(), 1<<20)
	require.NoError(t, err)
	var fills atomic.Int32
	want := fileOf("a", 1000, &fills)
	broken := want
	broken.fill = func(_ context.Context, _ string, reserve func(int64) error) error {
		if err := reserve(1 << 19); err != nil {
			return err
		}
		return syscall.ENOSPC
	}
	_, _, err = c.acquire(t.Context(), broken)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.True(t, isDiskFull(err))
	require.Zero(t, c.total)
	require.Empty(t, c.entries)
	use(t, c, want)

	// Who waits for a fill may give up.
	_, hold, err := c.acquire(t.Context(), want)
	require.NoError(t, err)
	e := c.entry(kindBlob, want.digest)
	e.lock <- struct{}{}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errGone)
	defer cancel()
	_, _, err = c.acquire(ctx, want)
	require.ErrorIs(t, err, errGone)
	<-e.lock
	hold()
	require.Zero(t, e.refs)
}

// TestTree pulls and unpacks inputs, and notices a tree that was changed between two processes.
func TestTree(t *testing.T) {
	store, err := registry.Open(t.TempDir(), registry.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	server := httptest.NewServer(store)
	defer server.Close()
	reg, err := client.New(server.URL)
	require.NoError(t, err)
	stage := t.TempDir()
	for i := range 20 {
		sub := filepath.Join(stage, "folder"+strconv.Itoa(i))
		require.NoError(t, os.MkdirAll(sub, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(sub, "file"), bytes.Repeat([]byte{byte(i)}, 1000*i), 0o600))
	}
	var tar bytes.Buffer
	require.NoError(t, artifact.Pack(&tar, stage, artifact.Limits{}))
	digest := artifact.DigestOf(tar.Bytes())
	_, err = reg.PushArtifact(t.Context(), client.RepoInputs, "", client.Inputs(client.BytesBlob("", tar.Bytes())))
	require.NoError(t, err)

	dir := t.TempDir()
	pull := func() string {
		c, err := openCache(dir, 1<<20)
		require.NoError(t, err)
		path, release, err := fetcher{reg, c}.tree(t.Context(), client.RepoInputs, digest)
		require.NoError(t, err)
		release()
		size, err := diskSize(path)
		require.NoError(t, err)
		require.Equal(t, size, c.total)
		good, err := folderHas(path, digest)
		require.NoError(t, err)
		require.True(t, good)
		return path
	}
	path := pull()
	file := filepath.Join(path, "folder3", "file")
	require.NoError(t, os.Truncate(file, 10))
	require.Equal(t, path, pull())
	require.NoError(t, os.RemoveAll(filepath.Join(path, "folder3")))
	pull()
	require.FileExists(t, file)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "the archive is not kept")
}

func TestBlame(t *testing.T) {
	for _, c := range []struct {
		err            error
		jobs, doubtful bool
	}{
		{client.ErrNotFound, true, true},
		{client.ErrDigestMismatch, true, true},
		{client.ErrTooLarge, true, false},
		{handover.JobFault("no"), true, false},
		{client.ErrDenied, false, false},
		{&client.StatusError{Status: 503}, false, false},
		{&fs.PathError{Err: syscall.ENOSPC}, false, false},
		{errTooBig, false, false},
		{context.Canceled, false, false},
	} {
		err := handover.Blame(c.err)
		require.ErrorIs(t, err, c.err)
		var job *handover.JobError
		require.Equal(t, c.jobs, errors.As(err, &job), "%v", c.err)
		require.Equal(t, c.doubtful, job != nil && job.Doubtful, "%v", c.err)
	}
}

// A job that names the content of another owner's by its digest does not get it out of the cache, where the registry keeps owners apart.
func TestCachedContentOfAnotherOwner(t *testing.T) {
	r, err := registry.Open(t.TempDir(), registry.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, r.Close())
	})
	for _, owned := range []bool{false, true} {
		var options []client.Option
		if owned {
			options = append(options, client.WithOwnedRepos())
		}
		reg, err := client.New(server.URL, options...)
		require.NoError(t, err)
		c, err := openCache(t.TempDir(), 1<<20)
		require.NoError(t, err)
		f, blob := fetcher{reg, c}, client.BytesBlob("", []byte("a secret module"))
		_, err = reg.PushArtifact(t.Context(), reg.ContentRepo("fog1alice", client.RepoModules, blob.Digest), "", client.Module(blob))
		require.NoError(t, err)
		_, release, err := f.blob(t.Context(), reg.ContentRepo("fog1alice", client.RepoModules, blob.Digest), blob.Digest, 0)
		require.NoError(t, err)
		release()
		path, release, err := f.blob(t.Context(), reg.ContentRepo("fog1mallory", client.RepoModules, blob.Digest), blob.Digest, 0)
		if owned {
			require.ErrorIs(t, err, client.ErrNotFound)
			require.Empty(t, path)
			_, _, err = f.tree(t.Context(), reg.ContentRepo("fog1mallory", client.RepoInputs, blob.Digest), blob.Digest)
			require.ErrorIs(t, err, client.ErrNotFound)
			_, _, err = f.image(t.Context(), reg.ContentRepo("fog1mallory", client.RepoImages, blob.Digest), blob.Digest)
			require.ErrorIs(t, err, client.ErrNotFound)
			continue
		}
		require.NoError(t, err)
		release()
	}
}
