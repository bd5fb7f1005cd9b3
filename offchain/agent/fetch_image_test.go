package agent

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// TestImage pulls an image into a layout, and notices what was changed between two processes.
func TestImage(t *testing.T) {
	store, err := registry.Open(t.TempDir(), registry.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	server := httptest.NewServer(store)
	defer server.Close()
	reg, err := client.New(server.URL)
	require.NoError(t, err)
	img, err := image.BuildBytes(filepath.Join(t.TempDir(), "image"), make([]byte, 100_000), runtime.GOARCH)
	require.NoError(t, err)
	require.NoError(t, reg.PushImage(t.Context(), client.RepoImages, img))

	dir := t.TempDir()
	fetch := func(capacity int64, d artifact.Digest) (string, error) {
		c, err := openCache(dir, capacity)
		require.NoError(t, err)
		path, release, err := fetcher{reg, c}.image(t.Context(), client.RepoImages, d)
		if err != nil {
			return "", err
		}
		release()
		size, err := diskSize(path)
		require.NoError(t, err)
		require.Equal(t, size, c.total)
		got, err := image.Open(path, d)
		require.NoError(t, err)
		require.NoError(t, got.Verify(1<<20))
		return path, nil
	}
	path, err := fetch(1<<20, img.Digest)
	require.NoError(t, err)
	layer := image.BlobPath(path, img.Manifest.Layers[0].Digest)
	require.NoError(t, os.Truncate(layer, 10))
	_, err = fetch(1<<20, img.Digest)
	require.NoError(t, err)
	require.NoError(t, os.Remove(layer))
	_, err = fetch(1<<20, img.Digest)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(path))

	var job *handover.JobError
	_, err = fetch(50_000, img.Digest)
	require.ErrorIs(t, err, errTooBig)
	require.False(t, errors.As(err, &job), "a cache that is too small is the node's fault")
	_, err = fetch(1<<20, artifact.EmptyDigest)
	require.ErrorAs(t, err, &job)
	require.True(t, job.Doubtful)
	other, err := reg.PushArtifact(t.Context(), client.RepoImages, "", client.Module(client.BytesBlob("", []byte("a module"))))
	require.NoError(t, err)
	_, err = fetch(1<<20, other)
	require.ErrorAs(t, err, &job)
	require.False(t, job.Doubtful, "an artifact is no image, however often it is fetched")
	left, err := os.ReadDir(filepath.Join(dir, kindImage))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestContainerWithoutEngine: a node that declares what it cannot run fails the tasks itself; it is not the job's fault.
func TestContainerWithoutEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "none.sock"))
	w := newWorld(t)
	w.oracle("a")
	img, err := image.BuildBytes(filepath.Join(t.TempDir(), "image"), []byte("a program"), runtime.GOARCH)
	require.NoError(t, err)
	require.NoError(t, w.push.PushImage(t.Context(), client.RepoImages, img))
	spec := w.specOf(w.job("job1pattern", 1, "report"))
	spec.Engine, spec.Module, spec.Inputs = jobfile.EngineDocker, img.Digest, artifact.Digest{}
	w.run(t.TempDir())
	id := w.match(w.putJob(testJob, spec), 0, 0, 1)
	require.Equal(t, link.ReasonNode, w.outcome(id).Tasks[0].Reason)
}
