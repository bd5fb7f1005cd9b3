package devnettest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/internal/proctest"
)

// nomadByTLS has an oracle reach a real Nomad, and shows that the doctor finds nothing wrong with it, and what is wrong with one that lets everybody in. Both
// have certificates of the grid's authority.
func (g *grid) nomadByTLS(t *testing.T) {
	if _, err := exec.LookPath("nomad"); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s tries no Nomad: there is no nomad on PATH ***\n\n", t.Name())
		return
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	// Nomad's servers know each other by such a name.
	g.asGateway(t, "cert", "server", "--identity", "fog://gateway/"+g.net.State().ChainID, "--host", "server.global.nomad,localhost,127.0.0.1", "--out", dir)
	g.asGateway(t, "cert", "trust", "--out", dir)
	strict, loose := g.nomadServer(t, dir, true), g.nomadServer(t, dir, false)
	oracle := filepath.Join(g.tlsDir(), "oracle-0")
	show := []string{
		"doctor", "tls", "--demand", "--patience", "60s", "--tls-ca", path("ca.pem"), "--tls-cert", filepath.Join(oracle, "cert.pem"), "--tls-key", filepath.Join(oracle, "key.pem"),
		"--crl", path("crl.pem"), g.net.MachinesURL(), strict,
	}
	seen := g.doctor(t, 0, show...)
	require.Len(t, seen.Endpoints, 3, "the gateway's door, Nomad, the list")
	for _, e := range g.doctor(t, 1, append(show, loose)...).Endpoints {
		if e.Endpoint == loose {
			require.Equal(t, []string{"client certificate"}, e.errors())
		} else {
			require.Empty(t, e.errors(), e.Endpoint)
		}
	}

	require.NoError(t, g.net.StopOracle(t.Context(), 0, false))
	args := []string{nomadFlag, "nomad", "--nomad-addr", "global=" + strict, "--nomad-ca", path("ca.pem"), "--nomad-runner", "fog.invalid/runner@sha256:" + strings.Repeat("0", 64)}
	require.NoError(t, g.net.StartOracle(t.Context(), 0, args...))
	until(t, "Nomad to refuse the oracle without a certificate", func() bool {
		return strings.Contains(g.logOf(t, "oracle-0"), "a Nomad region cannot be asked")
	})
	require.NoError(t, g.net.StopOracle(t.Context(), 0, false))
	args = append(args, "--nomad-cert", filepath.Join(oracle, "cert.pem"), "--nomad-key", filepath.Join(oracle, "key.pem"))
	require.NoError(t, g.net.StartOracle(t.Context(), 0, args...))
	until(t, "the oracle to reach Nomad", func() bool { return strings.Contains(g.logOf(t, "oracle-0"), "msg=Nomad ") })
}

// nomadServer starts a server of Nomad without a client until the test ends.
func (g *grid) nomadServer(t *testing.T, certs string, demand bool) (url string) {
	t.Helper()
	dir := t.TempDir()
	var ports [3]string
	for i := range ports {
		ports[i] = strconv.Itoa(int(nginxtest.Port(t)))
	}
	config := filepath.Join(dir, "nomad.hcl")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
data_dir = %[1]q
bind_addr = "127.0.0.1"
log_file = %[7]q
advertise {
  http = "127.0.0.1"
  rpc = "127.0.0.1"
  serf = "127.0.0.1"
}
ports {
  http = %[2]s
  rpc = %[3]s
  serf = %[4]s
}
disable_update_check = true
server {
  enabled = true
  bootstrap_expect = 1
}
tls {
  http = true
  rpc = true
  ca_file = "%[5]s/ca.pem"
  cert_file = "%[5]s/cert.pem"
  key_file = "%[5]s/key.pem"
  verify_server_hostname = true
  verify_https_client = %[6]t
}
`, filepath.Join(dir, "data"), ports[0], ports[1], ports[2], certs, demand, filepath.Join(dir, "nomad.log")), 0o600))
	proctest.Follow(t, exec.Command("nomad", "agent", "-config", config), (*exec.Cmd).StdoutPipe).Await(t, "(cluster leadership acquired)")
	return "https://127.0.0.1:" + ports[0]
}
