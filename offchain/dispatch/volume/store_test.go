package volume_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// disks are the kinds that the same tests run on.
func disks(t *testing.T, do func(t *testing.T, d volume.Disk)) {
	t.Run("stand-in", func(t *testing.T) { do(t, dockertest.Disk{}) })
	t.Run("loop", func(t *testing.T) {
		d, err := volume.NewLoop()
		if err != nil {
			fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs loop devices: %v ***\n\n", t.Name(), err)
			t.Skip("no loop devices")
		}
		do(t, d)
	})
}

func open(t *testing.T, dir string, d volume.Disk) *volume.Store {
	t.Helper()
	s, err := volume.Open(dir, d)
	require.NoError(t, err)
	return s
}

var replica = dispatch.Replica{Job: "job1_tricky_t9", Task: 3}

func TestLife(t *testing.T) {
	disks(t, func(t *testing.T, d volume.Disk) {
		dir := t.TempDir()
		s := open(t, dir, d)
		volumes := []dispatch.Volume{{Name: "data", SizeMiB: 2}, {Name: "log", SizeMiB: 1}}
		first, err := s.Attach(t.Context(), replica, volumes, 3)
		require.NoError(t, err)
		require.Len(t, first, 2)
		require.NotEqual(t, first["data"], first["log"])
		again, err := s.Attach(t.Context(), replica, volumes, 3)
		require.NoError(t, err)
		require.Equal(t, first, again, "one device a file")

		require.NoError(t, s.Detach(replica))
		require.NoError(t, s.Detach(replica))
		kept, err := open(t, dir, d).Kept()
		require.NoError(t, err)
		require.Equal(t, []dispatch.Replica{replica}, kept)
		info, err := os.Stat(filepath.Join(dir, "job1_tricky_t9_t3", "data.img"))
		require.NoError(t, err)
		require.EqualValues(t, 2<<20, info.Size())

		_, err = s.Attach(t.Context(), replica, volumes[:1], 2)
		require.ErrorIs(t, err, volume.ErrFull, "what an earlier revision left counts")
		_, err = s.Attach(t.Context(), replica, volumes[:1], 3)
		require.NoError(t, err)
		require.NoError(t, s.Wipe(replica))
		require.NoError(t, s.Wipe(replica))
		kept, err = s.Kept()
		require.NoError(t, err)
		require.Empty(t, kept)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

func TestHalfMadeIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, dockertest.Disk{})
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "j_t0"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "j_t0", "data.new"), []byte("half"), 0o600))
	_, err := s.Attach(t.Context(), dispatch.Replica{Job: "j"}, []dispatch.Volume{{Name: "data", SizeMiB: 1}}, 1)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, "j_t0", "data.new"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "something else"), 0o700))
	kept, err := s.Kept()
	require.NoError(t, err)
	require.Equal(t, []dispatch.Replica{{Job: "j"}}, kept)
}

// TestFileSystem mounts what was made, as the Docker Engine does.
func TestFileSystem(t *testing.T) {
	d, err := volume.NewLoop()
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("only root can mount")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs loop devices and mounts: %v ***\n\n", t.Name(), err)
		t.Skip("no loop devices")
	}
	s := open(t, t.TempDir(), d)
	at := t.TempDir()
	size := func(mib uint32) []dispatch.Volume { return []dispatch.Volume{{Name: "data", SizeMiB: mib}} }
	mounted := func(mib uint32, do func()) {
		t.Helper()
		devices, err := s.Attach(t.Context(), replica, size(mib), 64)
		require.NoError(t, err)
		out, err := exec.Command("mount", "-t", "ext4", devices["data"], at).CombinedOutput()
		require.NoError(t, err, "%s", out)
		do()
		require.NoError(t, s.Detach(replica), "it is mounted and goes later")
		out, err = exec.Command("umount", at).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	t.Cleanup(func() { require.NoError(t, s.Wipe(replica)) })
	file := filepath.Join(at, "file")
	fill := func(file string) int {
		f, err := os.Create(file)
		require.NoError(t, err)
		defer func() { require.NoError(t, f.Close()) }()
		for n := 0; ; n++ {
			if _, err := f.Write(make([]byte, 64<<10)); err != nil {
				return n * 64 << 10
			}
		}
	}
	mounted(8, func() {
		entries, err := os.ReadDir(at)
		require.NoError(t, err)
		require.Empty(t, entries, "programs want an empty folder")
		written := fill(file)
		require.Less(t, written, 8<<20)
		require.Greater(t, written, 4<<20)
		require.NoError(t, os.Truncate(file, 6<<20))
	})
	mounted(32, func() {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Len(t, raw, 6<<20, "it was kept when the volume grew")
		require.Greater(t, fill(filepath.Join(at, "more")), 16<<20)
	})
	_, err = s.Attach(t.Context(), replica, size(8), 64)
	require.ErrorIs(t, err, volume.ErrFull)
	mounted(32, func() { require.NoError(t, os.Remove(filepath.Join(at, "more"))) })
	mounted(12, func() {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Len(t, raw, 6<<20, "and when it shrank")
	})
}

func TestClaims(t *testing.T) {
	s := open(t, t.TempDir(), dockertest.Disk{})
	release, err := s.Claim(t.Context(), replica)
	require.NoError(t, err)
	require.ErrorIs(t, s.Wipe(replica), volume.ErrInUse)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	_, err = s.Claim(ctx, replica)
	require.ErrorIs(t, err, enough)
	other, err := s.Claim(t.Context(), dispatch.Replica{Job: replica.Job})
	require.NoError(t, err)
	other()
	next := make(chan error, 1)
	go func() {
		release, err := s.Claim(context.Background(), replica)
		if err == nil {
			release()
		}
		next <- err
	}()
	select {
	case err := <-next:
		t.Fatal("two have it:", err)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	release()
	require.NoError(t, <-next)
}

// TestStoreMachine compares a store with what it should have, over restarts of its process.
func TestStoreMachine(t *testing.T) {
	base := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		dir := filepath.Join(base, fmt.Sprint(run))
		s, err := volume.Open(dir, dockertest.Disk{})
		require.NoError(t, err)
		const limit = 8
		want := map[dispatch.Replica]map[string]uint32{}
		someone := rapid.Custom(func(t *rapid.T) dispatch.Replica {
			return dispatch.Replica{Job: rapid.SampledFrom([]string{"a", "a_t1", "b"}).Draw(t, "job"), Task: rapid.Uint32Range(0, 1).Draw(t, "task")}
		})
		t.Repeat(map[string]func(*rapid.T){
			"attach": func(t *rapid.T) {
				r, volumes, sum := someone.Draw(t, "replica"), []dispatch.Volume{}, uint64(0)
				for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 1, 3, rapid.ID).Draw(t, "names") {
					volumes = append(volumes, dispatch.Volume{Name: name, SizeMiB: rapid.Uint32Range(1, 4).Draw(t, "size")})
				}
				after := map[string]uint32{}
				for name, mib := range want[r] {
					after[name] = mib
				}
				for _, v := range volumes {
					after[v.Name] = v.SizeMiB
				}
				for _, mib := range after {
					sum += uint64(mib)
				}
				devices, err := s.Attach(context.Background(), r, volumes, limit)
				if sum > limit {
					require.ErrorIs(t, err, volume.ErrFull)
					if want[r] == nil {
						want[r] = map[string]uint32{}
					}
					return
				}
				require.NoError(t, err)
				require.Len(t, devices, len(volumes))
				want[r] = after
			},
			"wipe":    func(t *rapid.T) { r := someone.Draw(t, "replica"); require.NoError(t, s.Wipe(r)); delete(want, r) },
			"detach":  func(t *rapid.T) { require.NoError(t, s.Detach(someone.Draw(t, "replica"))) },
			"restart": func(t *rapid.T) { s, err = volume.Open(dir, dockertest.Disk{}); require.NoError(t, err) },
			"": func(t *rapid.T) {
				kept, err := s.Kept()
				require.NoError(t, err)
				require.Len(t, kept, len(want))
				for _, r := range kept {
					files, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("%s_t%d", r.Job, r.Task), "*.img"))
					require.NoError(t, err)
					require.Len(t, files, len(want[r]))
					for _, file := range files {
						info, err := os.Stat(file)
						require.NoError(t, err)
						require.EqualValues(t, want[r][strings.TrimSuffix(filepath.Base(file), ".img")]<<20, info.Size())
					}
				}
			},
		})
	})
}
