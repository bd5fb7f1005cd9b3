package direct

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
)

// TestHostDiskFull runs on a file system of 4 MiB, which only root can make. TestDiskFull needs no rights.
func TestHostDiskFull(t *testing.T) {
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("needs the right to mount")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	guest := dispatchtest.BuildGuest(t)
	d := openDirect(t, Options{Dir: dir})
	a := dispatchtest.Assignment(guest, 2, "fill")
	a.StorageMiB = 64
	for _, task := range dispatchtest.RunToEnd(t, d, a).Tasks {
		require.Equal(t, dispatch.ReasonNode, task.Reason, task.Message)
		require.Contains(t, task.Message, "disk is full")
		require.Equal(t, artifact.EmptyDigest, task.Result)
	}
	require.NoError(t, d.Remove(t.Context(), a.ID))

	// Full before it starts: nothing can be written at all.
	ballast := filepath.Join(dir, "ballast")
	err = os.WriteFile(ballast, make([]byte, 5<<20), 0o600)
	require.ErrorIs(t, err, syscall.ENOSPC)
	a.Args = []string{"report", "x"}
	require.ErrorIs(t, d.Start(t.Context(), a), syscall.ENOSPC)

	require.NoError(t, os.Remove(ballast))
	require.Equal(t, dispatch.ReasonOK, dispatchtest.RunToEnd(t, d, a).Tasks[0].Reason)
}
