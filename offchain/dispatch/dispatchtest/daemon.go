package dispatchtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Daemon is a Docker daemon of the test's own, which it may restart. It touches no firewall: ports are published by its proxy alone.
type Daemon struct {
	Host string

	dir string
	cmd *exec.Cmd
}

// StartDaemon starts one for as long as the test runs; where it cannot, the test is skipped, loudly.
func StartDaemon(t testing.TB) *Daemon {
	t.Helper()
	if _, err := exec.LookPath("dockerd"); err != nil || os.Geteuid() != 0 {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s restarts a Docker daemon of its own, which needs root and dockerd ***\n\n", t.Name())
		t.Skip("no dockerd of its own")
	}
	dir, err := os.MkdirTemp("", "fog-dockerd-") // short, for its sockets
	require.NoError(t, err)
	d := &Daemon{Host: "unix://" + filepath.Join(dir, "s"), dir: dir}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	t.Cleanup(d.stop)
	d.start(t)
	return d
}

func (d *Daemon) start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	d.cmd = exec.Command("dockerd", "--host", d.Host, "--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "run"),
		"--pidfile", filepath.Join(d.dir, "pid"), "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-masq=false")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	require.NoError(t, d.cmd.Start())
	ping := func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "docker", "--host", d.Host, "version")
		return cmd.Run() == nil
	}
	if !poll(patience/4, ping) {
		raw, err := os.ReadFile(filepath.Join(d.dir, "log"))
		require.NoError(t, err)
		t.Fatalf("dockerd does not answer:\n%.4000s", raw)
	}
}

func (d *Daemon) stop() {
	if d.cmd == nil {
		return
	}
	if d.cmd.Process.Signal(syscall.SIGTERM) == nil {
		_ = d.cmd.Wait() //nolint:errcheck // it was asked to end, however it does
	}
	d.cmd = nil
}

// Restart ends the daemon with all of its containers, and starts it again.
func (d *Daemon) Restart(t testing.TB) {
	t.Helper()
	d.stop()
	d.start(t)
}

func poll(limit time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}
