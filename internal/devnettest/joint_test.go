package devnettest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/devnet"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// machine is an agent with a home, and so a key, of its own; all of them are the provider's.
type machine struct {
	*grid
	home  string
	cores int
	agent *exec.Cmd
	node  string
}

// timedVariable is set where nothing else runs, so that tests which depend on how fast the machine is can run.
const timedVariable = "FOG_TEST_TIMED"

// TestJointBenchmark: the provider has two nodes on this machine. Those that declare half of it each become ACTIVE; of those that declare all of it each,
// which one alone can show, at least one is found out when they are benchmarked together.
func TestJointBenchmark(t *testing.T) {
	if os.Getenv(timedVariable) == "" {
		t.Skip("NOT TESTED: what is measured here decides, and other tests run at the same time; `make test-joint` runs it by itself")
	}
	cores := runtime.NumCPU()
	if cores < 2 {
		t.Skip("NOT TESTED: two nodes cannot have half of one core each")
	}
	g := newGrid(t, devnet.Options{
		Validators: 1, Oracles: 2,
		NodesParams: func(p *nodestypes.Params) { p.MaxBenchmarkTries = 2 },
	})
	for _, s := range g.net.Status() {
		if s.Running {
			favour(t, s.PID, gridNice)
		}
	}
	template := filepath.Join(t.TempDir(), "template")
	copyHome(t, template, g.net.ProviderHome())
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"two nodes with half of the machine each", func(t *testing.T) { g.honestPair(t, template, cores/2) }},
		{"two nodes with all of the machine each", func(t *testing.T) { g.lyingPair(t, template, cores) }},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// copyHome keeps others out of the copy too, as the secrets insist on.
func copyHome(t *testing.T, to, from string) {
	t.Helper()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	require.NoError(t, filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	}))
}

// Both agents come before whatever else runs on the machine, and the grid that measures them before the agents, so that what is measured is what they
// do to each other.
const agentNice, gridNice = -15, -20

// favour gives a session's processes the machine before others, where this user may.
func favour(t *testing.T, pid, nice int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte(strconv.Itoa(nice)), 0); err != nil {
		t.Logf("the benchmarks are at the mercy of what else runs here: %v", err)
	}
}

// favoured starts a command in a session of its own.
func favoured(t *testing.T, cmd *exec.Cmd, nice int) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, cmd.Start())
	favour(t, cmd.Process.Pid, nice)
}

// machine makes one with a number of cores, as if it had no others, registers it and starts its agent.
func (g *grid) machine(t *testing.T, template, salt string, cores int, headroom string) *machine {
	t.Helper()
	m := &machine{grid: g, home: filepath.Join(t.TempDir(), salt), cores: cores}
	copyHome(t, m.home, template)
	register := g.command(m.home, append(registration(salt, "100FOG"), "--memory", "256MiB", "--headroom", headroom)...)
	var out bytes.Buffer
	register.Env = append(register.Env, fmt.Sprint("GOMAXPROCS=", cores))
	register.Stdout, register.Stderr = &out, os.Stderr
	favoured(t, register, agentNice)
	require.NoError(t, register.Wait())
	var registered struct {
		NodeID string `json:"node_id"`
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &registered))
	m.node = registered.NodeID

	log, err := os.Create(m.home + ".log")
	require.NoError(t, err)
	m.agent = g.command(m.home, "agent", "run", "--dispatcher", "direct")
	m.agent.Env, m.agent.Stdout, m.agent.Stderr = append(m.agent.Env, fmt.Sprint("GOMAXPROCS=", cores)), log, log
	favoured(t, m.agent, agentNice)
	t.Cleanup(func() {
		require.NoError(t, m.agent.Process.Kill())
		require.Error(t, m.agent.Wait())
		require.NoError(t, log.Close())
		if t.Failed() {
			raw, err := os.ReadFile(log.Name())
			require.NoError(t, err)
			t.Logf("the end of the log of %s:\n%s", salt, raw[max(0, len(raw)-4000):])
		}
	})
	return m
}

func (m *machine) now(t *testing.T) nodestypes.Node {
	t.Helper()
	resp, err := nodestypes.NewQueryClient(m.chain.Latest()).Node(t.Context(), &nodestypes.QueryNodeRequest{Id: m.node})
	require.NoError(t, err)
	return resp.Node
}

// together waits until both are in one joint benchmark.
func together(t *testing.T, one, two *machine) {
	t.Helper()
	until(t, "a joint benchmark", func() bool {
		a, b := one.now(t), two.now(t)
		return a.BenchmarkStart != 0 && a.BenchmarkStart == b.BenchmarkStart
	})
}

// honestPair registers two nodes and retires them when both have shown together what they declare.
func (g *grid) honestPair(t *testing.T, template string, cores int) {
	one := g.machine(t, template, "half-one", cores, "60")
	two := g.machine(t, template, "half-two", cores, "60")
	together(t, one, two)
	until(t, "both to be ACTIVE", func() bool {
		return one.now(t).Status == nodestypes.NODE_STATUS_ACTIVE && two.now(t).Status == nodestypes.NODE_STATUS_ACTIVE
	})
	for _, m := range []*machine{one, two} {
		node := m.now(t)
		require.Zero(t, node.BenchmarkTries, "it fell short once")
		t.Logf("%d cores: declared %d, measured beside the other %d on all cores", cores, node.Declared.CpuAll, node.Measured.CpuAll)
		g.run(t, m.home, nil, "node", "retire", m.node)
	}
}

// lyingPair shows that one is as good as it says while it is alone, and that not both are.
func (g *grid) lyingPair(t *testing.T, template string, cores int) {
	one := g.machine(t, template, "all-one", cores, "5")
	until(t, "the first to be ACTIVE", func() bool {
		node := one.now(t)
		require.True(t, node.Status.Live(), "alone the machine must be what it says; it was busier than when it was registered")
		return node.Status == nodestypes.NODE_STATUS_ACTIVE
	})
	alone := one.now(t)
	t.Logf("%d cores: declared %d, measured alone %d on all cores", cores, alone.Declared.CpuAll, alone.Measured.CpuAll)
	two := g.machine(t, template, "all-two", cores, "5")
	together(t, one, two)
	short := func(m *machine) bool {
		node := m.now(t)
		return node.BenchmarkTries > 0 || node.Condemned || node.Status == nodestypes.NODE_STATUS_REFUSED
	}
	until(t, "one to fall short", func() bool { return short(one) || short(two) })
	for _, m := range []*machine{one, two} {
		t.Logf("declared %d, measured beside the other %d on all cores", m.now(t).Declared.CpuAll, m.now(t).Measured.CpuAll)
	}
	until(t, "one to be found out", func() bool {
		return one.now(t).Condemned || two.now(t).Condemned || two.now(t).Status == nodestypes.NODE_STATUS_REFUSED
	})
}
