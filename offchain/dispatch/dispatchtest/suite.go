package dispatchtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/image"
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

// WithCheckedImages leaves out images whose content is not what their digest says, for dispatchers that only name images: registry and engine check them.
func WithCheckedImages() Option {
	return func(s *suite) { s.checkedImages = true }
}

// Run checks a dispatcher of WebAssembly modules against what package dispatch promises.
func Run(t *testing.T, open Open, options ...Option) {
	s := &suite{open: open, guest: BuildGuest(t), argv0: "task", release: release}
	s.reasons = s.moduleReasons
	for _, o := range options {
		o(s)
	}
	t.Run("Isolation", s.testIsolation)
	t.Run("Reproducible", s.testReproducible)
	s.run(t)
}

// RunDocker checks a dispatcher of container images: the same promises, but for what a container's kernel decides.
func RunDocker(t *testing.T, open Open, options ...Option) {
	s := &suite{
		open: open, guest: BuildGuestImage(t), argv0: image.ProgramPath, unordered: true, release: release,
		env: []string{"HOME=/", "HOSTNAME=task", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	s.reasons = s.imageReasons
	for _, o := range options {
		o(s)
	}
	s.run(t)
}

func (s *suite) run(t *testing.T) {
	t.Run("Outcome", s.testOutcome)
	t.Run("Reasons", s.testReasons)
	t.Run("StartIsIdempotent", s.testStartIsIdempotent)
	t.Run("Stop", s.testStop)
	t.Run("Restart", s.testRestart)
	t.Run("Watch", s.testWatch)
	t.Run("Remove", s.testRemove)
	t.Run("Unknown", s.testUnknown)
	t.Run("Observe", s.testObserve)
}

type suite struct {
	open  Open
	guest Module
	// argv0 and env are what the engine adds to a task's arguments and environment.
	argv0 string
	env   []string
	// unordered says that lines of standard output and error may change places.
	unordered bool
	// checkedImages says that images are what they are called.
	checkedImages bool
	reasons       func(t *testing.T) []reasonCase
	release       func(*testing.T, dispatch.Assignment)
}

func (s *suite) start(t *testing.T) dispatch.Dispatcher {
	d, closeIt := s.open(t, t.TempDir())
	t.Cleanup(closeIt)
	return d
}

// Assignment returns one of three tasks of the module, with limits that fit tests.
func Assignment(m Module, tasks uint32, args ...string) dispatch.Assignment {
	return dispatch.Assignment{
		ID: dispatch.AttemptID{Job: "job1test", Slice: 1, Attempt: 1}, Tasks: tasks, JobTasks: tasks,
		Engine: cmp.Or(m.Engine, dispatch.EngineWASM),
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
			"sub/report.txt": fmt.Sprintf("args %q\nenv %q\n", []string{s.argv0, "report", "two words"}, s.environ("A=first=1",
				"FOG_JOB=job1test", "FOG_TASK_COUNT=9", "FOG_TASK_INDEX="+index, "PWD=/out", "Z=last")) +
				`/in/input.txt "input"` + "\n" + `stdin ""` + "\n",
		}, ResultFiles(t, task))
		log := ReadLog(t, d, a.ID, task.Task)
		if !s.unordered || !strings.HasPrefix(log, "to standard error\n") {
			require.Equal(t, "to standard output\nto standard error\n", log)
		} else {
			require.Equal(t, "to standard error\nto standard output\n", log)
		}
		logged, err := os.ReadFile(task.LogPath)
		require.NoError(t, err)
		require.Equal(t, log, string(logged))
	}
	require.NotEqual(t, out.Tasks[0].Result, out.Tasks[1].Result)

	bare := Assignment(s.guest, 1, "report", "no inputs")
	bare.ID.Slice = 2
	require.Contains(t, ResultFiles(t, RunToEnd(t, d, bare).Tasks[0])["sub/report.txt"], `stdin ""`)
}

// environ is an environment with what the engine adds, in order.
func (s *suite) environ(vars ...string) []string {
	return slices.Sorted(slices.Values(slices.Concat(vars, s.env)))
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
