package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/image"
)

var update = flag.Bool("update", false, "write testdata anew")

func goArch() string {
	for engine, arch := range architectures {
		if arch == runtime.GOARCH {
			return engine
		}
	}
	return runtime.GOARCH
}

// task loads an image and makes a task of it.
func task(t *testing.T, e *Engine) Task {
	t.Helper()
	img, err := image.BuildBytes(filepath.Join(t.TempDir(), "image"), []byte("a program"), runtime.GOARCH)
	require.NoError(t, err)
	loaded, release, err := e.Load(t.Context(), img.Dir, img.Digest)
	require.NoError(t, err)
	t.Cleanup(release)
	return Task{
		Image: loaded, Fingerprint: artifact.DigestOf([]byte("fingerprint")), Number: 4, OutDir: t.TempDir(), Log: &bytes.Buffer{}, LogLimit: 100,
		Assignment: dispatch.Assignment{
			ID: dispatch.AttemptID{Job: "job1test", Slice: 2, Attempt: 1}, FirstTask: 4, Tasks: 1, JobTasks: 9, Engine: dispatch.EngineDocker,
			Args: []string{"an", "argument"}, Env: map[string]string{"B": "2", "A": "1"}, InputsDir: "/inputs",
			CPUMilli: 250, MemoryMiB: 64, StorageMiB: 1, MaxDuration: time.Hour,
		},
	}
}

func file(name string, size int64) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: size}
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		script script
		reason dispatch.Reason // empty: it ended by itself
		says   string
	}{
		"succeeds":            {script: script{out: []tar.Header{{Name: "out/d", Typeflag: tar.TypeDir}, file("out/d/f", 5)}}},
		"fails":               {script: script{code: 3}},
		"memory":              {script{code: 137, oom: true}, dispatch.ReasonMemory, "64 MiB"},
		"a child over memory": {script: script{oom: true}},
		"output full":         {script{code: 1, out: []tar.Header{file("out/f", 1<<20)}}, dispatch.ReasonOutput, "/out was full"},
		"output just fits":    {script: script{out: []tar.Header{file("out/f", 1<<20)}}},
		"sparse file":         {script{out: []tar.Header{file("out/f", 1<<40)}}, dispatch.ReasonOutput, "more than 1 MiB"},
		"symbolic link":       {script{out: []tar.Header{{Name: "out/l", Typeflag: tar.TypeSymlink, Linkname: "/"}}}, dispatch.ReasonOutput, `"l" is a link`},
		"hard link":           {script{out: []tar.Header{file("out/f", 1), {Name: "out/l", Typeflag: tar.TypeLink, Linkname: "out/f"}}}, dispatch.ReasonOutput, `"l" has a second name`},
		"leaves the folder":   {script{out: []tar.Header{file("out/../../f", 1)}}, dispatch.ReasonNode, "collect"},
		"no such program":     {script{startFails: "exec: not found", startCode: 127}, dispatch.ReasonBadImage, "exec: not found"},
		"not executable":      {script{startFails: "permission denied", startCode: 126}, dispatch.ReasonBadImage, "permission denied"},
		"cannot start":        {script{startFails: "no space left on device", startCode: 128}, dispatch.ReasonNode, "no space left"},
		"daemon stopped":      {script{code: 143, holderDies: true}, dispatch.ReasonNode, "was stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t, c.script)
			e := d.engine()
			tk := task(t, e)
			exit, err := e.Run(t.Context(), tk)
			var f *dispatch.Failure
			if c.reason == "" {
				require.NoError(t, err)
				require.EqualValues(t, c.script.code, exit.Code)
				require.Equal(t, time.Second, exit.Finished.Sub(exit.Started))
			} else {
				require.ErrorAs(t, err, &f)
				require.Equal(t, c.reason, f.Reason, f.Message)
				require.Contains(t, f.Message, c.says)
			}
			require.Empty(t, d.left())
		})
	}
}

func TestCollected(t *testing.T) {
	d := newDaemon(t, script{log: strings.Repeat("x", 150), out: []tar.Header{{Name: "out/d", Typeflag: tar.TypeDir}, file("out/d/f", 5)}})
	e := d.engine()
	tk := task(t, e)
	_, err := e.Run(t.Context(), tk)
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(tk.OutDir, "d", "f"))
	require.NoError(t, err)
	require.Equal(t, make([]byte, 5), raw)
	require.Equal(t, strings.Repeat("x", 100)+logNote, tk.Log.(*bytes.Buffer).String())
}

// TestHardened compares what the daemon is asked for, to the last field, with what was reviewed.
func TestHardened(t *testing.T) {
	e := newDaemon(t, script{}).engine()
	tk := task(t, e)
	tk.Image.defaults.Volumes = map[string]struct{}{"/data": {}, "out/": {}, "/data/": {}}
	tk.Image.id, tk.Image.hold = "sha256:image", "sha256:hold"
	requireReviewed(t, "requests.json", e.outVolume(tk), e.holder(tk), e.container(tk))

	tk.Assignment.MaxDuration = 0
	tk.Assignment.Service = &dispatch.Service{
		Ports: []dispatch.Port{
			{Name: "web", Protocol: dispatch.TCP, Container: 80, Host: 20001}, {Name: "game", Protocol: dispatch.UDP, Container: 7000, Host: 20002},
		},
		Volumes: []dispatch.Volume{{Name: "data", Path: "/data", SizeMiB: 1}},
	}
	e.publish = netip.MustParseAddr("192.0.2.1")
	requireReviewed(t, "service.json", e.network(tk, netip.MustParsePrefix("10.239.0.16/28")), e.serviceVolume(tk, tk.Assignment.Service.Volumes[0]), e.serviceHolder(tk), e.serviceContainer(tk))
	require.Equal(t, "192.0.2.1:20001", e.Dial(tk.Assignment.Service.Ports[0]))
	_, err := New(Options{Host: "unix:///s", Publish: "everywhere"})
	require.ErrorContains(t, err, "published on an address")
}

func requireReviewed(t *testing.T, name string, requests ...any) {
	t.Helper()
	got, err := json.MarshalIndent(requests, "", "  ")
	require.NoError(t, err)
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
}

func TestEnds(t *testing.T) {
	stopped := dispatch.Failf(dispatch.ReasonStopped, "stopped")
	abandoned := errors.New("abandoned")
	for name, c := range map[string]struct {
		cause error
		limit time.Duration
		want  dispatch.Reason
	}{
		"stopped":   {stopped, time.Hour, dispatch.ReasonStopped},
		"abandoned": {abandoned, time.Hour, ""},
		"too long":  {nil, 50 * time.Millisecond, dispatch.ReasonTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t, script{forever: true})
			e := d.engine()
			tk := task(t, e)
			tk.Assignment.MaxDuration = c.limit
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.cause != nil {
				go func() {
					for len(d.left()) < 3 {
						runtime.Gosched()
					}
					cancel(c.cause)
				}()
			}
			_, err := e.Run(ctx, tk)
			var f *dispatch.Failure
			if c.want == "" {
				require.ErrorIs(t, err, abandoned)
			} else {
				require.ErrorAs(t, err, &f)
				require.Equal(t, c.want, f.Reason)
			}
			require.Empty(t, d.left())
		})
	}
}

// TestJoin goes on with what an earlier process left, unless it is of no use.
func TestJoin(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*daemon, string)
		joined bool
	}{
		"running":     {func(*daemon, string) {}, true},
		"ended":       {func(d *daemon, name string) { d.end(name, 0) }, true},
		"not started": {func(d *daemon, name string) { d.containers[name].running = false }, false},
		"no holder":   {func(d *daemon, name string) { d.end(name+"-hold", 137) }, false},
		"another":     {func(d *daemon, name string) { d.containers[name].body["Labels"] = map[string]string{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t, script{forever: true})
			e := d.engine()
			tk := task(t, e)
			require.NoError(t, e.begin(t.Context(), tk))
			d.mu.Lock()
			before := d.containers[e.name(tk)]
			c.spoil(d, e.name(tk))
			d.mu.Unlock()
			joined, err := e.join(t.Context(), tk)
			require.NoError(t, err)
			require.Equal(t, c.joined, joined)
			if c.joined {
				require.Same(t, before, d.containers[e.name(tk)])
			} else {
				require.Empty(t, d.left())
			}
		})
	}
}

func TestSweep(t *testing.T) {
	d := newDaemon(t, script{forever: true})
	e := d.engine()
	tk := task(t, e)
	require.NoError(t, e.begin(t.Context(), tk))
	require.NoError(t, e.Sweep(t.Context(), func(attempt string) bool { return attempt == tk.Assignment.ID.String() }))
	require.Len(t, d.left(), 3)
	require.NoError(t, e.Remove(t.Context(), dispatch.AttemptID{Job: "job1other"}))
	require.Len(t, d.left(), 3)
	require.NoError(t, e.Remove(t.Context(), tk.Assignment.ID))
	require.Empty(t, d.left())
}

// TestImages: an image is loaded once, kept while it is used, and removed when there is too much.
func TestImages(t *testing.T) {
	d := newDaemon(t, script{})
	e := d.engine()
	first := task(t, e)
	require.Equal(t, 2, d.loads, "the image and the holder")
	task(t, e)
	require.Equal(t, 2, d.loads)
	img, err := image.BuildBytes(filepath.Join(t.TempDir(), "image"), []byte("another"), runtime.GOARCH)
	require.NoError(t, err)
	_, release, err := e.Load(t.Context(), img.Dir, img.Digest)
	require.NoError(t, err)
	require.Equal(t, 3, d.loads)
	require.NoError(t, e.Prune(t.Context(), false))
	require.Len(t, d.images, 3, "both are in use")
	release()
	require.NoError(t, e.Prune(t.Context(), false))
	require.Len(t, d.images, 2)
	require.Contains(t, d.images, first.Image.tag)
}

func TestLoadRefuses(t *testing.T) {
	d := newDaemon(t, script{})
	e := d.engine()
	large, err := image.BuildBytes(filepath.Join(t.TempDir(), "image"), make([]byte, 2<<20), runtime.GOARCH)
	require.NoError(t, err)
	var f *dispatch.Failure
	_, _, err = e.Load(t.Context(), large.Dir, large.Digest)
	require.ErrorAs(t, err, &f)
	require.Equal(t, dispatch.ReasonBadImage, f.Reason)
	_, _, err = e.Load(t.Context(), large.Dir, artifact.EmptyDigest)
	require.ErrorAs(t, err, &f)
	require.Equal(t, dispatch.ReasonBadImage, f.Reason)
	require.Zero(t, d.loads)
}

// TestGone: an engine that does not answer, at the beginning or in the middle, is the node's fault.
func TestGone(t *testing.T) {
	d := newDaemon(t, script{forever: true})
	e := d.engine()
	tk := task(t, e)
	go func() {
		for len(d.left()) < 3 {
			runtime.Gosched()
		}
		if err := d.server.Close(); err != nil {
			t.Error(err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.end(e.name(tk), 137)
	}()
	var f *dispatch.Failure
	_, err := e.Run(t.Context(), tk)
	require.ErrorAs(t, err, &f)
	require.Equal(t, dispatch.ReasonNode, f.Reason)
	_, _, err = e.Load(t.Context(), t.TempDir(), artifact.EmptyDigest)
	require.ErrorAs(t, err, &f)
	require.Equal(t, dispatch.ReasonNode, f.Reason)
}

func TestProbe(t *testing.T) {
	for says, edit := range map[string]func(map[string]any){
		"tasks need linux/":          func(i map[string]any) { i["OSType"] = "windows" },
		"riscv64 containers":         func(i map[string]any) { i["Architecture"] = "riscv64" },
		"cannot limit memory":        func(i map[string]any) { i["PidsLimit"] = false },
		"filters no system calls":    func(i map[string]any) { i["SecurityOptions"] = []string{} },
		"the Docker Engine does not": nil,
	} {
		d := newDaemon(t, script{})
		e := d.engine()
		require.NoError(t, e.Probe(t.Context()))
		if edit == nil {
			require.NoError(t, d.server.Close())
		} else {
			edit(d.info)
		}
		require.ErrorContains(t, e.Probe(t.Context()), says)
	}
	_, err := New(Options{Host: None})
	require.ErrorIs(t, err, ErrNone)
	_, err = New(Options{Host: "nonsense"})
	require.Error(t, err)
}

// TestHolderWaits runs the holder's few bytes of machine code as a process of this machine.
func TestHolderWaits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the holder is a Linux program")
	}
	file := filepath.Join(t.TempDir(), "hold")
	require.NoError(t, os.WriteFile(file, holdProgram(runtime.GOARCH), 0o755))
	cmd := exec.Command(file)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		t.Fatal("the holder ended by itself:", err)
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, cmd.Process.Kill())
	require.EqualError(t, <-ended, "signal: killed")
}
