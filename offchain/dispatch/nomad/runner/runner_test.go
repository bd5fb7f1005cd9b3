package runner_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

func order(a dispatch.Assignment) runner.Order { return runner.Order{Assignment: a} }

func TestArgsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := dispatch.Assignment{
			ID: dispatch.AttemptID{Job: "job1x", Slice: rapid.Uint32().Draw(t, "slice")}, Module: artifact.EmptyDigest,
			Args: rapid.SliceOfN(rapid.String(), 1, 20).Draw(t, "args"), MaxDuration: time.Minute,
			Env: rapid.MapOfN(rapid.StringN(1, 5, -1), rapid.String(), 1, 5).Draw(t, "env"),
		}
		args, err := runner.Args(order(a))
		require.NoError(t, err)
		got, err := runner.ParseArgs(args)
		require.NoError(t, err)
		require.Equal(t, order(a), got)
	})
}

// TestLongArgs: what Linux does not take as one string is split.
func TestLongArgs(t *testing.T) {
	long := make([]byte, 250<<10)
	for i, x := 0, uint32(1); i < len(long); i++ {
		x = x*1664525 + 1013904223
		long[i] = 'a' + byte(x>>24)%26
	}
	args, err := runner.Args(order(dispatch.Assignment{Args: []string{string(long)}}))
	require.NoError(t, err)
	require.Greater(t, len(args), 1)
	for _, a := range args {
		require.Less(t, len(a), 128<<10)
	}
	got, err := runner.ParseArgs(args)
	require.NoError(t, err)
	require.Equal(t, string(long), got.Args[0])
}

func TestParseArgsRefuses(t *testing.T) {
	bomb, err := runner.Args(order(dispatch.Assignment{Args: []string{strings.Repeat("a", 3<<20)}}))
	require.NoError(t, err)
	for name, args := range map[string][]string{"nothing": nil, "no base64": {"$"}, "no archive": {"AAAA"}, "too much": bomb} {
		_, err := runner.ParseArgs(args)
		require.Error(t, err, name)
	}
}

func env(dir, index string) func(string) string {
	vars := map[string]string{runner.EnvTaskDir: dir, runner.EnvIndex: index}
	return func(name string) string { return vars[name] }
}

func TestRun(t *testing.T) {
	guest := dispatchtest.BuildGuest(t)
	a := dispatchtest.Assignment(guest, 4, "exit", "3")
	a.FirstTask, a.JobTasks = 10, 20
	args, err := runner.Args(order(a))
	require.NoError(t, err)
	for name, refused := range map[string]func(string) string{
		"no folder": env("", "0"), "no index": env(t.TempDir(), ""), "beyond": env(t.TempDir(), "4"),
	} {
		_, err := runner.Run(context.Background(), args, refused)
		require.Error(t, err, name)
	}

	dir := t.TempDir()
	module, err := os.ReadFile(guest.Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, runner.ModuleFile), module, 0o644))
	code, err := runner.Run(context.Background(), args, env(dir, "2"))
	require.NoError(t, err)
	require.Equal(t, 3, code)
	raw, err := os.ReadFile(filepath.Join(dir, runner.OutcomeFile))
	require.NoError(t, err)
	require.Contains(t, string(raw), `"task":12,"reason":"exit","exit_code":3`)
	require.FileExists(t, filepath.Join(dir, runner.ResultFile))
	require.FileExists(t, filepath.Join(dir, runner.LogFile))
}

func TestDamagedInputs(t *testing.T) {
	guest := dispatchtest.BuildGuest(t)
	a := dispatchtest.Assignment(guest, 1, "exit", "0")
	a.Inputs, a.InputsDir = artifact.DigestOf([]byte("others")), "/in"
	args, err := runner.Args(order(a))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, runner.InputsFile), []byte("no archive"), 0o644))
	code, err := runner.Run(context.Background(), args, env(dir, "0"))
	require.NoError(t, err)
	require.Equal(t, runner.ExitFailed, code)
	raw, err := os.ReadFile(filepath.Join(dir, runner.OutcomeFile))
	require.NoError(t, err)
	require.Contains(t, string(raw), `"reason":"bad-image"`)
}

// TestStopped: a runner that is told to end leaves no outcome.
func TestStopped(t *testing.T) {
	guest := dispatchtest.BuildGuest(t)
	args, err := runner.Args(order(dispatchtest.Assignment(guest, 1, "spin")))
	require.NoError(t, err)
	dir := t.TempDir()
	module, err := os.ReadFile(guest.Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, runner.ModuleFile), module, 0o644))
	ctx, stop := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := runner.Run(ctx, args, env(dir, "0"))
		done <- err
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "state"))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	stop(errors.New("told to end"))
	require.ErrorIs(t, <-done, context.Canceled)
	require.NoFileExists(t, filepath.Join(dir, runner.OutcomeFile))
}
