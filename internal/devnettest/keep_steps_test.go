//go:build linux

package devnettest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// program is where the image that the job file builds has its program.
const program = "/task"

// inside runs a command in a service's container and returns what it wrote.
func (v *village) inside(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := v.command(v.net.DeveloperHome(), append([]string{"job", "exec", v.keeper.id, "--", program}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%q: %s", args, &stderr)
	return stdout.String()
}

// execLine is a line of an agent's audit record.
type execLine struct {
	What     string   `json:"what"`
	Owner    string   `json:"owner"`
	Job      string   `json:"job"`
	Args     []string `json:"args"`
	Failed   string   `json:"failed"`
	ExitCode *uint32  `json:"exit_code"`
}

// record reads the audit record of a home's agent.
func record(t *testing.T, home string) (lines []execLine) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(home, "agent", "exec.log"))
	require.NoError(t, err)
	for line := range bytes.Lines(raw) {
		var l execLine
		require.NoError(t, json.Unmarshal(line, &l))
		lines = append(lines, l)
	}
	return lines
}

func (v *village) exec(t *testing.T) {
	v.inside(t, "put", "/data/diary", "dear diary")
	require.Equal(t, "dear diary", v.inside(t, "get", "/data/diary"))
	v.refused(t, v.net.DeveloperHome(), []string{"exit code 7"}, "job", "exec", v.keeper.id, "--", program, "exit", "7")
	v.refused(t, v.neighbour.home, []string{"owner"}, "job", "exec", v.keeper.id, "--", program, "get", "/data/diary")
	v.refused(t, v.net.DeveloperHome(), []string{"exec: true"}, "job", "exec", v.web.id, "--", program, "exit", "0")

	var uses [][]string
	var codes []uint32
	for _, l := range record(t, v.net.ProviderHome()) {
		require.Equal(t, v.keeper.id, l.Job)
		require.NotEmpty(t, l.Owner)
		switch l.What {
		case "begin":
			uses = append(uses, l.Args[1:])
		case "end":
			require.NotNil(t, l.ExitCode, l.Failed)
			codes = append(codes, *l.ExitCode)
		default:
			t.Fatalf("the stranger came as far as the agent: %+v", l)
		}
	}
	require.Equal(t, [][]string{{"put", "/data/diary", "dear diary"}, {"get", "/data/diary"}, {"exit", "7"}}, uses)
	require.Equal(t, []uint32{0, 0, 7}, codes)
	refusals := record(t, v.neighbour.home)
	require.NotEmpty(t, refusals, "what the job does not allow is on record too")
	for _, l := range refusals {
		require.Equal(t, v.web.id, l.Job)
		require.Nil(t, l.ExitCode)
	}
	events, err := v.command(v.net.DeveloperHome(), "job", "events", v.keeper.id).Output()
	require.NoError(t, err)
	require.Equal(t, len(uses), bytes.Count(events, []byte(`"event":"exec"`)), "the owner sees them among the events:\n%s", events)
}

// containers counts what runs of a slice of the keeper.
func (v *village) containers(t *testing.T, slice uint32) int {
	t.Helper()
	label := fmt.Sprintf("label=io.foggrid.attempt=%s/s%d/a%d", v.keeper.id, slice, v.slices(t, v.keeper.id)[slice].Attempt)
	out, err := exec.Command("docker", "ps", "-q", "--filter", label).Output()
	require.NoError(t, err)
	return len(strings.Fields(string(out)))
}

// update goes to the next revision and back, and looks each time what is left of the one before.
func (v *village) update(t *testing.T) {
	// A node without an outcome is given one task at a time, so that the other service could not come here yet; a slice that was paid an epoch is one.
	until(t, "the node's first outcome", func() bool { return v.nodeNow(t).Rating.Trials > 0 })
	for i, word := range []string{"two", "one"} {
		before := v.keeper.endpoints(t)[0]
		var out struct {
			Revision uint32 `json:"revision"`
		}
		v.developer(t, &out, "job", "update", v.keeper.id, v.service(t, "keeper", word, keeping, next, "exec: true"))
		require.EqualValues(t, i+2, out.Revision)
		v.keeper.serving(t, 1, out.Revision)
		after := v.keeper.endpoints(t)[0]
		require.Equal(t, v.node, after.NodeId, "where the files are")
		require.NotEqual(t, before.Slice, after.Slice)
		require.Equal(t, []string{"hello " + word + "\n"}, v.keeper.ask(t))
		require.Equal(t, "dear diary", v.inside(t, "get", "/data/diary"), "what was written before the update")
		old := v.slices(t, v.keeper.id)[before.Slice]
		require.Equal(t, jobstypes.SLICE_STATUS_SETTLED, old.Status)
		require.Equal(t, 1, v.containers(t, after.Slice))
		require.Zero(t, v.containers(t, before.Slice), "the old revision is gone")
	}
}

func (v *village) handOver(t *testing.T) {
	defer func() {
		events, err := v.command(v.net.DeveloperHome(), "job", "events", v.web.id).Output()
		t.Logf("what happened to the service, which was to leave before %s; error %v:\n%s", v.leaves, err, events)
	}()
	until(t, "the service to have left the neighbour", func() bool {
		node := v.neighbour.now(t)
		require.True(t, time.Now().Before(v.leaves) || node.RunningTasks == 0, "the hours have begun, and the service is still there")
		return node.RunningTasks == 0
	})
	v.web.serving(t, 1, 1)
	require.Equal(t, v.node, v.web.endpoints(t)[0].NodeId)
	require.Equal(t, []string{"hello web\n"}, v.web.ask(t))
}

func (v *village) away(t *testing.T) {
	until(t, "the hours to begin", func() bool { return time.Now().After(v.leaves) })
	require.NoError(t, v.neighbour.stop())
	until(t, "the neighbour's node to be INACTIVE", func() bool { return v.neighbour.now(t).Status == nodestypes.NODE_STATUS_INACTIVE })
	v.web.serving(t, 1, 1)
	_, run := v.place(1, "10.231.16.0/20")
	v.neighbour.start(t, append(run, "--volumes", "memory")...)
	v.neighbour.ready(t)
	v.watch.end()
	t.Logf("the service was asked %d times with an answer; at most %d lookups in a row found none", v.watch.answers, v.watch.longest)
	require.NotZero(t, v.watch.answers)
	require.LessOrEqual(t, v.watch.longest, 3, "somebody answers all the time")

	node := v.neighbour.now(t)
	require.Empty(t, node.Outages, "an outage that was announced is forgotten")
	require.Zero(t, node.Statistics.Lost)
	require.Zero(t, node.Reserved)
	var paid uint64
	for _, s := range v.slices(t, v.web.id) {
		require.Zero(t, s.CollateralBurned)
		if s.NodeId == v.neighbour.id {
			require.Equal(t, jobstypes.SLICE_STATUS_SETTLED, s.Status)
			paid += s.Paid
		}
	}
	require.NotZero(t, paid)
	require.Equal(t, v.before+paid, v.neighbour.money(t).Balance, "paid, and nothing taken")
}
