package nomadclient

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/handover"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const patience = time.Minute

// fake stands in for the nomad program: it writes down how it was called. As an agent it ends at once while the file "crash" is there,
// and else runs until it is interrupted.
const fake = `#!/bin/sh
dir=$(dirname "$0")
echo "$* addr=$NOMAD_ADDR token=$NOMAD_TOKEN intro=$NOMAD_CLIENT_INTRO_TOKEN" >> "$dir/calls"
[ "$1" = agent ] || { [ ! -e "$dir/refuse" ] || { echo refused; exit 1; }; exit 0; }
if [ -e "$dir/crash" ]; then rm "$dir/crash"; exit 3; fi
trap 'echo interrupted >> "$dir/calls"; exit 0' INT
while :; do sleep 0.05; done
`

type scene struct {
	t    *testing.T
	dir  string
	opts Options
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, dir: t.TempDir()}
	s.write("nomad", fake, 0o700)
	s.write("intro", "let-me-in\n", 0o600)
	s.opts = Options{
		Program: filepath.Join(s.dir, "nomad"), Dir: filepath.Join(s.dir, "client"), Node: "node1one", Servers: []string{"10.0.0.1:4647"},
		Place: handover.Place{Region: "eu", Datacenter: "fra", Pool: "edge", Class: "pc"}, IntroToken: filepath.Join(s.dir, "intro"), Token: "secret",
		ReservedMiB: 512, RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
	return s
}

func (s *scene) write(name, content string, mode os.FileMode) {
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(content), mode))
}

func (s *scene) calls(prefix string) (list []string) {
	raw, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(s.t, err)
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, prefix) {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

func (s *scene) eventually(what string, ok func() bool) {
	s.t.Helper()
	require.Eventually(s.t, ok, patience, 10*time.Millisecond, what)
}

// run runs a client until the returned function is called.
func (s *scene) run() (*Client, func()) {
	c, err := New(s.opts)
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop := func() {
		cancel()
		select {
		case err := <-ended:
			require.ErrorIs(s.t, err, context.Canceled)
		case <-time.After(patience):
			s.t.Error("the client does not stop")
		}
	}
	return c, stop
}

func TestStartsAgainAndStops(t *testing.T) {
	s := newScene(t)
	s.write("crash", "", 0o600)
	_, stop := s.run()
	s.eventually("it is started again", func() bool { return len(s.calls("agent -config")) == 2 })
	require.Contains(t, s.calls("agent")[0], "intro=let-me-in")
	time.Sleep(200 * time.Millisecond) // until it can be interrupted
	stop()
	require.Len(t, s.calls("interrupted"), 1)
	require.Len(t, s.calls("agent"), 2)
}

func TestFollowsDrains(t *testing.T) {
	s := newScene(t)
	s.write("refuse", "", 0o600)
	c, stop := s.run()
	defer stop()
	on, off := "node drain -self -yes -detach -enable -no-deadline", "node drain -self -yes -disable"
	c.Follow(nodestypes.Node{Status: nodestypes.NODE_STATUS_ACTIVE})
	c.Follow(nodestypes.Node{Status: nodestypes.NODE_STATUS_DRAINING})
	s.eventually("it is tried again", func() bool { return len(s.calls(on)) > 2 })
	require.NoError(t, os.Remove(filepath.Join(s.dir, "refuse")))
	c.Follow(nodestypes.Node{Status: nodestypes.NODE_STATUS_DRAINING})
	c.Follow(nodestypes.Node{Status: nodestypes.NODE_STATUS_INACTIVE, Draining: true})
	before := len(s.calls(off))
	c.Follow(nodestypes.Node{Status: nodestypes.NODE_STATUS_ACTIVE})
	s.eventually("it is taken back", func() bool { return len(s.calls(off)) > before })
	require.Contains(t, s.calls(off)[before], "addr=http://127.0.0.1:4656 token=secret")
}

func TestConfig(t *testing.T) {
	s := newScene(t)
	s.opts.CA, s.opts.Cert, s.opts.Key, s.opts.Interface = "ca.pem", "cert.pem", "key.pem", "lo"
	c, err := New(s.opts)
	require.NoError(t, err)
	raw, err := os.ReadFile(c.file)
	require.NoError(t, err)
	info, err := os.Stat(c.file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NotContains(t, string(raw), "let-me-in", "the token is in no file of ours")
	var got struct {
		Name, Region, Datacenter string
		Client                   struct {
			Enabled   bool
			Servers   []string
			NodePool  string `json:"node_pool"`
			NodeClass string `json:"node_class"`
			Meta      map[string]string
			Reserved  map[string]int
		}
		TLS map[string]any
	}
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, []string{"node1one", "eu", "fra", "edge", "pc"}, []string{got.Name, got.Region, got.Datacenter, got.Client.NodePool, got.Client.NodeClass})
	require.Equal(t, map[string]string{"fog_node": "node1one"}, got.Client.Meta)
	require.Equal(t, 512, got.Client.Reserved["memory"])
	require.Equal(t, true, got.TLS["verify_server_hostname"])
	require.Contains(t, string(raw), `"allow_privileged": false`)

	s.opts.ReservedCores = "2-7"
	c, err = New(s.opts)
	require.NoError(t, err)
	raw, err = os.ReadFile(c.file)
	require.NoError(t, err)
	require.Regexp(t, `"reserved": \{\s+"cores": "2-7",\s+"memory": 512\s+\}`, string(raw))

	for name, change := range map[string]func(*Options){
		"--nomad-server":      func(o *Options) { o.Servers = nil },
		"write host:4647":     func(o *Options) { o.Servers = []string{"10.0.0.1"} },
		"go together":         func(o *Options) { o.Key = "" },
		"registered with":     func(o *Options) { o.Place.Region = "" },
		"intro token":         func(o *Options) { o.IntroToken = "none" },
		"--nomad-program":     func(o *Options) { o.Program = filepath.Join(s.dir, "none") },
		"write host:port":     func(o *Options) { o.HTTP = "4656" },
		"no folder":           func(o *Options) { o.Dir = "" },
		"make its folder: mk": func(o *Options) { o.Dir = filepath.Join(s.dir, "nomad", "x") },
	} {
		opts := s.opts
		change(&opts)
		_, err := New(opts)
		require.ErrorContains(t, err, name)
	}
}

// TestPlugin runs what was written as a client does: without any environment.
func TestPlugin(t *testing.T) {
	s := newScene(t)
	s.write("it's a plugin", "#!/bin/sh\necho \"$# $1 $2 $3 $DHV_OPERATION\"\n", 0o700)
	s.opts.VolumePlugin = []string{filepath.Join(s.dir, "it's a plugin"), "--home", "/a b"}
	for range 2 {
		_, err := New(s.opts)
		require.NoError(t, err)
		dir := filepath.Join(s.opts.Dir, "data", "host_volume_plugins")
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		cmd := exec.Command(filepath.Join(dir, "fog"), "create")
		cmd.Env = []string{"DHV_OPERATION=create"}
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, "2 --home /a b  create\n", string(out))
	}
	s.opts.VolumePlugin = nil
	_, err := New(s.opts)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(s.opts.Dir, "data/host_volume_plugins/fog"), "a client does not start without the plugin of its volumes")
}

// TestNomadTakesTheConfig has a real Nomad check the configuration, if there is one.
func TestNomadTakesTheConfig(t *testing.T) {
	nomad, err := exec.LookPath("nomad")
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: there is no nomad on PATH ***\n\n", t.Name())
		t.Skip("no nomad")
	}
	s := newScene(t)
	c, err := New(s.opts)
	require.NoError(t, err)
	out, err := exec.Command(nomad, "config", "validate", c.file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "Configuration is valid")
}

func TestUnit(t *testing.T) {
	u := Unit{
		Program: "/usr/bin/fog", Args: []string{"agent", "run", "--home", `/srv/a b`, "--log-level", `100%"$x\`}, User: "fog",
		Environment: []string{"/etc/fog/env"},
	}
	text := u.String()
	require.Contains(t, text, `ExecStart="/usr/bin/fog" "agent" "run" "--home" "/srv/a b" "--log-level" "100%%\"$$x\\"`+"\n")
	require.Contains(t, text, "User=fog\nEnvironmentFile=/etc/fog/env\n")
	require.NotContains(t, Unit{Program: "fog"}.String(), "User=")
}
