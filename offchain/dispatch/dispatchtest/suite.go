package dispatchtest

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
)

// Open makes a dispatcher over the state in dir, and how to close it. Opening dir again is a restart.
type Open func(t testing.TB, dir string) (d dispatch.Dispatcher, closeIt func())

const patience = 2 * time.Minute

// Option changes how the suite reaches what it tests.
type Option func(*suite)

// WithRelease gives another way to let the guest's "wait" go on than a file in the inputs' folder: for dispatchers that copy the inputs.
func WithRelease(release func(*testing.T, dispatch.Assignment)) Option {
	return func(s *suite) { s.release = release }
}

// Run checks a dispatcher against what package dispatch promises.
func Run(t *testing.T, open Open, options ...Option) {
	s := &suite{open: open, guest: BuildGuest(t), release: release}
	for _, o := range options {
		o(s)
	}
	t.Run("Outcome", s.testOutcome)
	t.Run("Reasons", s.testReasons)
	t.Run("Isolation", s.testIsolation)
	t.Run("Reproducible", s.testReproducible)
	t.Run("StartIsIdempotent", s.testStartIsIdempotent)
	t.Run("Stop", s.testStop)
	t.Run("Restart", s.testRestart)
	t.Run("Watch", s.testWatch)
	t.Run("Remove", s.testRemove)
	t.Run("Unknown", s.testUnknown)
}

type suite struct {
	open    Open
	guest   Module
	release func(*testing.T, dispatch.Assignment)
}

func (s *suite) start(t *testing.T) dispatch.Dispatcher {
	d, closeIt := s.open(t, t.TempDir())
	t.Cleanup(closeIt)
	return d
}

// Assignment returns one of three tasks of the module, with limits that fit tests.
func Assignment(m Module, tasks uint32, args ...string) dispatch.Assignment {
	return dispatch.Assignment{
		ID: dispatch.AttemptID{Job: "job1test", Slice: 1, Attempt: 1}, Tasks: tasks, JobTasks: tasks, Engine: dispatch.EngineWASM,
		Module: m.Digest, ModulePath: m.Path, Args: args,
		CPUMilli: 500, MemoryMiB: 64, StorageMiB: 1, MaxDuration: time.Minute,
	}
}

// WithInputs gives the assignment a folder of inputs.
func WithInputs(t testing.TB, a dispatch.Assignment) dispatch.Assignment {
	a.InputsDir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(a.InputsDir, "input.txt"), []byte("input"), 0o644))
	var b bytes.Buffer
	require.NoError(t, artifact.Pack(&b, a.InputsDir, artifact.Limits{}))
	a.Inputs = artifact.DigestOf(b.Bytes())
	return a
}

// RunToEnd starts an assignment and waits for its outcome.
func RunToEnd(t testing.TB, d dispatch.Dispatcher, a dispatch.Assignment) dispatch.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, d.Start(ctx, a))
	out, err := d.Watch(ctx, a.ID, nil)
	require.NoError(t, err)
	require.Equal(t, a.ID, out.ID)
	require.Len(t, out.Tasks, int(a.Tasks))
	for i, task := range out.Tasks {
		require.Equal(t, a.FirstTask+uint32(i), task.Task)
	}
	return out
}

// ReadLog returns a task's log.
func ReadLog(t testing.TB, d dispatch.Dispatcher, id dispatch.AttemptID, task uint32) string {
	t.Helper()
	r, err := d.Logs(context.Background(), id, task)
	require.NoError(t, err)
	raw, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(raw)
}

// ResultFiles returns what a task's result holds, folders with a slash at the end, after checking its digest.
func ResultFiles(t testing.TB, task dispatch.TaskOutcome) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(task.ResultPath)
	require.NoError(t, err)
	require.Len(t, raw, int(task.ResultSize))
	dir := filepath.Join(t.TempDir(), "result")
	require.NoError(t, artifact.Unpack(bytes.NewReader(raw), dir, task.Result, artifact.Limits{}))
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if e.IsDir() {
			files[name+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		files[name] = string(content)
		return err
	}))
	return files
}

func (s *suite) testOutcome(t *testing.T) {
	d := s.start(t)
	a := WithInputs(t, Assignment(s.guest, 3, "report", "two words"))
	a.FirstTask, a.JobTasks = 4, 9
	a.Env = map[string]string{"Z": "last", "A": "first=1"}
	out := RunToEnd(t, d, a)
	for i, task := range out.Tasks {
		require.Equal(t, dispatch.ReasonOK, task.Reason, "%s\n%s", task.Message, ReadLog(t, d, a.ID, task.Task))
		require.Zero(t, task.ExitCode)
		require.Empty(t, task.Message)
		require.False(t, task.Started.IsZero())
		require.Positive(t, task.Duration())
		index := string(rune('4' + i))
		require.Equal(t, map[string]string{
			"sub/": "", "sub/deep/": "",
			"sub/report.txt": `args ["task" "report" "two words"]` + "\n" +
				`env ["A=first=1" "FOG_JOB=job1test" "FOG_TASK_COUNT=9" "FOG_TASK_INDEX=` + index + `" "PWD=/out" "Z=last"]` + "\n" +
				`/in/input.txt "input"` + "\n" + `stdin ""` + "\n",
		}, ResultFiles(t, task))
		require.Equal(t, "to standard output\nto standard error\n", ReadLog(t, d, a.ID, task.Task))
		logged, err := os.ReadFile(task.LogPath)
		require.NoError(t, err)
		require.Equal(t, "to standard output\nto standard error\n", string(logged))
	}
	require.NotEqual(t, out.Tasks[0].Result, out.Tasks[1].Result)

	bare := Assignment(s.guest, 1, "report", "no inputs")
	bare.ID.Slice = 2
	require.Contains(t, ResultFiles(t, RunToEnd(t, d, bare).Tasks[0])["sub/report.txt"], `stdin ""`)
}

func (s *suite) testReasons(t *testing.T) {
	d := s.start(t)
	limit := func(tasks uint32, args ...string) dispatch.Assignment {
		a := Assignment(s.guest, tasks, args...)
		a.MaxDuration = time.Second
		return a
	}
	for i, c := range []struct {
		name   string
		a      dispatch.Assignment
		reason dispatch.Reason
		code   uint32
	}{
		{"exit code", Assignment(s.guest, 2, "exit", "3"), dispatch.ReasonExit, 3},
		{"large exit code", Assignment(s.guest, 1, "exit", "256"), dispatch.ReasonExit, 255},
		{"negative exit code", Assignment(s.guest, 1, "exit", "-1"), dispatch.ReasonExit, 255},
		{"exit code 0", Assignment(s.guest, 1, "exit", "0"), dispatch.ReasonOK, 0},
		{"panic", Assignment(s.guest, 1, "panic"), dispatch.ReasonExit, 2},
		{"endless loop", limit(2, "spin"), dispatch.ReasonTimeout, 0},
		{"endless sleep", limit(1, "nap"), dispatch.ReasonTimeout, 0},
		{"memory", Assignment(s.guest, 1, "hog"), dispatch.ReasonMemory, 0},
		{"one large file", Assignment(s.guest, 1, "fill"), dispatch.ReasonOutput, 0},
		{"many files", Assignment(s.guest, 1, "names"), dispatch.ReasonOutput, 0},
		{"many folders", Assignment(s.guest, 1, "folders"), dispatch.ReasonOutput, 0},
		{"sparse file by truncate", Assignment(s.guest, 1, "truncate"), dispatch.ReasonOutput, 0},
		{"sparse file by seek", Assignment(s.guest, 1, "seek"), dispatch.ReasonOutput, 0},
		{"unlinked files", Assignment(s.guest, 1, "unlinked"), dispatch.ReasonOutput, 0},
		{"space is given back", Assignment(s.guest, 1, "shrink"), dispatch.ReasonOK, 0},
		{"flood of output", Assignment(s.guest, 1, "flood"), dispatch.ReasonOK, 0},
		{"not WebAssembly", Assignment(WriteModule(t, []byte("#!/bin/sh\n")), 2), dispatch.ReasonBadImage, 0},
		{"empty module file", Assignment(WriteModule(t, nil), 1), dispatch.ReasonBadImage, 0},
		{"no start function", Assignment(WriteModule(t, []byte("\x00asm\x01\x00\x00\x00")), 1), dispatch.ReasonBadImage, 0},
		{"another module", Assignment(Module{s.guest.Path, artifact.EmptyDigest}, 1), dispatch.ReasonBadImage, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.a.ID.Slice = uint32(i)
			for _, task := range RunToEnd(t, d, c.a).Tasks {
				require.Equal(t, c.reason, task.Reason, task.Message)
				require.Equal(t, c.code, task.ExitCode)
				require.Equal(t, c.reason == dispatch.ReasonOK, task.Message == "", task.Message)
				require.NotContains(t, task.Message, "\n")
				if task.Reason.KeepsOutput() {
					files := ResultFiles(t, task)
					if c.a.Args[0] == "exit" {
						require.Equal(t, map[string]string{"partial": "partial"}, files)
					}
				} else {
					require.Equal(t, artifact.EmptyDigest, task.Result)
					require.Empty(t, ResultFiles(t, task))
				}
			}
		})
	}
	// What went before has harmed nothing.
	a := Assignment(s.guest, 1, "exit", "0")
	a.ID.Slice = 999
	require.Equal(t, dispatch.ReasonOK, RunToEnd(t, d, a).Tasks[0].Reason)
}

func (s *suite) testIsolation(t *testing.T) {
	d := s.start(t)
	a := WithInputs(t, Assignment(s.guest, 1, "escape"))
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(a.InputsDir, "link")))
	require.NoError(t, os.Symlink("/etc", filepath.Join(a.InputsDir, "dirlink")))
	makePipe(t, filepath.Join(a.InputsDir, "pipe"))
	task := RunToEnd(t, d, a).Tasks[0]
	require.Equal(t, dispatch.ReasonOK, task.Reason, "%s\n%s", task.Message, ReadLog(t, d, a.ID, 0))
	require.Equal(t, map[string]string{"file": "x"}, ResultFiles(t, task))
	content, err := os.ReadFile(filepath.Join(a.InputsDir, "input.txt"))
	require.NoError(t, err)
	require.Equal(t, "input", string(content))
}

// testReproducible runs the same tasks in other slices and attempts, on other nodes, at another time.
func (s *suite) testReproducible(t *testing.T) {
	whole := Assignment(s.guest, 3, "chance")
	first := RunToEnd(t, s.start(t), whole)
	require.NotEqual(t, first.Tasks[0].Result, first.Tasks[1].Result)

	part := whole
	part.ID.Slice, part.ID.Attempt, part.FirstTask, part.Tasks = 7, 2, 1, 2
	second := RunToEnd(t, s.start(t), part)
	for i := range second.Tasks {
		require.Equal(t, dispatch.ReasonOK, second.Tasks[i].Reason, second.Tasks[i].Message)
		require.Equal(t, ResultFiles(t, first.Tasks[i+1]), ResultFiles(t, second.Tasks[i]))
		require.Equal(t, first.Tasks[i+1].Result, second.Tasks[i].Result)
	}
	other := whole
	other.ID.Job = "job1other"
	require.NotEqual(t, first.Tasks[0].Result, RunToEnd(t, s.start(t), other).Tasks[0].Result)
}

func (s *suite) testStartIsIdempotent(t *testing.T) {
	d := s.start(t)
	a := Assignment(s.guest, 2, "exit", "0")
	var started sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		started.Go(func() { errs[i] = d.Start(context.Background(), a) })
	}
	started.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	first := RunToEnd(t, d, a)
	require.Equal(t, first, RunToEnd(t, d, a))

	changed := a
	changed.Args = []string{"exit", "1"}
	require.ErrorIs(t, d.Start(context.Background(), changed), dispatch.ErrConflict)

	invalid := a
	invalid.ID.Job = "../../x"
	require.ErrorIs(t, d.Start(context.Background(), invalid), dispatch.ErrInvalidAssignment)
	impossible := a
	impossible.ID.Slice, impossible.CPUMilli = 3, 1<<30
	require.ErrorIs(t, d.Start(context.Background(), impossible), dispatch.ErrInvalidAssignment)
}
