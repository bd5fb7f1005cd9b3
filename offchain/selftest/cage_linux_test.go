package selftest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// The limits of both versions of control groups, written into a folder in the place of the kernel's.
func TestCageOfBothVersions(t *testing.T) {
	group := "fog-selftest-" + strconv.Itoa(os.Getpid())
	for version, c := range map[string]struct {
		before, after map[string]string
		dirs          []string
	}{
		"1": {
			map[string]string{"cpu/cgroup.procs": "", "memory/cgroup.procs": ""},
			map[string]string{
				"cpu/" + group + "/cpu.cfs_quota_us": "150000", "cpu/" + group + "/cpu.cfs_period_us": "100000",
				"memory/" + group + "/memory.limit_in_bytes": "67108864", "cpu/" + group + "/cgroup.procs": "42", "memory/" + group + "/cgroup.procs": "42",
			},
			[]string{"cpu/" + group, "memory/" + group},
		},
		"2": {
			map[string]string{"cgroup.controllers": "cpuset cpu io memory\n", "cgroup.subtree_control": "cpu\n"},
			map[string]string{
				group + "/cpu.max": "150000 100000", group + "/memory.max": "67108864", group + "/cgroup.procs": "42", "cgroup.subtree_control": "+memory",
			},
			[]string{group},
		},
	} {
		t.Run(version, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.before {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
			}
			cage, err := newCageIn(root, limits{milliCPU: 1500, memoryMiB: 64})
			require.NoError(t, err)
			require.NoError(t, cage.take(42))
			for name, want := range c.after {
				got, err := os.ReadFile(filepath.Join(root, name))
				require.NoError(t, err)
				require.Equal(t, want, string(got), name)
			}
			for _, dir := range c.dirs { // the kernel's files go with their folder, these do not
				files, err := filepath.Glob(filepath.Join(root, dir, "*"))
				require.NoError(t, err)
				for _, file := range files {
					require.NoError(t, os.Remove(file))
				}
			}
			require.NoError(t, cage.remove())
			for _, dir := range c.dirs {
				require.NoDirExists(t, filepath.Join(root, dir))
			}
		})
	}
}

// What keeps a machine from having limits is said, and nothing is left of the try.
func TestCageThatCannotBe(t *testing.T) {
	root := t.TempDir()
	_, err := newCageIn(root, limits{milliCPU: 1})
	require.ErrorContains(t, err, "no controller cpu")
	require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("cpu io\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), nil, 0o600))
	_, err = newCageIn(root, limits{memoryMiB: 64})
	require.ErrorContains(t, err, "have no controller memory")
	left, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Len(t, left, 2)
	_, err = newCageIn(filepath.Join(root, "cgroup.controllers"), limits{memoryMiB: 64})
	require.ErrorContains(t, err, "which control groups")
	cage, err := newCageIn(root, limits{})
	require.NoError(t, err)
	require.NoError(t, cage.take(42))
	require.NoError(t, cage.remove())
}

// A machine that swaps in place of having the memory is caught, also one that had no swap before; its swap is gone afterwards.
func TestSwapIsCaught(t *testing.T) {
	dir, err := os.MkdirTemp(".", "swap-") // on disk, which the folder for temporary files need not be
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	before, err := os.ReadFile("/proc/swaps")
	require.NoError(t, err)
	result, err := Run(t.Context(), Options{Attack: AttackSwap, Dir: dir, Budget: time.Second, Agent: func(ctx context.Context) *exec.Cmd {
		c := exec.CommandContext(ctx, os.Args[0])
		c.Env = append(os.Environ(), agentVariable+"=1")
		return c
	}})
	if errors.Is(err, ErrCannotAttack) {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s: %v ***\n\n", t.Name(), err)
		t.Skip(err)
	}
	require.NoError(t, err)
	require.Equal(t, string(nodestypes.VerdictBelow), result.Nodes[0].Verdict)
	require.True(t, result.AsExpected)
	after, err := os.ReadFile("/proc/swaps")
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNoSwapInMemory(t *testing.T) {
	require.ErrorContains(t, swappable("/dev/shm"), "--dir")
	require.NoError(t, swappable("."))
	require.ErrorContains(t, swappable(filepath.Join(t.TempDir(), "none")), "statfs")
}
