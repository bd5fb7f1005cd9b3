package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// TestDiskFull gives the agent a file system of a few MiB, which only root can make, and fills it.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "agent")
	require.NoError(t, os.Mkdir(disk, 0o700))
	err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("needs the right to mount")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })

	w := newWorld(t)
	o := w.oracle("a")
	p := w.run(dir)
	t.Cleanup(p.stop) // before the file system goes
	eventually(t, "the agent does not start", func() bool { return len(p.Status().Links) == 1 })
	ballast := filepath.Join(disk, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 7<<20), 0o600))
	id := w.match(w.job(testJob, 1, "report"), 0, 0, 1)
	eventually(t, "not tried", func() bool { return len(p.Status().UnderWay) == 1 && w.lastProgress(id).TasksTotal == 1 })
	time.Sleep(200 * time.Millisecond)
	require.Zero(t, o.reports.Load())
	require.NoError(t, os.Remove(ballast))
	require.Equal(t, link.ReasonNone, w.outcome(id).Tasks[0].Reason)

	// If it stays full, the node has failed.
	w.edit(id, func(s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_SETTLED })
	p.stop()
	require.NoError(t, os.RemoveAll(filepath.Join(disk, "cache")))
	require.NoError(t, os.WriteFile(ballast, make([]byte, 7<<20), 0o600))
	job := w.job("job1zzz", 1, "report")
	p = w.run(dir)
	t.Cleanup(p.stop)
	full := w.match(job, 0, 0, 1)
	w.edit(full, func(s *jobstypes.Slice) { s.MaxDuration = 1 })
	require.Equal(t, link.ReasonNode, w.outcome(full).Tasks[0].Reason)
}

func TestOneAgentPerFolder(t *testing.T) {
	w := newWorld(t)
	p := w.run(t.TempDir())
	eventually(t, "the agent does not start", func() bool { return p.Status().NodeID != "" })
	second, err := New(p.cfg)
	require.NoError(t, err)
	require.ErrorContains(t, second.Run(context.Background()), "another agent works in")
	p.stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, second.Run(ctx), context.Canceled)
}

// A process that was killed keeps its lock for a moment longer.
func TestAgentWaitsForTheLockOfOneThatEnds(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lockDir(t.Context(), dir)
	require.NoError(t, err)
	ended := make(chan error, 1)
	time.AfterFunc(300*time.Millisecond, func() { ended <- unlock() })
	again, err := lockDir(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.NoError(t, again())
}
