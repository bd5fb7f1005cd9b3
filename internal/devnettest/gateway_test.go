package devnettest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/profile"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// planted is a secret of a job that is looked for wherever it must not be. It is put together here, so that this program, of which a stand-in makes copies, does
// not have it.
var planted = strings.Join([]string{"planted", "secret", "c41d7e90"}, "-")

// TestGateway runs jobs with a secret on a grid with a gateway, in a module and in a container, and then looks for it in all that the grid keeps.
func TestGateway(t *testing.T) {
	g := newGrid(t, devnet.Options{Validators: 1, Oracles: 1, Gateway: true})
	build(t, filepath.Join(g.work, "guest.wasm"), "github.com/foggrid/fogd/offchain/dispatch/dispatchtest/testdata/guest", "GOOS=wasip1", "GOARCH=wasm")
	value := filepath.Join(g.work, "value")
	require.NoError(t, os.WriteFile(value, []byte(planted), 0o600))
	g.register(t)
	guest, err := filepath.Abs(filepath.Join("..", "..", "offchain", "dispatch", "dispatchtest", "testdata", "guest"))
	require.NoError(t, err)

	path := g.withSecret(t, job{name: "module", module: "guest.wasm", args: `secret, PASSWORD`, cap: "5FOG", deadline: 3600})
	g.refused(t, g.net.DeveloperHome(), []string{"fog secret put db/password"}, "job", "submit", path)
	g.developer(t, nil, "secret", "put", "db/password", "--file", value)
	paths := []string{path}
	if g.nodeNow(t).Runs(nodestypes.ENGINE_DOCKER) {
		paths = append(paths, g.withSecret(t, job{name: "container", image: guest, args: `secret, PASSWORD`, cap: "5FOG", deadline: 3600}))
	} else {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs a Docker Engine for a container with a secret ***\n\n", t.Name())
	}
	var last string
	for _, path := range paths {
		var out struct {
			JobID string `json:"job_id"`
		}
		g.developer(t, &out, "job", "submit", path)
		g.developer(t, nil, "job", "watch", "--results", out.JobID)
		results := filepath.Join(g.work, "results", out.JobID)
		g.developer(t, nil, "job", "result", out.JobID, "-o", results, "--accept")
		require.Equal(t, fmt.Sprintf("%x\n", sha256.Sum256([]byte(planted))), g.digestIn(t, results), path)
		last = out.JobID
	}
	g.nothingLent(t, last)
	g.blocksLack(t, planted)
	require.NoError(t, g.net.Down(t.Context()))
	g.filesLack(t, planted, filepath.Dir(g.work))
}

// withSecret is a job file that names the secret.
func (g *grid) withSecret(t *testing.T, j job) string {
	t.Helper()
	path := g.file(t, j)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("secrets: [{name: PASSWORD, path: db/password}]\n")
	require.NoError(t, errors.Join(err, f.Close()))
	return path
}

// digestIn is what the guest left in the only result.
func (g *grid) digestIn(t *testing.T, dir string) (text string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == "digest" {
			raw, readErr := os.ReadFile(path)
			text, err = string(raw), readErr
		}
		return err
	}))
	return text
}

// nothingLent asks the gateway as the node does, after the job's end.
func (g *grid) nothingLent(t *testing.T, id string) {
	t.Helper()
	p, err := profile.Load(g.net.ProviderHome())
	require.NoError(t, err)
	store, err := p.OpenSecrets(g.net.ProviderHome(), nil)
	require.NoError(t, err)
	key, err := store.TransportKey(t.Context(), "agent")
	require.NoError(t, err)
	client, err := gwclient.New(p.Gateway, nil)
	require.NoError(t, err)
	issued, err := client.NodeLogin(t.Context(), g.node, key)
	require.NoError(t, err)
	slice := g.slices(t, id)[0]
	err = client.Call(t.Context(), issued.Secret, http.MethodPost, fmt.Sprintf("/v1/jobs/%s/slices/%d/attempts/%d/secrets", id, slice.Number, slice.Attempt), nil, nil)
	var refused *gwclient.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusForbidden, refused.Status)
}

// blocksLack looks at all that the chain's blocks say, transactions and their events.
func (g *grid) blocksLack(t *testing.T, text string) {
	t.Helper()
	to, err := g.chain.Height(t.Context())
	require.NoError(t, err)
	blocks := 0
	for height := int64(1); height <= to; height++ {
		for _, what := range []string{"block", "block_results"} {
			resp, err := http.Get(fmt.Sprintf("http://%s/%s?height=%d", g.net.State().Validators[0].Address, what, height))
			require.NoError(t, err)
			var body bytes.Buffer
			_, err = body.ReadFrom(resp.Body)
			require.NoError(t, errors.Join(err, resp.Body.Close()))
			require.Equal(t, http.StatusOK, resp.StatusCode)
			lackIn(t, body.Bytes(), text, what)
		}
		blocks++
	}
	require.NotZero(t, blocks)
}

// lackIn looks for a text as it is and in base64 at each offset.
func lackIn(t *testing.T, raw []byte, text, where string) {
	t.Helper()
	for _, form := range forms(text) {
		require.False(t, bytes.Contains(raw, []byte(form)), "%s has the secret", where)
	}
}

// forms are a text, and its base64 wherever it begins in what is encoded.
func forms(text string) []string {
	all := []string{text}
	for skip := range 3 {
		whole := base64.RawStdEncoding.EncodeToString([]byte(text[skip:]))
		all = append(all, whole[:len(whole)-4])
	}
	return all
}

// filesLack looks into every file below a folder.
func (g *grid) filesLack(t *testing.T, text, dir string) {
	t.Helper()
	logs, files := 0, 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || path == filepath.Join(g.work, "value") {
			return err
		}
		raw, err := os.ReadFile(path)
		lackIn(t, raw, text, path)
		files++
		if strings.HasSuffix(path, ".log") {
			logs++
		}
		return err
	}))
	require.NotZero(t, logs)
	t.Logf("looked into %d files, %d of them logs", files, logs)
}
