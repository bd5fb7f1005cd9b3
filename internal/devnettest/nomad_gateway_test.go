package devnettest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/nomadtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// TestNomadGateway: on a grid with a gateway, a stand-in for Nomad downloads and pulls what it runs by the tickets of the attempts.
func TestNomadGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: the real programs on a real devnet, which takes minutes")
	}
	program := "registry.test/fog-runner@sha256:" + strings.Repeat("0", 64)
	server := nomadtest.New(t, nomadtest.Options{
		Region: nomadRegion, Image: program, MHz: 10_000, Cores: 4, MemoryMiB: 16_384, Cache: t.TempDir(),
		Pull: func(ref, user, password string) bool {
			status, err := pullManifest(ref, user, password)
			t.Logf("pull of %s by %s: %d %v", ref, user, status, err)
			return err == nil && status == http.StatusOK
		},
		Container: succeed,
	})
	g := newGrid(t, devnet.Options{
		Validators: 1, Oracles: 4, Gateway: true, GatewayArgs: []string{"--nomad-jwks", nomadRegion + "=" + server.URL},
		OracleArgs: func(context.Context, *devnet.Devnet) ([]string, error) {
			return []string{nomadFlag, "nomad", "--nomad-addr", nomadRegion + "=" + server.URL, "--nomad-runner", program}, nil
		},
	})
	g.registerOnNomad(t, nomadRegion, func(node string) { server.Serve(node) })
	g.pullsByTicket(t, false)
	require.Equal(t, 2, server.Registrations())
	g.secretsOnNomad(t, false)
	require.NoError(t, g.net.Down(t.Context()))
	g.filesLack(t, filepath.Dir(g.work), g.secret())
}

// registerOnNomad registers the node for a region, and has a client there serve it.
func (g *grid) registerOnNomad(t *testing.T, region string, serve func(node string)) {
	t.Helper()
	var out struct {
		NodeID string `json:"node_id"`
	}
	g.run(t, g.net.ProviderHome(), &out, append(registration("test", "100FOG"), "--nomad-region", region)...)
	g.node = out.NodeID
	serve(g.node)
	require.NoError(t, g.net.StartAgent(t.Context(), nomadFlag, "nomad"))
	g.active(t)
}

// pullsByTicket runs a module and a container with inputs, and looks at what they read; contained says that the containers are real.
func (g *grid) pullsByTicket(t *testing.T, contained bool) {
	t.Helper()
	build(t, filepath.Join(g.work, "guest.wasm"), guestPackage, "GOOS=wasip1", "GOARCH=wasm")
	guest, err := filepath.Abs(filepath.Join("..", "..", "offchain", "dispatch", "dispatchtest", "testdata", "guest"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(g.work, "words.txt"), []byte("brought by a ticket"), 0o600))
	for _, j := range []job{
		{name: "module", module: "guest.wasm", args: "report", cap: "5FOG", deadline: 3600},
		{name: "container", image: guest, args: "report", cap: "5FOG", deadline: 3600},
	} {
		path := g.file(t, j)
		appendTo(t, path, "inputs: [words.txt]\n")
		var out struct {
			JobID string `json:"job_id"`
		}
		g.developer(t, &out, "job", "submit", path)
		g.developer(t, nil, "job", "watch", "--results", out.JobID)
		results := filepath.Join(g.work, "results", out.JobID)
		g.developer(t, nil, "job", "result", out.JobID, "-o", results, "--accept")
		require.Equal(t, jobstypes.CLOSE_REASON_COMPLETED, g.job(t, out.JobID).CloseReason)
		for _, s := range g.slices(t, out.JobID) {
			require.EqualValues(t, 1, s.Attempt)
		}
		if j.image != "" && !contained {
			continue
		}
		report, err := os.ReadFile(filepath.Join(results, "0", "sub", "report.txt"))
		require.NoError(t, err)
		require.Contains(t, string(report), `/in/words.txt "brought by a ticket"`)
	}
}

const guestPackage = "github.com/foggrid/fogd/offchain/dispatch/dispatchtest/testdata/guest"

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(raw, text...), 0o600))
}

// succeed stands for a container that ends well.
func succeed(_ context.Context, o runner.Order, shared string) int {
	now := time.Now().UTC()
	outcome, err := json.Marshal(dispatch.TaskOutcome{
		Task: o.FirstTask, Reason: dispatch.ReasonOK, Result: artifact.EmptyDigest, ResultSize: 1024, Started: now, Finished: now,
	})
	if err != nil || os.MkdirAll(filepath.Join(shared, "fog"), 0o755) != nil {
		return runner.ExitFailed
	}
	for name, content := range map[string][]byte{runner.LogFile: nil, runner.OutcomeFile: outcome} {
		if err := os.WriteFile(filepath.Join(shared, name), content, 0o644); err != nil {
			return runner.ExitFailed
		}
	}
	return 0
}

var imageName = regexp.MustCompile(`^([^/]+)/(.+)@(sha256:[0-9a-f]{64})$`)

// pullManifest asks for an image as an engine does: the registry says where tokens are, the token service gets user and password.
func pullManifest(ref, user, password string) (int, error) {
	name := imageName.FindStringSubmatch(ref)
	if name == nil {
		return 0, fmt.Errorf("%q is no image by digest", ref)
	}
	target := "http://" + name[1] + "/v2/" + name[2] + "/manifests/" + name[3]
	ask := func(target, authorization string, into any) (int, http.Header, error) {
		req, err := http.NewRequest(http.MethodGet, target, nil)
		if err != nil {
			return 0, nil, err
		}
		req.Header.Set("Authorization", authorization)
		req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		if into != nil {
			err = json.NewDecoder(resp.Body).Decode(into)
		}
		return resp.StatusCode, resp.Header, err
	}
	status, header, err := ask(target, "", nil)
	if err != nil || status != http.StatusUnauthorized {
		return status, fmt.Errorf("without a token: %d %w", status, err)
	}
	fields := map[string]string{}
	for _, m := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(header.Get("WWW-Authenticate"), -1) {
		fields[m[1]] = m[2]
	}
	var token struct {
		Token string `json:"token"`
	}
	query := url.Values{"service": {fields["service"]}, "scope": {fields["scope"]}, "account": {user}}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	if status, _, err = ask(fields["realm"]+"?"+query.Encode(), basic, &token); err != nil || status != http.StatusOK {
		return status, fmt.Errorf("token service: %d %w", status, err)
	}
	status, _, err = ask(target, "Bearer "+token.Token, nil)
	return status, err
}
