package devnettest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/internal/proctest"
	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

// TestEnrolment: a real agent gets a certificate of a real gateway by its key on chain, and loses it when its owner retires the node, at the gateway's
// door and at a real nginx.
func TestEnrolment(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: the real programs on a real devnet, which takes minutes")
	}
	g := newGrid(t, devnet.Options{Validators: 1, Oracles: 1, Gateway: true})
	g.register(t)
	g.certified(t)
	g.revocation(t)
}

// certified waits until the agent has its certificate, and looks where the oracles go.
func (g *grid) certified(t *testing.T) {
	t.Helper()
	until(t, "the agent's certificate", func() bool {
		return strings.Contains(g.logOf(t, "agent"), `msg="the certificate is new" identity=fog://node/`+g.node)
	})
	for _, o := range g.net.State().Oracles {
		require.Contains(t, g.logOf(t, o.Name), "registry="+g.net.MachinesURL())
	}
}

func (g *grid) logOf(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(g.net.ProviderHome()), "logs", name+".log"))
	require.NoError(t, err)
	return string(raw)
}

// door is a place that demands certificates; refuses is what it answers to those that it does not let in, 0 for the end of the handshake or anything.
type door struct {
	name, url string
	refuses   int
}

// revocation retires the node and measures how long its certificate still opens the machines' door and an nginx that stands before the gateway, by
// new connections and by sessions that are taken up again.
func (g *grid) revocation(t *testing.T) {
	dir, client := t.TempDir(), g.enrolAgain(t)
	doors := []door{{"the gateway's own door", g.net.MachinesURL(), 0}}
	if url := g.proxy(t, dir); url != "" {
		doors = append(doors, door{"the gateway behind nginx", url, 0}, door{"nginx itself", url, http.StatusBadRequest})
	}
	cert, key := filepath.Join(dir, "node.pem"), filepath.Join(dir, "node-key.pem")
	writePair(t, client, cert, key)
	show := []string{"doctor", "tls", "--demand", "--patience", "60s", "--tls-ca", filepath.Join(g.tlsDir(), "ca.pem"), "--tls-cert", cert, "--tls-key", key}
	for _, d := range doors {
		if !slices.Contains(show, d.url) {
			show = append(show, d.url)
		}
	}
	require.Zero(t, g.doctor(t, 0, append(show, "--oracles")...).Errors)

	roots, err := mtls.Pool(filepath.Join(g.tlsDir(), "ca.pem"))
	require.NoError(t, err)
	again := &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{client}, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	fresh := again.Clone()
	fresh.ClientSessionCache = nil
	probes := map[string]*http.Client{}
	for name, config := range map[string]*tls.Config{"new connections": fresh, "sessions taken up again": again} {
		probes[name] = &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: patience}
	}
	for _, d := range doors {
		for name, c := range probes {
			require.True(t, letsIn(c, d), "%s, %s", d.name, name)
		}
	}

	from := time.Now()
	g.asProvider(t, nil, "node", "retire", g.node)
	told := time.Since(from)
	for _, d := range doors {
		for name, c := range probes {
			until(t, d.name+" to refuse the certificate", func() bool { return !letsIn(c, d) })
			took := time.Since(from)
			t.Logf("MEASURED: %s refused by %s %s after the node was told to retire, of which the transaction took %s",
				name, d.name, took.Round(100*time.Millisecond), told.Round(100*time.Millisecond))
			require.Less(t, took, time.Minute, "the requirement, of the whole way and on a busy machine")
		}
	}
	for _, e := range g.doctor(t, 1, show...).Endpoints {
		require.Equal(t, []string{"own certificate"}, e.errors(), e.Endpoint)
	}
	require.NoError(t, os.Remove(key), "the agent has it in no file")
}

// letsIn tells whether a door serves the client. nginx ends the handshake and then answers 400 to whom it does not let in, the gateway 403.
func letsIn(c *http.Client, d door) bool {
	resp, err := c.Get(d.url + "/healthz")
	if err != nil {
		return false
	}
	if err := resp.Body.Close(); err != nil {
		return false
	}
	if d.refuses != 0 {
		return resp.StatusCode != d.refuses
	}
	return resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusForbidden
}

func (g *grid) tlsDir() string { return filepath.Join(filepath.Dir(g.net.ProviderHome()), "tls") }

// enrolAgain enrols as the node once more, by the key of its agent.
func (g *grid) enrolAgain(t *testing.T) tls.Certificate {
	t.Helper()
	key := g.agentKey(t)
	client, err := gwclient.New(g.net.RegistryURL(), nil)
	require.NoError(t, err)
	chain, err := client.Enrolment(g.node, key).Issue(t.Context(), secrets.CertificateRequest{})
	require.NoError(t, err)
	return mtls.Pair(chain, key)
}

// proxy is a real nginx in front of the machines' door, with the configuration that `fog gateway nginx` prints and the list that `fog cert trust --keep`
// keeps fresh; "" without nginx.
func (g *grid) proxy(t *testing.T, dir string) (url string) {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s tries no proxy: there is no nginx on PATH ***\n\n", t.Name())
		return ""
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	g.asGateway(t, "cert", "server", "--identity", "fog://gateway/"+g.net.State().ChainID, "--host", "localhost", "--out", dir)
	g.asGateway(t, "cert", "trust", "--out", dir)
	var ports [3]string
	for i := range ports {
		ports[i] = strconv.Itoa(int(nginxtest.Port(t)))
	}
	conf, err := g.command(dir, "gateway", "nginx", "--host", "localhost", "--upstream", g.net.State().Registry.Address, "--certificate", path("cert.pem"),
		"--certificate-key", path("key.pem"), "--http-port", ports[0], "--https-port", ports[1],
		"--machines-port", ports[2], "--machines-upstream", strings.TrimPrefix(g.net.MachinesURL(), "https://"), "--machines-tls", dir).Output()
	require.NoError(t, err)
	server := nginxtest.Start(t, string(conf))
	require.NoError(t, g.net.Login(t.Context(), g.net.GatewayHome()))
	keep := g.command(g.net.GatewayHome(), "cert", "trust", "--keep", "--out", dir, "--run", strings.Join(server.Command("reload"), " "))
	proctest.Follow(t, keep, (*exec.Cmd).StderrPipe).Await(t, `(wrote the list of revoked certificates)`)
	return "https://localhost:" + ports[2]
}

// asGateway and asProvider call fog in a home whose secrets may be in Vault, where each command logs in by itself.
func (g *grid) asGateway(t *testing.T, args ...string) {
	t.Helper()
	require.NoError(t, g.net.Login(t.Context(), g.net.GatewayHome()))
	g.run(t, g.net.GatewayHome(), nil, args...)
}

func (g *grid) asProvider(t *testing.T, out any, args ...string) {
	t.Helper()
	require.NoError(t, g.net.Login(t.Context(), g.net.ProviderHome()))
	g.run(t, g.net.ProviderHome(), out, args...)
}

// diagnosis is what `fog doctor tls` says.
type diagnosis struct {
	Endpoints []endpoint `json:"endpoints"`
	Errors    int        `json:"errors"`
	Warnings  int        `json:"warnings"`
}

type endpoint struct {
	Endpoint string
	Findings []struct{ Check, Level, Found string }
}

func (e endpoint) errors() (checks []string) {
	for _, f := range e.Findings {
		if f.Level == "error" {
			checks = append(checks, f.Check)
		}
	}
	return checks
}

// doctor calls it, expecting an exit code.
func (g *grid) doctor(t *testing.T, code int, args ...string) (seen diagnosis) {
	t.Helper()
	cmd := g.command(g.net.DeveloperHome(), args...)
	raw, err := cmd.Output()
	require.NoError(t, json.Unmarshal(raw, &seen), "%v", err)
	require.Equal(t, code, cmd.ProcessState.ExitCode(), "%s", raw)
	return seen
}

func writePair(t *testing.T, pair tls.Certificate, cert, key string) {
	t.Helper()
	var chain []byte
	for _, der := range pair.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cert, chain, 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}
