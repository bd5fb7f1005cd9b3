package direct

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch"
)

func newGuard() (*guard, context.Context) {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &guard{cancel: cancel}, ctx
}

func newMount(t testing.TB, dir string, limit int64) *mount {
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	g, _ := newGuard()
	return &mount{root: root, dev: 1, opens: new(int), guard: g, quota: newQuota(limit, g)}
}

// footprint is what the quota should count: every name, and every byte that a file holds.
func footprint(t require.TestingT, dir string) (sum int64) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		sum += entryCost
		if info, err := d.Info(); err == nil && !d.IsDir() {
			sum += info.Size()
		}
		return nil
	}))
	return sum
}

// TestQuotaMatchesFolder does random operations on an output folder. While files are open the quota counts at least what is there;
// with all closed it counts exactly that.
func TestQuotaMatchesFolder(t *testing.T) {
	base := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		dir := filepath.Join(base, fmt.Sprint(runs))
		require.NoError(rt, os.Mkdir(dir, 0o755))
		m := newMount(t, dir, 1<<30)
		names := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/e", "d/e/f", "b/", "."})
		var open []experimentalsys.File
		size := rapid.Int64Range(0, 1<<16)
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				flag := experimentalsys.O_RDWR | experimentalsys.O_CREAT |
					rapid.SampledFrom([]experimentalsys.Oflag{0, experimentalsys.O_TRUNC, experimentalsys.O_EXCL, experimentalsys.O_APPEND}).Draw(t, "flag")
				if f, errno := m.OpenFile(names.Draw(t, "name"), flag, 0); errno == 0 {
					open = append(open, f)
				}
			},
			"write": func(t *rapid.T) {
				if len(open) > 0 {
					f := rapid.SampledFrom(open).Draw(t, "file")
					_, errno := f.Write(make([]byte, size.Draw(t, "bytes")))
					require.Zero(t, errno)
				}
			},
			"pwrite": func(t *rapid.T) {
				if len(open) > 0 {
					f := rapid.SampledFrom(open).Draw(t, "file")
					_, errno := f.Pwrite([]byte("x"), size.Draw(t, "offset"))
					require.Zero(t, errno)
				}
			},
			"truncate": func(t *rapid.T) {
				if len(open) > 0 {
					require.Zero(t, rapid.SampledFrom(open).Draw(t, "file").Truncate(size.Draw(t, "size")))
				}
			},
			"close": func(t *rapid.T) {
				if len(open) > 0 {
					i := rapid.IntRange(0, len(open)-1).Draw(t, "file")
					require.Zero(t, open[i].Close())
					require.Zero(t, open[i].Close())
					open = append(open[:i], open[i+1:]...)
				}
			},
			// These may be refused, by the rules of file systems, but not by the machine.
			"mkdir":  func(t *rapid.T) { require.NotEqual(t, experimentalsys.EIO, m.Mkdir(names.Draw(t, "name"), 0)) },
			"unlink": func(t *rapid.T) { require.NotEqual(t, experimentalsys.EIO, m.Unlink(names.Draw(t, "name"))) },
			"rmdir":  func(t *rapid.T) { require.NotEqual(t, experimentalsys.EIO, m.Rmdir(names.Draw(t, "name"))) },
			"rename": func(t *rapid.T) {
				require.NotEqual(t, experimentalsys.EIO, m.Rename(names.Draw(t, "from"), names.Draw(t, "to")))
			},
			"": func(t *rapid.T) {
				require.GreaterOrEqual(t, m.quota.used, footprint(t, dir))
				require.Equal(t, len(open), *m.opens)
			},
		})
		for _, f := range open {
			require.Zero(rt, f.Close())
		}
		require.Equal(rt, footprint(rt, dir), m.quota.used)
		require.Nil(rt, m.guard.failed)
	})
}

func TestQuotaLimit(t *testing.T) {
	m := newMount(t, t.TempDir(), 1<<20)
	f, errno := m.OpenFile("f", experimentalsys.O_RDWR|experimentalsys.O_CREAT, 0)
	require.Zero(t, errno)
	defer f.Close()
	n, errno := f.Write(make([]byte, 1<<20-entryCost))
	require.Zero(t, errno)
	require.Equal(t, 1<<20-entryCost, n)
	_, errno = f.Pwrite([]byte("x"), 5)
	require.Zero(t, errno)
	require.Nil(t, m.guard.failed)
	n, errno = f.Write([]byte("x"))
	require.Equal(t, experimentalsys.EIO, errno)
	require.Zero(t, n)
	require.Equal(t, dispatch.ReasonOutput, m.guard.failed.Reason)
}

// TestDiskFull writes to the device that is always full.
func TestDiskFull(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	openFull := func() *os.File {
		f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		require.NoError(t, err)
		return f
	}
	t.Run("output", func(t *testing.T) {
		m := newMount(t, t.TempDir(), 1<<20)
		var ctx context.Context
		m.guard, ctx = newGuard()
		f := &regularFile{mount: m, f: openFull(), node: &node{opens: 1}, writable: true}
		defer f.Close()
		_, errno := f.Write([]byte("x"))
		require.Equal(t, experimentalsys.EIO, errno)
		require.Equal(t, dispatch.ReasonNode, m.guard.failed.Reason)
		require.Contains(t, m.guard.failed.Message, "disk is full")
		var cause *dispatch.Failure
		require.True(t, errors.As(context.Cause(ctx), &cause), "the task goes on")
	})
	t.Run("log", func(t *testing.T) {
		g, _ := newGuard()
		l := &logWriter{f: openFull(), left: 10, guard: g}
		_, err := l.Write([]byte("x"))
		require.Error(t, err)
		require.NoError(t, l.close())
		require.Equal(t, dispatch.ReasonNode, g.failed.Reason)
		require.Contains(t, g.failed.Message, "disk is full")
	})
}

func TestCleanPath(t *testing.T) {
	for in, want := range map[string]string{
		"": ".", ".": ".", "/": ".", "a": "a", "a/": "a", "a//b": "a/b", "../../a": "a", "a/../..": ".", "a/./b/": "a/b",
	} {
		got, dir := cleanPath(in)
		require.Equal(t, want, got, in)
		require.Equal(t, in != "" && in[len(in)-1] == '/', dir, in)
	}
}
