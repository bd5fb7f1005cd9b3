package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/registry/copies"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// pushed packs a job with inputs and pushes it for its owner; text makes it unlike others.
func (w *world) pushed(owner wallet, text string) jobclient.Packed {
	w.t.Helper()
	dir := w.t.TempDir()
	for name, content := range map[string]string{
		"fog.yaml":  "version: 1\nname: words\nmodule: task.wasm\ninputs: [words.txt]\ntasks: 1\nprice: {cap_per_task_hour: 0.5FOG}\nmax_duration: 1m\n",
		"task.wasm": "\x00asm\x01\x00\x00\x00" + text, "words.txt": text,
	} {
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	f, err := jobfile.Load(filepath.Join(dir, "fog.yaml"))
	require.NoError(w.t, err)
	p, err := jobclient.Pack(w.t.Context(), f, w.t.TempDir(), nil)
	require.NoError(w.t, err)
	p.Owner = owner.address
	require.NoError(w.t, jobclient.Push(w.t.Context(), w.registry(w.login(owner)), p, nil))
	require.NoError(w.t, jobclient.CheckPushed(w.t.Context(), w.registry(w.login(owner)), p))
	return p
}

// What a developer pushes comes to the node that runs it, inputs too, and to nobody else.
func TestContentGoesToTheNodeThatRunsIt(t *testing.T) {
	w := newWorld(t)
	p := w.pushed(w.alice, "a")
	node := w.registry(w.nodeLogin())
	pull := func(c *client.Client, kind string, d artifact.Digest) error {
		_, err := c.StatBlob(t.Context(), c.ContentRepo(w.alice.address, kind, d), d)
		return err
	}
	content := map[string]artifact.Digest{client.RepoSpecs: p.SpecDigest, client.RepoModules: p.Module, client.RepoInputs: p.Inputs}
	for kind, d := range content {
		require.ErrorIs(t, pull(node, kind, d), client.ErrDenied, "before the match")
	}
	id := w.job(w.alice, "job", p.SpecDigest, p.Module, w.clock().Add(time.Hour))
	bob := w.registry(w.login(w.bob))
	for kind, d := range content {
		require.NoError(t, pull(node, kind, d), kind)
		require.ErrorIs(t, pull(bob, kind, d), client.ErrDenied)
	}
	w.change(id, func(job *jobstypes.Job, _ *jobstypes.Slice) { job.Owner = w.bob.address })
	for kind, d := range content {
		require.ErrorIs(t, pull(w.registry(w.nodeLogin()), kind, d), client.ErrDenied, "a job of another that names it")
	}
	// Neither can push over what is another's.
	require.ErrorIs(t, bob.PushBlob(t.Context(), client.OwnedRepo(w.alice.address, client.RepoModules, p.Module), client.BytesBlob("", []byte("evil"))), client.ErrDenied)
	require.ErrorIs(t, node.PushBlob(t.Context(), client.OwnedRepo(w.alice.address, client.RepoModules, p.Module), client.BytesBlob("", []byte("evil"))), client.ErrDenied)
}

// A node finds a manifest by digest, not by tag.
func TestNodesPullByDigest(t *testing.T) {
	w := newWorld(t)
	image := artifact.DigestOf([]byte("image"))
	repo := client.OwnedRepo(w.alice.address, client.RepoImages, image)
	manifest, err := w.registry(w.login(w.alice)).PushArtifact(t.Context(), repo, "latest", client.Module(client.BytesBlob("", []byte("x"))))
	require.NoError(t, err)
	w.job(w.alice, "job", artifact.DigestOf([]byte("spec")), image, w.clock().Add(time.Hour))
	node := w.registry(w.nodeLogin())
	_, err = node.PullManifest(t.Context(), repo, "latest")
	require.ErrorIs(t, err, client.ErrDenied)
	_, err = node.PullManifest(t.Context(), repo, manifest.String())
	require.NoError(t, err)
}

func TestQuotaOfADeveloper(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.registry(w.login(w.alice)), w.registry(w.login(w.bob))
	half := strings.Repeat("a", 600<<10)
	require.NoError(t, alice.PushBlob(t.Context(), "dev/"+w.alice.address+"/one", client.BytesBlob("", []byte(half))))
	err := alice.PushBlob(t.Context(), "dev/"+w.alice.address+"/two", client.BytesBlob("", []byte(half+"b")))
	require.ErrorIs(t, err, client.ErrDenied)
	require.ErrorContains(t, err, "quota")
	require.NoError(t, bob.PushBlob(t.Context(), "dev/"+w.bob.address+"/one", client.BytesBlob("", []byte(half+"b"))))
}

// A node brings no more as a result than the job's tasks may write.
func TestQuotaOfAResult(t *testing.T) {
	w := newWorld(t)
	id := w.job(w.alice, "job", artifact.DigestOf([]byte("spec")), artifact.DigestOf([]byte("image")), w.clock().Add(time.Hour))
	bytes, err := w.server.facts.resultBytes(t.Context(), parsePlace(client.OwnedResultRepo(id, 0, 1)))
	require.NoError(t, err)
	require.EqualValues(t, 2<<20+maxLogBytes+maxManifestBytes, bytes)
	q, limited, err := w.server.quota(client.OwnedResultRepo(id, 0, 1))
	require.NoError(t, err)
	require.True(t, limited)
	require.Equal(t, bytes, q.Bytes)
	require.True(t, q.Apart, "developers, who cost nothing, keep no node from bringing its result")
	_, _, err = w.server.quota(client.OwnedResultRepo("job1missing", 0, 1))
	require.Error(t, err)
	node := w.registry(w.nodeLogin())
	piece := make([]byte, 40<<20)
	require.NoError(t, node.PushBlob(t.Context(), client.OwnedResultRepo(id, 0, 1), client.BytesBlob("", piece)))
	err = node.PushBlob(t.Context(), client.OwnedResultRepo(id, 0, 1), client.BytesBlob("", append(piece, 1)))
	require.ErrorIs(t, err, client.ErrDenied)
	require.ErrorContains(t, err, "quota")
}

// The embedded registry keeps copies, and what is damaged here comes back from them.
func TestContentIsRepaired(t *testing.T) {
	kept, err := copies.Open(t.TempDir())
	require.NoError(t, err)
	w := newWorld(t, func(c *Config) { c.Copies = []copies.Store{kept} })
	p := w.pushed(w.alice, "kept")
	require.NoError(t, w.server.registry.Mirror(t.Context()))
	blob := filepath.Join(w.cfg.RegistryDir, "blobs", "sha256", p.Inputs.Hex()[:2], p.Inputs.Hex())
	require.FileExists(t, blob)
	require.NoError(t, os.WriteFile(blob, []byte("damaged"), 0o600))
	report, err := w.server.registry.Scrub(t.Context(), w.server.cfg.Scrub)
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Repaired)
	alice := w.registry(w.login(w.alice))
	raw, err := alice.ReadBlob(t.Context(), alice.ContentRepo(p.Owner, client.RepoInputs, p.Inputs), p.Inputs, 1<<20)
	require.NoError(t, err)
	require.Equal(t, p.Inputs, artifact.DigestOf(raw))
}

// Garbage collection takes what closed jobs left and nothing that an open one needs, and nothing at all if the chain does not answer.
func TestGarbageOfClosedJobs(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.GCAge = time.Hour })
	open, closed := w.pushed(w.alice, "open"), w.pushed(w.alice, "closed")
	w.job(w.alice, "open", open.SpecDigest, open.Module, w.clock().Add(1000*time.Hour))
	gone := w.job(w.alice, "closed", closed.SpecDigest, closed.Module, w.clock().Add(1000*time.Hour))
	named := "dev/" + w.alice.address + "/app"
	layer := client.BytesBlob("", []byte("a layer"))
	_, err := w.registry(w.login(w.alice)).PushArtifact(t.Context(), named, "v1", client.Module(layer))
	require.NoError(t, err)
	repo := client.OwnedResultRepo(gone, 0, 1)
	_, err = w.registry(w.nodeLogin()).PushArtifact(t.Context(), repo, client.ResultTag(0, 1), client.Module(client.BytesBlob("", []byte("a result"))))
	require.NoError(t, err)
	// The blob that no manifest names: an open job needs it all the same.
	held := func(p jobclient.Packed) (n int) {
		for kind, d := range map[string]artifact.Digest{client.RepoSpecs: p.SpecDigest, client.RepoModules: p.Module, client.RepoInputs: p.Inputs} {
			path := filepath.Join(w.cfg.RegistryDir, "repos", filepath.FromSlash(client.OwnedRepo(p.Owner, kind, d)), "_blobs", d.Hex())
			if _, err := os.Stat(path); err == nil {
				n++
			}
		}
		return n
	}
	w.change(gone, func(job *jobstypes.Job, _ *jobstypes.Slice) { job.Status = jobstypes.JOB_STATUS_CLOSED })
	report, err := w.server.CollectGarbage(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Manifests, "what is young stays")

	w.wait(2 * time.Hour)
	w.chain.Stop()
	_, err = w.server.CollectGarbage(t.Context())
	require.Error(t, err)
	require.Equal(t, 3, held(closed))
	w.chain.Serve()
	for i := 0; ; i++ { // until gRPC has found the node again
		if report, err = w.server.CollectGarbage(t.Context()); err == nil {
			break
		}
		require.Less(t, i, 100, err)
		time.Sleep(100 * time.Millisecond)
	}
	require.Equal(t, 4, report.Manifests)
	require.Equal(t, 3, held(open))
	require.Zero(t, held(closed))
	session := w.login(w.alice)
	_, err = w.registry(session).PullManifest(t.Context(), named, "v1")
	require.NoError(t, err)
	require.NoError(t, jobclient.CheckPushed(t.Context(), w.registry(session), open))
	status, _ := w.get("", "/v2/"+named+"/manifests/v1")
	require.Equal(t, http.StatusUnauthorized, status)
}
