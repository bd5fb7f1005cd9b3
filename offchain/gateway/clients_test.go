package gateway

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/auth"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// program is the path of a program that is not a Go module, or the end of the test.
func program(t *testing.T, name, how string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED: no %s on PATH, so nothing is known of how it takes our tokens; %s", name, how)
	}
	return path
}

// debian serves Debian's docker-registry with the gateway's tokens, and returns the gateway that issues them.
func debian(t *testing.T) (w *world, url string) {
	t.Helper()
	path := program(t, "docker-registry", "install Debian's docker-registry")
	for range 5 {
		if w, url, ok := tryDebian(t, path); ok {
			return w, url
		}
	}
	t.Fatal("docker-registry does not answer")
	return nil, ""
}

// tryDebian does that on a port that is free now, and may be another's by the time that docker-registry listens.
func tryDebian(t *testing.T, path string) (w *world, url string, ok bool) {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", nginxtest.Port(t))
	url = "http://" + addr
	w = newWorld(t, func(c *Config) { c.RegistryURL, c.RegistryService, c.Now = url, "debian.example", time.Now })

	dir := t.TempDir()
	config := fmt.Sprintf(`version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: %[1]s/content}, delete: {enabled: true}}
http: {addr: %[2]s}
auth:
  token: {realm: %[3]s, service: debian.example, issuer: %[4]s, rootcertbundle: %[5]s}
`, dir, addr, strings.Replace(w.url, "127.0.0.1", "localhost", 1)+tokenPath, IssuerName, w.server.TokenCertificate())
	file := filepath.Join(dir, "config.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "serve", file)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err == nil || t.Failed() {
			t.Log(err, log.String())
		}
	})
	for range 300 {
		select {
		case err := <-ended:
			ended <- err
			t.Logf("docker-registry has ended: %v", err)
			return nil, "", false
		default:
		}
		if resp, err := http.Get(url + "/v2/"); err == nil {
			require.NoError(t, resp.Body.Close())
			if resp.Header.Get("Docker-Distribution-Api-Version") != "" {
				require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
				return w, url, true
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, "", false
}

func (w *world) registryAt(url, token string) *client.Client {
	w.t.Helper()
	c, err := client.New(url, client.WithOwnedRepos(), client.WithTokens(gatewayTokens{w, token}), client.WithRetry(1, 0))
	require.NoError(w.t, err)
	return c
}

// Debian's registry takes the gateway's tokens, for what they are and no more.
func TestDebiansRegistry(t *testing.T) {
	w, url := debian(t)
	alice, bob, node := w.registryAt(url, w.login(w.alice)), w.registryAt(url, w.login(w.bob)), w.registryAt(url, w.nodeLogin())
	mine := "dev/" + w.alice.address + "/app"
	layer := client.BytesBlob("", []byte("a layer"))
	digest, err := alice.PushArtifact(t.Context(), mine, "v1", client.Module(layer))
	require.NoError(t, err)
	_, err = alice.PullManifest(t.Context(), mine, digest.String())
	require.NoError(t, err)
	_, err = bob.PullManifest(t.Context(), mine, digest.String())
	require.ErrorIs(t, err, client.ErrDenied)
	_, err = bob.PushArtifact(t.Context(), mine, "v1", client.Module(layer))
	require.ErrorIs(t, err, client.ErrDenied)

	// A node: the image of its slice, and its result.
	image := artifact.DigestOf([]byte("image"))
	repo := client.OwnedRepo(w.alice.address, client.RepoImages, image)
	_, err = alice.PushArtifact(t.Context(), repo, "", client.Module(layer))
	require.NoError(t, err)
	_, err = node.StatBlob(t.Context(), repo, layer.Digest)
	require.ErrorIs(t, err, client.ErrDenied)
	id := w.job(w.alice, "job", artifact.DigestOf([]byte("spec")), image, w.clock().Add(time.Hour))
	_, err = node.StatBlob(t.Context(), repo, layer.Digest)
	require.NoError(t, err)
	_, err = node.StatBlob(t.Context(), mine, layer.Digest)
	require.ErrorIs(t, err, client.ErrDenied)
	_, err = node.PushArtifact(t.Context(), client.OwnedResultRepo(id, 0, 1), client.ResultTag(0, 1), client.Module(layer))
	require.NoError(t, err)
	_, err = node.PushArtifact(t.Context(), client.OwnedResultRepo(id, 1, 1), client.ResultTag(1, 1), client.Module(layer))
	require.ErrorIs(t, err, client.ErrDenied)

	// A token of another key, with the right words, opens nothing.
	forger, err := auth.OpenIssuer(t.TempDir(), IssuerName, "debian.example", time.Now)
	require.NoError(t, err)
	text, _, err := forger.Issue("x", []auth.Access{{Type: "repository", Name: mine, Actions: []string{"pull"}}}, false, time.Time{})
	require.NoError(t, err)
	req, err := http.NewRequest("GET", url+"/v2/"+mine+"/manifests/v1", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+text)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}

// people is a way for people to push and pull, with a home of its own.
type people struct {
	t    *testing.T
	path string
	env  []string
}

func newPeople(t *testing.T, path string) people {
	home := t.TempDir()
	return people{t, path, append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home, "XDG_CONFIG_HOME="+home)}
}

func (p people) run(stdin string, args ...string) (string, error) {
	p.t.Helper()
	cmd := exec.Command(p.path, args...)
	cmd.Env, cmd.Stdin = p.env, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p people) must(stdin string, args ...string) string {
	p.t.Helper()
	out, err := p.run(stdin, args...)
	require.NoError(p.t, err, "%s %v: %s", p.path, args, out)
	return out
}

func (p people) fails(args ...string) {
	p.t.Helper()
	out, err := p.run("", args...)
	require.Error(p.t, err, "%s %v: %s", p.path, args, out)
	lower := strings.ToLower(out)
	require.True(p.t, strings.Contains(lower, "denied") || strings.Contains(lower, "unauthorized") || strings.Contains(lower, "insufficient"), out)
}

// eachRegistry runs a test against the embedded registry and against Debian's.
func eachRegistry(t *testing.T, test func(t *testing.T, w *world, host string)) {
	t.Run("embedded", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Now, c.QuotaBytes = time.Now, 64<<20 })
		test(t, w, strings.TrimPrefix(w.url, "http://"))
	})
	t.Run("debian", func(t *testing.T) {
		w, url := debian(t)
		test(t, w, strings.TrimPrefix(url, "http://"))
	})
}

func TestOras(t *testing.T) {
	path := program(t, "oras", "go install oras.land/oras/cmd/oras@v1.3.0")
	eachRegistry(t, func(t *testing.T, w *world, host string) {
		p := newPeople(t, path)
		key, _ := w.key(w.login(w.alice), time.Hour)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "hello.txt"), []byte("hello"), 0o600))
		p.must(key, "login", "--plain-http", "-u", w.alice.address, "--password-stdin", host)
		name := host + "/dev/" + w.alice.address + "/hello:v1"
		p.must("", "push", "--plain-http", "--disable-path-validation", name, filepath.Join(dir, "hello.txt")+":text/plain")
		require.Contains(t, p.must("", "manifest", "fetch", "--plain-http", name), "text/plain")
		p.fails("push", "--plain-http", "--disable-path-validation", host+"/dev/"+w.bob.address+"/hello:v1", filepath.Join(dir, "hello.txt")+":text/plain")
		_, err := newPeople(t, path).run("wrong", "login", "--plain-http", "-u", w.alice.address, "--password-stdin", host)
		require.Error(t, err)
	})
}

func TestCrane(t *testing.T) {
	path := program(t, "crane", "go install github.com/google/go-containerregistry/cmd/crane@v0.22.1")
	eachRegistry(t, func(t *testing.T, w *world, host string) {
		p := newPeople(t, path)
		key, _ := w.key(w.login(w.alice), time.Hour)
		p.must(key, "auth", "login", host, "-u", w.alice.address, "--password-stdin")
		layer := layerTar(t)
		name := host + "/dev/" + w.alice.address + "/app"
		p.must("", "append", "--insecure", "-f", layer, "-t", name+":v1", "--oci-empty-base")
		digest := strings.TrimSpace(p.must("", "digest", "--insecure", name+":v1"))
		p.must("", "copy", "--insecure", name+"@"+digest, host+"/dev/"+w.alice.address+"/copy:v1")
		require.Contains(t, p.must("", "ls", "--insecure", name), "v1")
		p.fails("copy", "--insecure", name+"@"+digest, host+"/dev/"+w.bob.address+"/app:v1")
		p.fails("manifest", "--insecure", host+"/dev/"+w.bob.address+"/app:v1")
	})
}

// layerTar is an archive that serves as a layer.
func layerTar(t *testing.T) string {
	t.Helper()
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "layer.tar")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("content"), 0o600))
	_, _, err := artifact.PackFile(path, dir, artifact.Limits{})
	require.NoError(t, err)
	return path
}

// docker pushes and pulls through its daemon, which takes registries on this machine without TLS.
func TestDocker(t *testing.T) {
	path := program(t, "docker", "install Debian's docker.io")
	if out, err := exec.Command(path, "version").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: docker has no daemon, so nothing is known of how it takes our tokens: %s", out)
	}
	eachRegistry(t, func(t *testing.T, w *world, host string) {
		p := newPeople(t, path)
		key, id := w.key(w.login(w.alice), time.Hour)
		layer := layerTar(t)
		local := "fog-gateway-test-" + strings.ToLower(t.Name()[strings.LastIndex(t.Name(), "/")+1:]) + ":v1"
		name, foreign := host+"/dev/"+w.alice.address+"/app:v1", host+"/dev/"+w.bob.address+"/app:v1"
		p.must("", "import", layer, local)
		t.Cleanup(func() {
			if out, err := p.run("", "image", "rm", local, name, foreign); err != nil {
				t.Log(out)
			}
		})
		p.must("", "tag", local, name)
		p.must("", "tag", local, foreign)
		p.fails("push", name)
		_, err := p.run("wrong", "login", "-u", w.alice.address, "--password-stdin", host)
		require.Error(t, err)
		p.must(key, "login", "-u", w.alice.address, "--password-stdin", host)
		p.must("", "push", name)
		p.must("", "image", "rm", name)
		p.must("", "pull", name)
		p.fails("push", foreign)

		// Revoked: no new token, from now on.
		status, _, _ := w.send(w.login(w.alice), "DELETE", "/v1/tokens/"+id, nil)
		require.Equal(t, 200, status)
		p.fails("push", name)
	})
}
