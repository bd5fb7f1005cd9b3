package inside

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/image"
)

func TestEnvironment(t *testing.T) {
	c := Container{Image: image.Defaults{Env: []string{"PATH=/image", "A=image", "B=image", "odd"}, WorkingDir: outPath}}
	a := dispatch.Assignment{ID: dispatch.AttemptID{Job: "job1x"}, JobTasks: 9, Env: map[string]string{"B": "job"}}
	require.Equal(t, map[string]string{
		"PATH": "/image", "HOSTNAME": "task", "HOME": "/", "A": "image", "B": "job", "PWD": "/out",
		"FOG_JOB": "job1x", "FOG_TASK_INDEX": "4", "FOG_TASK_COUNT": "9",
	}, c.environment(a, 4, c.dir(a)))
	a.Service = &dispatch.Service{Ports: []dispatch.Port{{Name: "web-ui", Container: 80}}}
	require.Equal(t, "80", c.environment(a, 0, "/")["FOG_PORT_WEB_UI"])
	require.Equal(t, "/", c.dir(a), "a service has no /out")
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tool"), nil, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text"), nil, 0o644))
	require.Equal(t, dir+"/tool", find("tool", "/none:"+dir, "/"))
	require.Equal(t, dir+"/tool", find("./tool", "", dir))
	require.Equal(t, dir+"/tool", find(dir+"/tool", "", "/"))
	for _, name := range []string{"text", "none", "./none", dir} {
		require.Empty(t, find(name, dir, dir), name)
	}
	c := Container{Image: image.Defaults{Entrypoint: []string{"/e"}, Cmd: []string{"c"}}}
	argv, err := c.Program(dispatch.Assignment{})
	require.NoError(t, err)
	require.Equal(t, []string{"/e", "c"}, argv)
	argv, err = c.Program(dispatch.Assignment{Args: []string{"a", "b"}})
	require.NoError(t, err)
	require.Equal(t, []string{"/e", "a", "b"}, argv)
	var f *dispatch.Failure
	_, err = (&Container{}).Program(dispatch.Assignment{Args: []string{"a"}})
	require.ErrorAs(t, err, &f)
	require.Equal(t, dispatch.ReasonBadImage, f.Reason)
}

func TestFolders(t *testing.T) {
	c := Container{Image: image.Defaults{Volumes: map[string]struct{}{"/data": {}, "out/": {}, "/in": {}, "/": {}, "cache": {}}}}
	memory := int64(64+MemoryMiB) << 20
	require.Equal(t, []Folder{{"/tmp", memory}, {"/out", 2 << 20}, {"/data", memory}, {"/cache", memory}},
		c.Folders(dispatch.Assignment{MemoryMiB: 64, StorageMiB: 2}))
	service := &dispatch.Service{Volumes: []dispatch.Volume{{Path: "/data", SizeMiB: 1}}}
	require.Equal(t, []Folder{{"/tmp", memory}, {"/data", 1 << 20}, {"/cache", memory}},
		c.Folders(dispatch.Assignment{MemoryMiB: 64, StorageMiB: 2, Service: service}))
}

func TestCollect(t *testing.T) {
	const limit = 64 << 10
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		full bool
		bad  string
	}{
		"nothing": {func(*testing.T, string) {}, false, ""},
		"files": {func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(dir+"/a/b", 0o755))
			require.NoError(t, os.WriteFile(dir+"/a/b/c", make([]byte, 100), 0o600))
		}, false, ""},
		"no room": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(dir+"/a", make([]byte, limit-10), 0o600))
		}, true, ""},
		"too large": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(dir+"/a", make([]byte, limit+1), 0o600))
		}, false, "more than 0 MiB"},
		"a link": {func(t *testing.T, dir string) { require.NoError(t, os.Symlink("/etc/passwd", dir+"/a")) }, false, "is a link"},
		"second name": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(dir+"/a", nil, 0o600))
			require.NoError(t, os.Link(dir+"/a", dir+"/b"))
		}, false, "second name"},
		"many names": {func(t *testing.T, dir string) {
			for i := range Entries(limit) {
				require.NoError(t, os.Mkdir(filepath.Join(dir, string(rune('a'+i))), 0o755))
			}
		}, false, "more than 16 files"},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := t.TempDir(), t.TempDir()
			c.make(t, from)
			full, err := collect(from, to, limit)
			if c.bad != "" {
				require.ErrorContains(t, err, c.bad)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.full, full)
			require.NoError(t, os.CopyFS(t.TempDir(), os.DirFS(to)))
		})
	}
}
