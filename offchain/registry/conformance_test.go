package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// serve starts the embedded registry in a fresh folder.
func serve(t *testing.T, opts registry.Options) (url, root string, r *registry.Registry) {
	t.Helper()
	root = t.TempDir()
	r, err := registry.Open(root, opts)
	require.NoError(t, err)
	srv := httptest.NewServer(r)
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, r.Close())
	})
	return srv.URL, root, r
}

// serveDebian starts Debian's docker-registry on the loopback, or skips the test.
func serveDebian(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs docker-registry on PATH (apt-get install docker-registry) ***\n\n", t.Name())
		t.Skip("docker-registry is not on PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	dir := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: %s\n  delete:\n    enabled: true\nhttp:\n  addr: %s\n",
		filepath.Join(dir, "data"), addr)
	path := filepath.Join(dir, "config.yml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	cmd := exec.Command(program, "serve", path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		if err := cmd.Wait(); err == nil {
			t.Error("docker-registry ended before it was killed")
		}
		if t.Failed() {
			t.Log(out.String())
		}
	})
	url := "http://" + addr
	require.Eventually(t, func() bool {
		resp, err := http.Get(url + "/v2/")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	}, 20*time.Second, 50*time.Millisecond)
	return url
}

func TestEmbedded(t *testing.T) {
	url, _, _ := serve(t, registry.Options{})
	t.Run("images", func(t *testing.T) { imageSuite(t, url) })
	t.Run("artifacts", func(t *testing.T) { artifactSuite(t, url) })
}

func TestDockerRegistry(t *testing.T) {
	url := serveDebian(t)
	t.Run("images", func(t *testing.T) { imageSuite(t, url) })
	t.Run("artifacts", func(t *testing.T) { artifactSuite(t, url) })
}

func parseRef(t *testing.T, url, path string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(strings.TrimPrefix(url, "http://")+"/"+path, name.Insecure)
	require.NoError(t, err)
	return r
}

// imageSuite is what a container tool does with a registry.
func imageSuite(t *testing.T, url string) {
	img, err := random.Image(4096, 3)
	require.NoError(t, err)
	digest, err := img.Digest()
	require.NoError(t, err)
	tagged := parseRef(t, url, "lib/a/image:v1")

	_, err = remote.Head(tagged)
	var status *transport.Error
	require.ErrorAs(t, err, &status)
	require.Equal(t, http.StatusNotFound, status.StatusCode)

	require.NoError(t, remote.Write(tagged, img))
	require.NoError(t, remote.Write(tagged, img), "a second push of the same is no error")
	head, err := remote.Head(tagged)
	require.NoError(t, err)
	require.Equal(t, digest, head.Digest)
	for _, at := range []string{"lib/a/image:v1", "lib/a/image@" + digest.String()} {
		pulled, err := remote.Image(parseRef(t, url, at))
		require.NoError(t, err)
		require.NoError(t, validate.Image(pulled))
	}

	// Mount: the layers come from the other repository.
	mounted := parseRef(t, url, "other:v1")
	source, err := remote.Image(tagged)
	require.NoError(t, err)
	require.NoError(t, remote.Write(mounted, source))
	pulled, err := remote.Image(mounted)
	require.NoError(t, err)
	require.NoError(t, validate.Image(pulled))

	// An index of two images.
	second, err := random.Image(512, 1)
	require.NoError(t, err)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img}, mutate.IndexAddendum{Add: second})
	indexRef := parseRef(t, url, "lib/index:latest")
	require.NoError(t, remote.WriteIndex(indexRef, index))
	got, err := remote.Index(indexRef)
	require.NoError(t, err)
	require.NoError(t, validate.Index(got))

	// Tags, in pages.
	for _, tag := range []string{"v2", "v3", "latest"} {
		require.NoError(t, remote.Tag(tagged.Context().Tag(tag), img))
	}
	tags, err := remote.List(tagged.Context(), remote.WithPageSize(2))
	require.NoError(t, err)
	require.Equal(t, []string{"latest", "v1", "v2", "v3"}, tags)

	// Deleted by digest: the tags go with it.
	require.NoError(t, remote.Delete(tagged.Context().Digest(digest.String())))
	_, err = remote.Head(tagged)
	require.ErrorAs(t, err, &status)
	require.Equal(t, http.StatusNotFound, status.StatusCode)
	_, err = remote.Image(mounted)
	require.NoError(t, err, "the other repository keeps its own")
}

// artifactSuite is what fog does with a registry.
func artifactSuite(t *testing.T, url string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := client.New(url)
	require.NoError(t, err)
	require.NoError(t, c.Ping(ctx))

	module := client.BytesBlob("", bytes.Repeat([]byte("wasm"), 1<<16))
	digest, err := c.PushArtifact(ctx, client.RepoModules, "pi", client.Module(module))
	require.NoError(t, err)
	again, err := c.PushArtifact(ctx, client.RepoModules, "", client.Module(module))
	require.NoError(t, err)
	require.Equal(t, digest, again, "equal artifacts have equal digests")

	for _, at := range []string{"pi", digest.String()} {
		m, err := c.PullManifest(ctx, client.RepoModules, at)
		require.NoError(t, err)
		require.Equal(t, digest, m.Digest)
		layer, err := m.Content(client.TypeModule)
		require.NoError(t, err)
		require.Equal(t, module.Digest, layer.Digest)
		_, err = m.Content(client.TypeSpec)
		require.ErrorIs(t, err, client.ErrNotArtifact)
		data, err := c.ReadBlob(ctx, client.RepoModules, layer.Digest, 1<<20)
		require.NoError(t, err)
		require.Equal(t, module.Digest, artifact.DigestOf(data))
	}
	_, err = c.ReadBlob(ctx, client.RepoModules, module.Digest, 100)
	require.ErrorIs(t, err, client.ErrTooLarge)

	spec := []byte(`{"version":1}`)
	_, err = c.PushArtifact(ctx, client.RepoSpecs, "pi", client.Spec(spec))
	require.NoError(t, err)
	data, err := c.ReadBlob(ctx, client.RepoSpecs, artifact.DigestOf(spec), 1<<20)
	require.NoError(t, err)
	require.Equal(t, spec, data)

	// A result: three tasks, two of them with equal output, one log.
	result := client.Result([]client.TaskOutput{
		{Task: 7, Result: client.BytesBlob("", []byte("seven")), Log: client.BytesBlob("", []byte("log of seven"))},
		{Task: 8, Result: client.BytesBlob("", []byte("same"))},
		{Task: 9, Result: client.BytesBlob("", []byte("same"))},
	})
	var done, total int64
	watched := c.WithProgress(func(d, n int64) { done, total = d, n })
	repo := client.ResultRepo("job1qqq")
	digest, err = watched.PushArtifact(ctx, repo, client.ResultTag(2, 1), result)
	require.NoError(t, err)
	require.Equal(t, int64(len("{}")+len("seven")+len("same")+len("log of seven")), total)
	require.Equal(t, total, done)

	done, total = 0, 0
	dir := t.TempDir()
	m, err := watched.PullArtifact(ctx, repo, "s2-a1", dir)
	require.NoError(t, err)
	require.Equal(t, digest, m.Digest)
	require.Equal(t, int64(len("seven")+len("same")+len("log of seven")), total)
	require.Equal(t, total, done)
	tasks, err := m.Tasks(7, 3)
	require.NoError(t, err)
	require.Equal(t, uint32(9), tasks[2].Task)
	require.Nil(t, tasks[2].Log)
	for path, want := range map[string]string{
		client.LayerPath(dir, tasks[0].Result.Digest): "seven",
		client.LayerPath(dir, tasks[2].Result.Digest): "same",
		client.LayerPath(dir, tasks[0].Log.Digest):    "log of seven",
	} {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
	}

	// Another client reads the same manifest.
	desc, err := remote.Get(parseRef(t, url, repo+":s2-a1"))
	require.NoError(t, err)
	require.Equal(t, m.Raw, desc.Manifest)
	parsed, err := v1.ParseManifest(bytes.NewReader(desc.Manifest))
	require.NoError(t, err)
	require.Equal(t, client.TypeResult, parsed.ArtifactType)

	// What is not there.
	_, err = c.PullManifest(ctx, repo, "s9-a9")
	require.ErrorIs(t, err, client.ErrNotFound)
	_, err = c.PullManifest(ctx, "nowhere", artifact.DigestOf([]byte("x")).String())
	require.ErrorIs(t, err, client.ErrNotFound)
	_, err = c.StatBlob(ctx, repo, artifact.DigestOf([]byte("x")))
	require.ErrorIs(t, err, client.ErrNotFound)
	_, err = c.StatBlob(ctx, repo, module.Digest)
	require.ErrorIs(t, err, client.ErrNotFound, "blobs of another repository are not shown")

	// An empty artifact, an empty layer.
	_, err = c.PushArtifact(ctx, repo, "none", client.Artifact{Type: client.TypeResult})
	require.NoError(t, err)
	_, err = c.PushArtifact(ctx, repo, "zero", client.Module(client.BytesBlob("", nil)))
	require.NoError(t, err)
	data, err = c.ReadBlob(ctx, repo, artifact.DigestOf(nil), 10)
	require.NoError(t, err)
	require.Empty(t, data)
}
