package devnettest

import (
	"crypto/ed25519"
	"crypto/sha256"
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
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// planted is a secret of a job that is looked for wherever it must not be. It is put together here, so that this program, of which a stand-in makes copies, does
// not have it.
var planted = strings.Join([]string{"planted", "secret", "c41d7e90"}, "-")

// TestGateway runs jobs with a secret on a grid with a gateway, in a module and in a container, and jobs whose inputs and results are encrypted, and then
// looks for what must not be there in all that the grid keeps.
func TestGateway(t *testing.T) {
	g := newGrid(t, devnet.Options{Validators: 1, Oracles: 1, Gateway: true})
	g.register(t)
	g.encrypted(t, g.secretJobs(t))
	secret, key := g.secret(), plant{"a private key", []byte("AGE-SECRET-KEY-1"), nil}
	g.blocksLack(t, secret, key, plant{"what was encrypted", []byte(plantedSealed), nil})
	require.NoError(t, g.net.Down(t.Context()))
	g.filesLack(t, filepath.Dir(g.work), secret, key)
	require.Empty(t, g.holding(t, plantedSealed))
}

// secret is what the jobs are lent.
func (g *grid) secret() plant {
	return plant{"the secret of the jobs", []byte(planted), []string{g.value()}}
}

// value is the file from which the secret is put.
func (g *grid) value() string { return filepath.Join(g.work, "value") }

// secretJobs runs a module and, where a Docker Engine answers, a container that get the secret, and shows that nothing is lent after their end. It returns what
// the container is built of, if there was one.
func (g *grid) secretJobs(t *testing.T) (image string) {
	build(t, filepath.Join(g.work, "guest.wasm"), "github.com/foggrid/fogd/offchain/dispatch/dispatchtest/testdata/guest", "GOOS=wasip1", "GOARCH=wasm")
	require.NoError(t, os.WriteFile(g.value(), []byte(planted), 0o600))
	guest, err := filepath.Abs(filepath.Join("..", "..", "offchain", "dispatch", "dispatchtest", "testdata", "guest"))
	require.NoError(t, err)

	path := g.withSecret(t, job{name: "module", module: "guest.wasm", args: `secret, PASSWORD`, cap: "5FOG", deadline: 3600})
	g.refused(t, g.net.DeveloperHome(), []string{"fog secret put db/password"}, "job", "submit", path)
	g.developer(t, nil, "secret", "put", "db/password", "--file", g.value())
	paths := []string{path}
	if g.nodeNow(t).Runs(nodestypes.ENGINE_DOCKER) {
		image = guest
		paths = append(paths, g.withSecret(t, job{name: "container", image: guest, args: `secret, PASSWORD`, cap: "5FOG", deadline: 3600}))
	} else {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs a Docker Engine for a container with a secret ***\n\n", t.Name())
	}
	for _, path := range paths {
		id := g.send(t, path)
		g.secretArrived(t, id)
		g.lastJob = id
	}
	g.nothingLent(t, g.lastJob)
	return image
}

// send submits a job file.
func (g *grid) send(t *testing.T, path string) string {
	t.Helper()
	var out struct {
		JobID string `json:"job_id"`
	}
	g.developer(t, &out, "job", "submit", path)
	return out.JobID
}

// secretArrived waits for a job's result, which is the secret's digest.
func (g *grid) secretArrived(t *testing.T, id string) {
	t.Helper()
	g.developer(t, nil, "job", "watch", "--results", id)
	results := filepath.Join(g.work, "results", id)
	g.developer(t, nil, "job", "result", id, "-o", results, "--accept")
	require.Equal(t, fmt.Sprintf("%x\n", sha256.Sum256([]byte(planted))), g.digestIn(t, results), id)
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
	key := g.agentKey(t)
	client, err := gwclient.New(g.net.RegistryURL(), nil)
	require.NoError(t, err)
	issued, err := client.NodeLogin(t.Context(), g.node, key)
	require.NoError(t, err)
	slice := g.slices(t, id)[0]
	err = client.Call(t.Context(), issued.Secret, http.MethodPost, fmt.Sprintf("/v1/jobs/%s/slices/%d/attempts/%d/secrets", id, slice.Number, slice.Attempt), nil, nil)
	var refused *gwclient.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusForbidden, refused.Status)
}

// agentKey is that of the agent's links, wherever the provider's secrets are.
func (g *grid) agentKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	store, closeStore, err := g.net.OpenSecrets(t.Context(), g.net.ProviderHome())
	require.NoError(t, err)
	key, err := store.TransportKey(t.Context(), "agent")
	require.NoError(t, err)
	require.NoError(t, closeStore())
	return key
}
