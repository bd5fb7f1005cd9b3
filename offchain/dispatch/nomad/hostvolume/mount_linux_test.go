package hostvolume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

func TestParseMount(t *testing.T) {
	at, source, ok := parseMount("40 32 7:3 / /srv/a\\040b rw,nosuid,nodev,noatime shared:9 master:1 - ext4 /dev/loop3 rw\n")
	require.True(t, ok)
	require.Equal(t, "/srv/a b", at)
	require.Equal(t, "/dev/loop3", source)
	for _, line := range []string{"", "40 32 7:3 / /srv", "40 - ext4 /dev/loop3", "40 32 7:3 / /srv rw - ext4"} {
		_, _, ok := parseMount(line)
		require.False(t, ok, line)
	}
}

// TestUnmountWaitsForOthers: a file system that is mounted elsewhere too is not given up, and one that is released is.
func TestUnmountWaitsForOthers(t *testing.T) {
	loop, err := volume.NewLoop()
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("only root can mount")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s needs loop devices and mounts: %v ***\n\n", t.Name(), err)
		t.Skip("no loop devices")
	}
	file, here, there := filepath.Join(t.TempDir(), "x.img"), t.TempDir(), t.TempDir()
	require.NoError(t, loop.Make(t.Context(), file, 4))
	device, err := loop.Attach(t.Context(), file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, loop.Detach(file)) })
	s := System{}
	require.NoError(t, s.Mount(device, here))
	require.NoError(t, unix.Mount(here, there, "", unix.MS_BIND, ""))
	ended := make(chan error, 1)
	go func() { ended <- s.Unmount(here) }()
	require.Eventually(t, func() bool { at, err := s.Mounted(here); return err == nil && at == "" }, time.Minute, time.Millisecond)
	require.ErrorIs(t, released(device), unix.EBUSY)
	require.NoError(t, unix.Unmount(there, 0))
	require.NoError(t, <-ended)
	require.NoError(t, released(device))
}

func FuzzParseMount(f *testing.F) {
	f.Add("40 32 7:3 / /srv rw - ext4 /dev/loop3 rw")
	f.Fuzz(func(t *testing.T, line string) {
		at, source, ok := parseMount(line)
		require.Equal(t, ok, at != "" && source != "")
	})
}
