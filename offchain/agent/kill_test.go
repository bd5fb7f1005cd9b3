package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch/direct"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// Variables that make the test binary an agent.
const (
	childDir      = "FOG_TEST_AGENT_DIR"
	childGRPC     = "FOG_TEST_AGENT_GRPC"
	childRPC      = "FOG_TEST_AGENT_RPC"
	childRegistry = "FOG_TEST_AGENT_REGISTRY"
	childCache    = "FOG_TEST_AGENT_CACHE"
)

// childMain is an agent in a process of its own, which does not return.
func childMain(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "agent process:", err)
			os.Exit(1)
		}
	}
	c, err := chain.Dial(chain.Config{GRPC: os.Getenv(childGRPC), RPC: os.Getenv(childRPC), PollInterval: 10 * time.Millisecond})
	fail(err)
	reg, err := client.New(os.Getenv(childRegistry))
	fail(err)
	d, err := direct.New(direct.Options{Dir: filepath.Join(dir, "dispatch"), CacheDir: os.Getenv(childCache)})
	fail(err)
	a, err := New(Config{
		Chain: c, NodeID: testNode, AgentKey: agentKey, Registry: reg, Dispatcher: d, Dir: filepath.Join(dir, "agent"),
		Heartbeat: 50 * time.Millisecond, Refresh: 20 * time.Millisecond,
	})
	fail(err)
	fail(a.Run(context.Background()))
	os.Exit(0)
}

// TestKilled kills the process of an agent in mid-task, so that nothing is put in order, and starts another one.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	o := w.oracle("a")
	job := w.job(testJob, 2, "wait", "1")
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	grpcAddr, rpcURL := w.node.Addresses()
	child.Env = append(os.Environ(), childDir+"="+dir, childGRPC+"="+grpcAddr, childRPC+"="+rpcURL, childRegistry+"="+w.url, childCache+"="+sharedCache)
	child.Stderr = testWriter{t}
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		if err := child.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
			t.Error("the agent's process was still there")
		}
	})
	id := w.match(job, 0, 0, 2)
	eventually(t, "the first task does not end", func() bool { return w.lastProgress(id).TasksDone == 1 })
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	require.Zero(t, o.reports.Load())

	w.change(func() { w.progress = nil })
	p := w.run(dir)
	eventually(t, "the attempt is not taken up", func() bool { return w.lastProgress(id).TasksDone == 1 })
	p.release(w.inputs(job))
	for _, task := range w.outcome(id).Tasks {
		require.Equal(t, link.ReasonNone, task.Reason)
	}
}
