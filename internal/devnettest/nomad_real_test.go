//go:build linux

package devnettest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// realNomad starts a server with a client on the loopback, without ACLs, and with the plugin for volumes, or skips the test and says so loudly.
func realNomad(t *testing.T) (region nomad.Region, dir string) {
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
	var err error
	dir, err = os.MkdirTemp("", "nomad-") // short, for the sockets in it
	require.NoError(t, err)
	var ports [3]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ports[i] = l.Addr().(*net.TCPAddr).Port
		require.NoError(t, l.Close())
	}
	config := filepath.Join(dir, "nomad.hcl")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
data_dir = %q
bind_addr = "127.0.0.1"
advertise {
  http = "127.0.0.1"
  rpc = "127.0.0.1"
  serf = "127.0.0.1"
}
ports {
  http = %d
  rpc = %d
  serf = %d
}
disable_update_check = true
server {
  enabled = true
  bootstrap_expect = 1
}
client {
  enabled = true
  servers = ["127.0.0.1:%d"]
  network_interface = "lo"
  gc_disk_usage_threshold = 99
  options {
    "driver.allowlist" = "docker"
    "fingerprint.denylist" = "env_aws,env_azure,env_digitalocean,env_gce,consul,vault"
  }
}
`, filepath.Join(dir, "data"), ports[0], ports[1], ports[2], ports[1]), 0o600))
	installPlugin(t, dir)
	log, err := os.Create(filepath.Join(dir, "nomad.log"))
	require.NoError(t, err)
	cmd := exec.Command("nomad", "agent", "-config", config)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { endNomad(t, cmd, log, dir) })
	r := nomad.Region{Name: "global", Address: fmt.Sprintf("http://127.0.0.1:%d", ports[0])}
	until(t, "Nomad's client to have Docker", func() bool {
		out, err := exec.Command("nomad", "node", "status", "-address", r.Address, "-self", "-json").Output()
		var node struct {
			Status  string
			Drivers map[string]struct{ Healthy bool }
		}
		return err == nil && json.Unmarshal(out, &node) == nil && node.Status == "ready" && node.Drivers["docker"].Healthy
	})
	return r, dir
}

// endNomad ends the agent and takes away the folders that it leaves mounted.
func endNomad(t *testing.T, cmd *exec.Cmd, log *os.File, dir string) {
	if t.Failed() {
		if raw, err := os.ReadFile(log.Name()); err == nil {
			t.Logf("the end of Nomad's log:\n%s", raw[max(0, len(raw)-4000):])
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	require.Error(t, cmd.Wait())
	require.NoError(t, log.Close())
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.HasPrefix(fields[1], dir+"/") {
			require.NoError(t, syscall.Unmount(fields[1], 0))
		}
	}
	giveBack(t, dir)
	require.NoError(t, os.RemoveAll(dir))
}

// realGrid is a grid whose oracles have the region, without or with a gateway.
func realGrid(t *testing.T, region nomad.Region, gateway bool) *grid {
	runner := filepath.Join(t.TempDir(), "fog-runner")
	build(t, runner, "github.com/foggrid/fogd/cmd/fog-runner", "CGO_ENABLED=0")
	fog := filepath.Join(programs(t), "fog")
	return newGrid(t, devnet.Options{
		Validators: 1, Oracles: 4, Gateway: gateway, GatewayArgs: []string{"--nomad-jwks", region.Name + "=" + region.Address},
		OracleArgs: func(_ context.Context, d *devnet.Devnet) ([]string, error) {
			push := exec.Command(fog, "--home", d.DeveloperHome(), "oracle", "push-runner", runner)
			push.Stderr = os.Stderr
			image, err := push.Output()
			return []string{nomadFlag, "nomad", "--nomad-addr", region.Address, "--nomad-runner", strings.TrimSpace(string(image))}, err
		},
	})
}

// TestRealNomadService: a service runs on a real Nomad from its submission to its end; it is reached, scaled, updated, watched by its owner, and paid.
func TestRealNomadService(t *testing.T) {
	region, dir := realNomad(t)
	e, err := docker.New(docker.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	if exec.Command("docker", "network", "inspect", nomad.ClosedNetwork).Run() != nil {
		require.NoError(t, e.ShareNetwork(t.Context(), nomad.ClosedNetwork, false))
		t.Cleanup(func() {
			if out, err := exec.Command("docker", "network", "rm", nomad.ClosedNetwork).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	h := &host{grid: realGrid(t, region, false), inside: 8080}
	h.left = func() (n int) {
		for port := range hostPorts {
			out, err := exec.Command("docker", "ps", "-q", "--filter", fmt.Sprintf("publish=%d", h.first+port)).Output()
			require.NoError(t, err)
			n += len(strings.Fields(string(out)))
		}
		return n
	}
	register := func(t *testing.T) {
		h.first = freePorts(t, hostPorts)
		var out struct {
			NodeID string `json:"node_id"`
		}
		h.run(t, h.net.ProviderHome(), &out, append(registration("host", "100FOG"), "--nomad-region", region.Name,
			"--address", "127.0.0.1", "--ports", fmt.Sprintf("%d-%d", h.first, h.first+hostPorts-1))...)
		h.node = out.NodeID
		require.NoError(t, nomad.Claim(t.Context(), region, h.node))
		require.NoError(t, h.net.StartAgent(t.Context(), nomadFlag, "nomad"))
		h.active(t)
		until(t, "the node's network to be graded", func() bool { return h.nodeNow(t).Grade != nodestypes.NETWORK_GRADE_UNSPECIFIED })
		h.before.provider = h.provider(t).Balance
	}
	watch := func(t *testing.T) {
		var used struct {
			Running bool   `json:"running"`
			Memory  uint64 `json:"memory_bytes"`
		}
		until(t, "the container's figures", func() bool {
			h.developer(t, &used, "job", "stats", h.id)
			return used.Running && used.Memory > 0
		})
	}
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a node with ports registers for Nomad", register},
		{"a service starts and is reached", h.start},
		{"its owner sees what it takes", watch},
		{"and what happened to it", h.tells},
		{"it is scaled to two", h.scale},
		{"it goes over to the next revision", h.update},
		{"its node is paid, and more money makes it last", h.pay},
		{"it ends, and nothing is left", h.end},
		{"a volume is kept over an update, and wiped with its service", func(t *testing.T) { h.keeps(t, dir) }},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// TestRealNomad: a node's tasks run in containers of a real Nomad, while oracles are killed, and are paid.
func TestRealNomad(t *testing.T) {
	region, _ := realNomad(t)
	g := realGrid(t, region, false)
	var out struct {
		NodeID string `json:"node_id"`
	}
	g.run(t, g.net.ProviderHome(), &out, append(registration("test", "100FOG"), "--nomad-region", region.Name)...)
	g.node = out.NodeID
	require.NoError(t, nomad.Claim(t.Context(), region, g.node))
	require.NoError(t, g.net.StartAgent(t.Context(), nomadFlag, "nomad"))
	g.active(t)

	id := g.submit(t, job{name: "pi", module: "pi.wasm", args: `"-samples", "1000"`, tasks: 4, cap: "5FOG", deadline: 3600})
	for i := range 4 {
		g.running(t, id)
		require.NoError(t, g.net.StopOracle(t.Context(), i, true))
		time.Sleep(time.Second) // so that the chain goes on without it for a while
		require.NoError(t, g.net.StartOracle(t.Context(), i))
	}
	g.developer(t, nil, "job", "watch", "--results", id)
	g.settle(t, id, filepath.Join(g.work, "results"))
	listed, err := exec.Command("nomad", "job", "status", "-address", region.Address).Output()
	require.NoError(t, err)
	require.Equal(t, len(g.slices(t, id)), strings.Count(string(listed), "fog-"+id), "jobs on Nomad:\n%s", listed)
}
