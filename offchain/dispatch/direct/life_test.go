package direct

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
)

// TestDamagedState changes every file of a finished attempt in turn. What is damaged runs again and has the same outcome.
func TestDamagedState(t *testing.T) {
	dir := t.TempDir()
	guest := dispatchtest.BuildGuest(t)
	a := dispatchtest.Assignment(guest, 2, "report", "x")
	d := openDirect(t, Options{Dir: dir})
	want := dispatchtest.RunToEnd(t, d, a)
	require.NoError(t, d.Close())

	attempt := attemptDir(dir, a.ID)
	for _, c := range []struct {
		name, file string
		change     func([]byte) []byte
		rerun      []bool
	}{
		{"nothing", doneFile, func(b []byte) []byte { return b }, []bool{false, false}},
		{"done cut", doneFile, func(b []byte) []byte { return b[:len(b)/2] }, []bool{true, false}},
		{"done empty", doneFile, func([]byte) []byte { return nil }, []bool{true, false}},
		{"done changed", doneFile, func(b []byte) []byte { return []byte(strings.Replace(string(b), `"ok"`, `"no"`, 1)) }, []bool{true, false}},
		{"result changed", resultName, func(b []byte) []byte { b[len(b)/2]++; return b }, []bool{true, false}},
		{"result cut", resultName, func(b []byte) []byte { return b[:512] }, []bool{true, false}},
		{"attempt damaged", "../../" + attemptFile, func(b []byte) []byte { return b[1:] }, []bool{true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(taskDir(attempt, 0), c.file)
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, c.change(raw), 0o600))
			d := openDirect(t, Options{Dir: dir})
			got := dispatchtest.RunToEnd(t, d, a)
			for i := range got.Tasks {
				require.Equal(t, want.Tasks[i].Result, got.Tasks[i].Result)
				require.Equal(t, c.rerun[i], !got.Tasks[i].Started.Equal(want.Tasks[i].Started), "task %d", i)
			}
			require.NoError(t, d.Close())
			want = got
		})
	}
}

// TestNothingIsLeft starts, fails, stops and removes, and looks for what stays: goroutines, open files, files on disk.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	guest := dispatchtest.BuildGuest(t)
	round := func() {
		d := openDirect(t, Options{Dir: dir})
		for i, args := range [][]string{{"exit", "0"}, {"exit", "1"}, {"panic"}, {"fill"}, {"spin"}} {
			a := dispatchtest.Assignment(guest, 2, args...)
			a.ID.Slice = uint32(i)
			require.NoError(t, d.Start(context.Background(), a))
			if args[0] == "spin" {
				require.NoError(t, d.Stop(context.Background(), a.ID))
			}
			_, err := d.Watch(context.Background(), a.ID, nil)
			require.NoError(t, err)
			require.NoDirExists(t, filepath.Join(taskDir(attemptDir(dir, a.ID), 0), outName))
		}
		kept, err := d.Kept()
		require.NoError(t, err)
		require.Len(t, kept, 5)
		for _, id := range kept {
			require.NoError(t, d.Remove(context.Background(), id))
		}
		require.NoError(t, d.Close())
		left, err := os.ReadDir(filepath.Join(dir, attemptsName))
		require.NoError(t, err)
		require.Empty(t, left)
	}
	round() // what the runtime starts once stays
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	round()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // wazero's watchdogs end a moment after the call they watched
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
	require.LessOrEqual(t, openFiles(t), files)
}

func openFiles(t *testing.T) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func TestLogLimit(t *testing.T) {
	d := openDirect(t, Options{Dir: t.TempDir(), LogLimit: 1000})
	a := dispatchtest.Assignment(dispatchtest.BuildGuest(t), 1, "flood")
	require.Equal(t, dispatch.ReasonOK, dispatchtest.RunToEnd(t, d, a).Tasks[0].Reason)
	log := dispatchtest.ReadLog(t, d, a.ID, 0)
	note := "\n[fog: the log is full; 12001000 more bytes were dropped]\n"
	require.Equal(t, 1000+len(note), len(log))
	require.True(t, strings.HasSuffix(log, note), log[900:])
}

// TestDamagedCache puts rubbish where compiled modules are.
func TestDamagedCache(t *testing.T) {
	dir := t.TempDir()
	guest := dispatchtest.BuildGuest(t)
	for i := range 2 {
		d := openDirect(t, Options{Dir: dir, CacheDir: filepath.Join(dir, "cache")})
		a := dispatchtest.Assignment(guest, 1, "exit", "0")
		a.ID.Slice = uint32(i)
		task := dispatchtest.RunToEnd(t, d, a).Tasks[0]
		require.Equal(t, dispatch.ReasonOK, task.Reason, task.Message)
		require.NoError(t, d.Close())
		files, err := filepath.Glob(filepath.Join(dir, "cache", "*", "*"))
		require.NoError(t, err)
		for _, f := range files {
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			raw[len(raw)/2]++
			require.NoError(t, os.WriteFile(f, raw, 0o600))
		}
	}
}

func TestPruneCache(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "v"), 0o700))
	for i := range cachedModules + 5 {
		f := filepath.Join(dir, "v", string(rune('A'+i)))
		require.NoError(t, os.WriteFile(f, nil, 0o600))
		require.NoError(t, os.Chtimes(f, time.Time{}, time.Unix(int64(1000+i), 0)))
	}
	require.NoError(t, pruneCache(dir))
	left, err := filepath.Glob(filepath.Join(dir, "v", "*"))
	require.NoError(t, err)
	require.Len(t, left, cachedModules)
	require.NoFileExists(t, filepath.Join(dir, "v", "A"))
	require.FileExists(t, filepath.Join(dir, "v", string(rune('A'+5))))
}

func TestGate(t *testing.T) {
	g := newGate(2000, 100)
	a := dispatch.Assignment{CPUMilli: 500, MemoryMiB: 40} // memory for 2, processors for 4
	require.NoError(t, g.fits(a))
	require.ErrorIs(t, g.fits(dispatch.Assignment{CPUMilli: 2001}), dispatch.ErrInvalidAssignment)
	require.ErrorIs(t, g.fits(dispatch.Assignment{MemoryMiB: 101}), dispatch.ErrInvalidAssignment)
	var inside, most atomic.Int32
	var tasks sync.WaitGroup
	for range 20 {
		tasks.Go(func() {
			if err := g.enter(context.Background(), a); err != nil {
				return
			}
			defer g.leave(a)
			now := inside.Add(1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			time.Sleep(time.Millisecond)
			inside.Add(-1)
		})
	}
	tasks.Wait()
	require.EqualValues(t, 2, most.Load())

	ctx, cancel := context.WithCancel(context.Background())
	require.NoError(t, g.enter(ctx, dispatch.Assignment{CPUMilli: 100, MemoryMiB: 100}))
	cancel()
	require.ErrorIs(t, g.enter(ctx, a), context.Canceled)
	g.leave(dispatch.Assignment{CPUMilli: 100, MemoryMiB: 100})
	require.NoError(t, g.enter(context.Background(), dispatch.Assignment{CPUMilli: 2000, MemoryMiB: 100}), "something was not given back")
}

func TestVirtualClock(t *testing.T) {
	var c virtualClock
	require.Equal(t, clockStep, c.nanotime())
	c.sleep(int64(time.Hour))
	c.sleep(-5)
	sec, nsec := c.walltime()
	require.Equal(t, epoch.Add(time.Hour+2*time.Microsecond), time.Unix(sec, int64(nsec)).UTC())
	for range 10 {
		before := c.nanotime()
		c.sleep(1 << 62)
		require.GreaterOrEqual(t, c.nanotime(), before)
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Options{})
	require.Error(t, err)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = New(Options{Dir: file})
	require.Error(t, err)
}

// BenchmarkTaskStart is what a task costs that does nothing: its share of an attempt with a compiled module.
func BenchmarkTaskStart(b *testing.B) {
	guest := dispatchtest.BuildGuest(b)
	d := openDirect(b, Options{Dir: b.TempDir()})
	const tasks = 64
	warm := dispatchtest.Assignment(guest, 1, "exit", "0") // compiles
	dispatchtest.RunToEnd(b, d, warm)
	attempt := warm.ID.Attempt
	for b.Loop() {
		attempt++
		a := dispatchtest.Assignment(guest, tasks, "exit", "0")
		a.ID.Attempt = attempt
		dispatchtest.RunToEnd(b, d, a)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(tasks*b.N), "ms/task")
}
