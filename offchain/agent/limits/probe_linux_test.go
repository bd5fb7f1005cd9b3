package limits

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// machine is a folder that looks like one: process 10 is the agent, 11 its child, 20 somebody else's.
func machine(t *testing.T) (*Probe, func(name, content string)) {
	t.Helper()
	root := t.TempDir()
	write := func(name, content string) {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	p := &Probe{
		proc: filepath.Join(root, "proc"), cgroup: filepath.Join(root, "cgroup"), dev: filepath.Join(root, "dev"), self: 10,
		desktop: func(context.Context) bool { return false },
	}
	return p, write
}

func process(pid, parent, ticks int) string {
	return fmt.Sprintf("%d (a (b) c) S %d 1 1 0 -1 0 0 0 0 0 %d 0 0 0 20 0 1 0 5 0 0", pid, parent, ticks)
}

func TestOthersAreNeitherTheAgentNorContainers(t *testing.T) {
	p, write := machine(t)
	set := func(user, idle, agent, child, container int) Sample {
		write("proc/stat", fmt.Sprintf("cpu  %d 0 0 %d 0 0 0 0 7 7\ncpu0 1\n", user, idle))
		write("proc/10/stat", process(10, 1, agent))
		write("proc/11/stat", process(11, 10, child))
		write("proc/20/stat", process(20, 1, 9_999))
		write("proc/self", "")
		write("cgroup/system.slice/docker-abc.scope/cpu.stat", fmt.Sprintf("usage_usec %d\nuser_usec 1\n", container*10_000))
		write("cgroup/docker/def/cpu.stat", "usage_usec 10000\n")
		s, err := p.Look(t.Context())
		require.NoError(t, err)
		return s
	}
	require.Zero(t, set(1_000, 1_000, 100, 100, 100).Others, "the first look knows nothing")
	require.Equal(t, 300, set(1_600, 1_400, 200, 150, 250).Others, "600 more of 1,000, of which 300 were the agent's and a container's")
	require.Zero(t, set(1_600, 2_400, 200, 150, 250).Others)
	require.Zero(t, set(1_700, 2_500, 400, 150, 250).Others, "children that were waited for may count twice")
	write("proc/stat", "intr 5")
	_, err := p.Look(t.Context())
	require.ErrorContains(t, err, "expected the sum of all processors")
}

func TestInputAtTerminals(t *testing.T) {
	p, write := machine(t)
	write("proc/stat", "cpu 1 2 3 4 5 6 7 8\n")
	s, err := p.Look(t.Context())
	require.NoError(t, err)
	require.True(t, s.Input.IsZero(), "nobody has a terminal")
	old, recent := time.Unix(1_600_000_000, 0), time.Unix(1_700_000_000, 0)
	for name, at := range map[string]time.Time{"dev/pts/3": old, "dev/pts/14": recent, "dev/pts/ptmx": recent.Add(time.Hour)} {
		write(name, "")
		require.NoError(t, os.Chtimes(filepath.Join(filepath.Dir(p.dev), name), at, at))
	}
	s, err = p.Look(t.Context())
	require.NoError(t, err)
	require.Equal(t, recent.Unix(), s.Input.Unix())
}

func TestGraphicalSessions(t *testing.T) {
	require.True(t, graphicalInUse("Type=wayland\nClass=user\nState=active\nIdleHint=no\n"))
	for _, other := range []string{
		"Type=wayland\nClass=user\nState=active\nIdleHint=yes\n", "Type=tty\nClass=user\nState=active\nIdleHint=no\n",
		"Type=x11\nClass=greeter\nState=active\nIdleHint=no\n", "Type=x11\nClass=user\nState=online\nIdleHint=no\n", "",
	} {
		require.False(t, graphicalInUse(other), other)
	}
}

// This machine can be looked at, whatever it is doing.
func TestThisMachine(t *testing.T) {
	p := NewProbe()
	for range 2 {
		s, err := p.Look(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.Others, 0)
		require.LessOrEqual(t, s.Others, 1_000)
	}
}
