package nomad_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/registry"
)

// cluster is a real Nomad server and client on the loopback, with ACLs and mutual TLS, and a registry with the runner image.
type cluster struct {
	*world
	dir   string
	ports struct{ http, rpc, serf, clientHTTP int }
	// server and client are their processes.
	server, client *exec.Cmd
	api            *api.Client
}

// realNomad starts a cluster, or skips the test and says so loudly.
func realNomad(t testing.TB) *cluster {
	t.Helper()
	return realNomadIn(t, testRegion, nil)
}

// realNomadIn starts one in a region. What a federation shares it gets from the cluster that it joins.
func realNomadIn(t testing.TB, region string, with *cluster) *cluster {
	t.Helper()
	why := ""
	if _, err := exec.LookPath("nomad"); err != nil {
		why = "there is no nomad on PATH"
	} else if out, err := exec.Command("docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput(); err != nil {
		why = "the docker daemon does not answer: " + string(out)
	} else if os.Geteuid() != 0 {
		why = "a Nomad client needs root"
	}
	if why != "" {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: not tested against a real Nomad, since %s ***\n\n", t.Name(), why)
		t.Skip(why)
	}
	c := &cluster{world: newWorld(t), dir: shortDir(t)}
	for _, p := range []*int{&c.ports.http, &c.ports.rpc, &c.ports.serf, &c.ports.clientHTTP} {
		*p = freePort(t)
	}
	if with == nil {
		c.certificates(t)
	} else {
		for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
			raw, err := os.ReadFile(with.file(name))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(c.file(name), raw, 0o600))
		}
	}
	c.region = nomad.Region{
		Name: region, Address: fmt.Sprintf("https://127.0.0.1:%d", c.ports.http),
		CACert: c.file("ca.pem"), ClientCert: c.file("cert.pem"), ClientKey: c.file("key.pem"),
	}
	c.configure(t)
	if with != nil {
		c.join(t, with)
	}
	t.Cleanup(func() { c.stop(t) })
	c.startServer(t)
	if with == nil {
		c.bootstrap(t)
	} else {
		c.region.Token = with.region.Token // global, as all that the region before it has of ACLs
		c.api.SetSecretID(c.region.Token)
		c.eventually(t, "the token to be known here", func() bool {
			_, _, err := c.api.ACLTokens().Self(nil)
			return err == nil
		})
	}
	c.startClient(t)
	c.awaitClient(t)
	c.image = nomad.Image{Ref: pushRunner(t)}
	c.images = newImages(t)
	c.taskDirs = func() []string {
		var all []string
		for _, folder := range []string{"run/local", "alloc"} { // of modules, and of images
			dirs, err := filepath.Glob(filepath.Join(c.dir, "client", "alloc", "*", folder))
			require.NoError(t, err)
			all = append(all, dirs...)
		}
		return all
	}
	c.namespace = func(t testing.TB, name string) {
		_, err := c.api.Namespaces().Register(&api.Namespace{Name: name}, nil)
		require.NoError(t, err)
	}
	return c
}

// shortDir is a temporary folder with a short name: Unix sockets below it must not be longer than 108 bytes.
func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "nomad-")
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

// certificates makes a CA and one certificate for all three sides.
func (c *cluster) certificates(t testing.TB) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caRaw, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	names := []string{"localhost"}
	for _, region := range []string{testRegion, "east", "west"} {
		names = append(names, "server."+region+".nomad", "client."+region+".nomad")
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "nomad"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	require.NoError(t, err)
	keyRaw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: caRaw}, "cert.pem": {Type: "CERTIFICATE", Bytes: raw}, "key.pem": {Type: "PRIVATE KEY", Bytes: keyRaw},
	} {
		require.NoError(t, os.WriteFile(c.file(name), pem.EncodeToMemory(block), 0o600))
	}
}

func (c *cluster) configure(t testing.TB) {
	common := fmt.Sprintf(`
region = "global"
datacenter = "dc1"
bind_addr = "127.0.0.1"
advertise {
  http = "127.0.0.1"
  rpc = "127.0.0.1"
  serf = "127.0.0.1"
}
disable_update_check = true
leave_on_interrupt = false
leave_on_terminate = false
acl { enabled = true }
tls {
  http = true
  rpc = true
  ca_file = %q
  cert_file = %q
  key_file = %q
  verify_server_hostname = true
  verify_https_client = true
}
`, c.file("ca.pem"), c.file("cert.pem"), c.file("key.pem"))
	server := common + fmt.Sprintf(`
name = "server1"
data_dir = %q
ports {
  http = %d
  rpc = %d
  serf = %d
}
server {
  enabled = true
  bootstrap_expect = 1
  heartbeat_grace = "3s"
  min_heartbeat_ttl = "3s"
}
`, c.file("server"), c.ports.http, c.ports.rpc, c.ports.serf)
	client := common + fmt.Sprintf(`
name = "client1"
data_dir = %q
ports { http = %d }
client {
  enabled = true
  servers = ["127.0.0.1:%d"]
  network_interface = "lo"
  gc_disk_usage_threshold = 99
  meta { fog_node = %q }
  host_volume "fog-cache" { path = %q }
  options {
    "driver.allowlist" = "docker"
    "fingerprint.denylist" = "env_aws,env_azure,env_digitalocean,env_gce,consul,vault"
  }
}
plugin "docker" {
  config {
    allow_caps = ["chown", "dac_override", "fowner", "kill", "setgid", "setpcap", "setuid"]
    gc { image = false }
  }
}
`, c.file("client"), c.ports.clientHTTP, c.ports.rpc, testNode, c.file("cache"))
	require.NoError(t, os.Mkdir(c.file("cache"), 0o700))
	require.NoError(t, os.Chown(c.file("cache"), 65534, 65534))
	require.NoError(t, os.WriteFile(c.file("server.hcl"), []byte(inRegion(server, c.region.Name)), 0o600))
	require.NoError(t, os.WriteFile(c.file("client.hcl"), []byte(inRegion(client, c.region.Name)), 0o600))
}

func (c *cluster) agent(t testing.TB, name string) *exec.Cmd {
	log, err := os.OpenFile(c.file(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close()
	cmd := exec.Command("nomad", "agent", "-config", c.file(name+".hcl"))
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	return cmd
}

func (c *cluster) startServer(t testing.TB) {
	c.server = c.agent(t, "server")
	client, err := api.NewClient(&api.Config{
		Address: c.region.Address, Region: c.region.Name, SecretID: c.region.Token,
		TLSConfig: &api.TLSConfig{CACert: c.region.CACert, ClientCert: c.region.ClientCert, ClientKey: c.region.ClientKey},
	})
	require.NoError(t, err)
	c.api = client
	c.eventually(t, "a leader", func() bool {
		leader, err := c.api.Status().Leader()
		return err == nil && leader != ""
	})
}

func (c *cluster) bootstrap(t testing.TB) {
	c.eventually(t, "ACLs", func() bool {
		token, _, err := c.api.ACLTokens().Bootstrap(nil)
		if err != nil {
			return false
		}
		c.region.Token = token.SecretID
		c.api.SetSecretID(token.SecretID)
		return true
	})
}

func (c *cluster) startClient(t testing.TB) { c.client = c.agent(t, "client") }

func (c *cluster) awaitClient(t testing.TB) {
	c.eventually(t, "a client with docker", func() bool {
		nodes, _, err := c.api.Nodes().List(nil)
		if err != nil || len(nodes) != 1 || nodes[0].Status != api.NodeStatusReady {
			return false
		}
		docker := nodes[0].Drivers["docker"]
		return docker != nil && docker.Healthy
	})
}

// eventually waits, and shows the agents' logs if that was in vain.
func (c *cluster) eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	for _, name := range []string{"server", "client"} {
		raw, err := os.ReadFile(c.file(name + ".log"))
		if err == nil {
			t.Logf("%s log:\n%s", name, raw[max(0, len(raw)-8000):])
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

// kill ends a process at once.
func kill(t testing.TB, cmd *exec.Cmd) {
	if cmd == nil || cmd.ProcessState != nil {
		return
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		t.Error(err)
	}
}

// stop ends everything, containers included.
func (c *cluster) stop(t testing.TB) {
	kill(t, c.client)
	kill(t, c.server)
	dirs, err := filepath.Glob(c.file("client/alloc/*"))
	require.NoError(t, err)
	for _, dir := range dirs {
		label := "label=com.hashicorp.nomad.alloc_id=" + filepath.Base(dir)
		ids, err := exec.Command("docker", "ps", "-aq", "--filter", label).Output()
		require.NoError(t, err)
		for _, id := range strings.Fields(string(ids)) {
			if out, err := exec.Command("docker", "rm", "-f", id).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	}
	c.unmount(t)
}

// unmount takes away the secrets folders that a killed client leaves mounted.
func (c *cluster) unmount(t testing.TB) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.HasPrefix(fields[1], c.dir+"/") {
			if err := syscall.Unmount(fields[1], 0); err != nil {
				t.Error(err)
			}
		}
	}
}

// containers are those of this cluster that run.
func (c *cluster) containers(t testing.TB) (ids []string) {
	dirs, err := filepath.Glob(c.file("client/alloc/*"))
	require.NoError(t, err)
	for _, dir := range dirs {
		out, err := exec.Command("docker", "ps", "-q", "--filter", "label=com.hashicorp.nomad.alloc_id="+filepath.Base(dir)).Output()
		require.NoError(t, err)
		ids = append(ids, strings.Fields(string(out))...)
	}
	return ids
}

// runnerImage is pushed once for all tests of the process.
var runnerImage = struct {
	sync.Once
	ref string
}{}

// pushRunner builds the runner, makes an image from scratch of it and pushes it to a registry on the loopback.
func pushRunner(t testing.TB) string {
	runnerImage.Do(func() {
		dir, err := os.MkdirTemp(sharedCache, "image-")
		require.NoError(t, err)
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "fog-runner"), "github.com/foggrid/fogd/cmd/fog-runner")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := build.CombinedOutput()
		require.NoError(t, err, "%s", out)
		reg, err := registry.Open(filepath.Join(dir, "registry"), registry.Options{})
		require.NoError(t, err)
		server := httptest.NewServer(reg)
		tag := strings.TrimPrefix(server.URL, "http://") + "/fog-runner:test"
		load := exec.Command("sh", "-c", `tar -C "$0" -c fog-runner | docker import -c 'ENTRYPOINT ["/fog-runner"]' - "$1" && docker push -q "$1" && docker inspect -f '{{index .RepoDigests 0}}' "$1" && docker rmi "$1" >/dev/null`, dir, tag)
		out, err = load.CombinedOutput()
		require.NoError(t, err, "%s", out)
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "@sha256:") {
				runnerImage.ref = strings.TrimSpace(line)
			}
		}
	})
	require.NotEmpty(t, runnerImage.ref)
	return runnerImage.ref
}

func (c *cluster) query(namespace string) *api.QueryOptions {
	return &api.QueryOptions{Namespace: namespace}
}
