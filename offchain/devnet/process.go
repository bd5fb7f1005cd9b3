package devnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// stopTimeout is how long a process may take to end after it was asked to.
const stopTimeout = 15 * time.Second

// start runs a program in the background, in a session of its own, with its output in logs/NAME.log.
func (d *Devnet) start(name, program string, args ...string) (int, error) {
	if err := os.MkdirAll(d.path("logs"), 0o700); err != nil {
		return 0, err
	}
	log, err := os.OpenFile(d.path("logs", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(program, args...) //nolint:gosec // fog and fogd of the devnet's options; there is no shell
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, environment()
	cmd.SysProcAttr = detached()
	err = cmd.Start()
	if err := log.Close(); err != nil {
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", name, err)
	}
	pid := cmd.Process.Pid
	go func() { // so that a process that ends while we run is no zombie that looks alive
		if err := cmd.Wait(); err != nil {
			d.log.Debug("process ended", "name", name, "error", err)
		}
	}()
	return pid, nil
}

// alive says whether the process is there and is one of this devnet, since process ids are used again.
func (d *Devnet) alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return false
	}
	if status, err := p.Status(); err == nil && len(status) > 0 && status[0] == process.Zombie {
		return false
	}
	// A process that is just beginning, or ending, has no command line.
	line, err := p.Cmdline()
	return err == nil && (line == "" || strings.Contains(line, d.opts.Home))
}

// stop asks a process to end and, if it does not, ends it.
func (d *Devnet) stop(ctx context.Context, name string, pid int) error {
	if !d.alive(pid) {
		return nil
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := askToEnd(p); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s (process %d): %w", name, pid, err)
	}
	deadline := time.Now().Add(stopTimeout)
	for d.alive(pid) {
		if ctx.Err() != nil || time.Now().After(deadline) {
			if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("kill %s (process %d): %w", name, pid, err)
			}
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

// environment is ours without the token of who sets a Vault up: programs log in by themselves.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "VAULT_TOKEN=") })
}

// run executes a program to its end and returns its standard output.
func (d *Devnet) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // fog and fogd of the devnet's options; there is no shell
	cmd.Stderr, cmd.Env = &stderr, environment()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	if len(out) == 0 {
		out = []byte(stderr.String()) // some commands of the SDK answer on standard error
	}
	return out, nil
}

// logTail is the end of a process's log, for a message that says why it did not come up.
func (d *Devnet) logTail(name string) string {
	raw, err := os.ReadFile(d.path("logs", name+".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
