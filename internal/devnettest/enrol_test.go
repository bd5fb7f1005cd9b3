package devnettest

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/gateway"
)

// TestEnrolment: a real agent gets a certificate of a real gateway by its key on chain, and loses it when its owner retires the node.
func TestEnrolment(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: the real programs on a real devnet, which takes minutes")
	}
	g := newGrid(t, devnet.Options{Validators: 1, Oracles: 1})
	home := filepath.Join(t.TempDir(), "gateway")
	copyHome(t, home, g.net.DeveloperHome())
	run := g.command(home, "--output", "text", "gateway", "run", "--listen", "127.0.0.1:0", "--enrol", "--machines", "127.0.0.1:0")
	out, err := run.StdoutPipe()
	require.NoError(t, err)
	lines := follow(t, run, out)
	url := awaitLine(t, lines, `^gateway at (\S+),`)
	door := awaitLine(t, lines, `at (https://\S+)$`)

	var registered struct {
		NodeID string `json:"node_id"`
	}
	g.run(t, g.net.ProviderHome(), &registered, registration("enrols", "100FOG")...)
	g.node = registered.NodeID
	agent := g.command(g.net.ProviderHome(), "agent", "run", "--enrol", url, "--gateway", door)
	log, err := agent.StderrPipe()
	require.NoError(t, err)
	require.Equal(t, "fog://node/"+g.node, awaitLine(t, follow(t, agent, log), `msg="the certificate is new" identity=(\S+)`))
	require.Empty(t, revoked(t, url))

	// What the doctor says of the door, and of the oracle that the chain lists.
	g.run(t, home, nil, "cert", "trust", "--out", home)
	g.run(t, home, nil, "cert", "server", "--identity", "fog://oracle/test", "--host", "oracle.example", "--out", home)
	path := func(name string) string { return filepath.Join(home, name) }
	var seen struct {
		Endpoints []struct{ Endpoint string } `json:"endpoints"`
		Errors    int                         `json:"errors"`
		Warnings  int                         `json:"warnings"`
	}
	g.run(t, home, &seen, "doctor", "tls", "--demand", "--oracles", "--patience", "60s", "--tls-ca", path("ca.pem"), "--tls-cert", path("cert.pem"), "--tls-key", path("key.pem"),
		"--crl", path("crl.pem"), door)
	require.Len(t, seen.Endpoints, 3, "the door, the oracle, the list")
	require.Zero(t, seen.Errors+seen.Warnings, "%+v", seen)

	g.run(t, g.net.ProviderHome(), nil, "node", "retire", g.node)
	from := time.Now()
	until(t, "the certificate to be revoked", func() bool { return len(revoked(t, url)) == 1 })
	t.Logf("revoked %s after the node was retired", time.Since(from).Round(time.Millisecond))
}

// revoked is the list that the gateway publishes.
func revoked(t *testing.T, url string) []x509.RevocationListEntry {
	t.Helper()
	resp, err := http.Get(url + "/v1/trust")
	require.NoError(t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	var trust gateway.TrustList
	require.NoError(t, json.Unmarshal(raw, &trust), "%s", raw)
	block, _ := pem.Decode([]byte(trust.Revoked))
	require.NotNil(t, block)
	list, err := x509.ParseRevocationList(block.Bytes)
	require.NoError(t, err)
	return list.RevokedCertificateEntries
}

// follow starts a command, ends it with the test, and returns its lines.
func follow(t *testing.T, cmd *exec.Cmd, out io.Reader) <-chan string {
	t.Helper()
	require.NoError(t, cmd.Start())
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case lines <- s.Text():
			default: // nobody waits for what follows
			}
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		require.Error(t, cmd.Wait())
	})
	return lines
}

// awaitLine waits for a line that matches, and returns the pattern's group.
func awaitLine(t *testing.T, lines <-chan string, pattern string) string {
	t.Helper()
	form, late := regexp.MustCompile(pattern), time.After(patience)
	for {
		select {
		case line, open := <-lines:
			if m := form.FindStringSubmatch(line); m != nil {
				return m[1]
			}
			require.True(t, open, "the program ended without a line like %s", pattern)
			t.Log(line)
		case <-late:
			t.Fatalf("no line like %s", pattern)
		}
	}
}
