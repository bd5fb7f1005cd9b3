package registry_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
)

// serveRoot in the environment makes the test's own program a registry of that folder.
const serveRoot = "FOG_TEST_REGISTRY_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(serveRoot); root != "" {
		r, err := registry.Open(root, quiet)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(httptest.NewServer(r).URL)
		select {}
	}
	os.Exit(m.Run())
}

// startRegistry runs a registry as a process of its own.
func startRegistry(t *testing.T, root string) (url string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveRoot+"="+root)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line), func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait(), "it was killed")
	}
}

// pushed remembers what a registry said that it keeps.
type pushed struct {
	mu               sync.Mutex
	blobs, manifests map[artifact.Digest]int // with their sizes
}

// send pushes images of three layers until the registry is gone.
func (p *pushed) send(url string, r *rand.Rand) {
	client := &http.Client{Timeout: 10 * time.Second}
	do := func(method, at, mediaType string, body []byte, want int) bool {
		req, err := http.NewRequest(method, url+at, bytes.NewReader(body))
		if err != nil {
			return false
		}
		req.Header.Set("Content-Type", mediaType)
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == want
	}
	for {
		var layers []string
		for range 3 {
			data := make([]byte, 1+r.IntN(200_000))
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			d := artifact.DigestOf(data)
			if !do("POST", "/v2/r/blobs/uploads/?digest="+d.String(), "", data, http.StatusCreated) {
				return
			}
			p.mu.Lock()
			p.blobs[d] = len(data)
			p.mu.Unlock()
			layers = append(layers, fmt.Sprintf(`{"mediaType":"x/y","digest":%q,"size":%d}`, d, len(data)))
		}
		m := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s,%s]}`, ociManifest, layers[0], layers[1], layers[2]))
		if !do("PUT", "/v2/r/manifests/last", ociManifest, m, http.StatusCreated) {
			return
		}
		p.mu.Lock()
		p.manifests[artifact.DigestOf(m)] = len(m)
		p.mu.Unlock()
	}
}

// A registry that is killed at a hundred random instants while four clients push keeps what it said that it keeps, and shows nothing that
// is not whole.
func TestKilledWhilePushing(t *testing.T) {
	root := t.TempDir()
	all := &pushed{blobs: map[artifact.Digest]int{}, manifests: map[artifact.Digest]int{}}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		url, kill := startRegistry(t, root)
		var clients sync.WaitGroup
		for range 4 {
			seed := r.Uint64()
			clients.Go(func() { all.send(url, rand.New(rand.NewPCG(seed, 0))) })
		}
		time.Sleep(time.Duration(r.IntN(120_000)) * time.Microsecond)
		kill()
		clients.Wait()
	}
	require.NotEmpty(t, all.manifests)

	reg, err := registry.Open(root, quiet)
	require.NoError(t, err)
	report, err := reg.Scrub(t.Context(), registry.ScrubOptions{})
	require.NoError(t, err)
	require.Zero(t, report.Corrupt+report.Missing, "%+v", report)
	require.GreaterOrEqual(t, int(report.Contents), len(all.blobs)+len(all.manifests))
	srv := httptest.NewServer(reg)
	defer srv.Close()
	for d := range all.blobs {
		status, h, _ := call(t, "HEAD", srv.URL+"/v2/r/blobs/"+d.String(), nil)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, fmt.Sprint(all.blobs[d]), h.Get("Content-Length"))
	}
	for d := range all.manifests {
		status, _, body := call(t, "GET", srv.URL+"/v2/r/manifests/"+d.String(), nil)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, d, artifact.DigestOf([]byte(body)))
	}
	status, _, body := call(t, "GET", srv.URL+"/v2/r/manifests/last", nil)
	require.Equal(t, http.StatusOK, status)
	var m struct {
		Layers []struct{ Digest artifact.Digest }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &m))
	require.Len(t, m.Layers, 2)
	require.NoError(t, reg.Close())
	t.Logf("%d blobs and %d manifests were acknowledged", len(all.blobs), len(all.manifests))
}
