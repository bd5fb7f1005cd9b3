package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/direct"
)

// Names below the task's folder.
const (
	ModuleFile  = "module"
	InputsFile  = "inputs.tar"
	InputsDir   = "in"
	OutcomeFile = "fog/outcome.json"
	ResultFile  = "fog/result.tar"
	LogFile     = "fog/log"

	leftDir, stateDir = "fog", "state"
)

// Variables that Nomad sets for every task.
const (
	EnvTaskDir = "NOMAD_TASK_DIR"
	EnvIndex   = "NOMAD_ALLOC_INDEX"
)

// EnvCache names a folder for compiled modules that runners share. They are machine code: nobody but runners may write there. By default each
// task compiles its module for itself.
const EnvCache = "FOG_RUNNER_CACHE"

// ExitFailed is the exit code of a runner whose task ended otherwise than by an exit code of its own.
const ExitFailed = 125

// RunningLog is where the log of a running task lies, below the task's folder.
func RunningLog(id dispatch.AttemptID, task uint32) string {
	return path.Join(stateDir, direct.LogPath(id, task))
}

// Run runs one task of the assignment in args to its end and returns the exit code for Nomad. If ctx ends first, there is no outcome:
// then ctx's error comes back.
func Run(ctx context.Context, args []string, getenv func(string) string) (int, error) {
	dir := getenv(EnvTaskDir)
	if dir == "" {
		return 0, fmt.Errorf("%s is not set; this program runs inside a Nomad task only", EnvTaskDir)
	}
	index, err := strconv.ParseUint(getenv(EnvIndex), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s is not a number: %w", EnvIndex, err)
	}
	a, err := ParseArgs(args)
	if err != nil {
		return 0, err
	}
	if index >= uint64(a.Tasks) {
		return 0, fmt.Errorf("%s is %d, but attempt %s has %d tasks", EnvIndex, index, a.ID, a.Tasks)
	}
	a.FirstTask, a.Tasks = a.FirstTask+uint32(index), 1
	out, err := runTask(ctx, dir, getenv(EnvCache), a)
	if err != nil {
		return 0, err
	}
	if err := leave(dir, out); err != nil {
		return 0, err
	}
	switch out.Reason {
	case dispatch.ReasonOK:
		return 0, nil
	case dispatch.ReasonExit:
		return int(out.ExitCode), nil
	default:
		return ExitFailed, nil
	}
}

// runTask runs the one task of a.
func runTask(ctx context.Context, dir, cache string, a dispatch.Assignment) (_ dispatch.TaskOutcome, err error) {
	a.ModulePath = filepath.Join(dir, ModuleFile)
	if !a.Inputs.IsZero() {
		a.InputsDir = filepath.Join(dir, InputsDir)
		if err := unpackInputs(dir, a); err != nil {
			if ctx.Err() != nil {
				return dispatch.TaskOutcome{}, ctx.Err()
			}
			return notRun(a.FirstTask, err), nil
		}
	}
	d, err := direct.New(direct.Options{
		Dir: filepath.Join(dir, stateDir), CacheDir: cache, CPUMilli: a.CPUMilli, MemoryMiB: uint64(a.MemoryMiB),
	})
	if err != nil {
		return dispatch.TaskOutcome{}, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Start(ctx, a); err != nil {
		return dispatch.TaskOutcome{}, err
	}
	out, err := d.Watch(ctx, a.ID, nil)
	if err != nil {
		return dispatch.TaskOutcome{}, err
	}
	return out.Tasks[0], nil
}

// unpackInputs fills the folder of the inputs, once: a task that Nomad starts again finds it full.
func unpackInputs(dir string, a dispatch.Assignment) error {
	if _, err := os.Stat(a.InputsDir); err == nil {
		return nil
	}
	in, err := os.Open(filepath.Join(dir, InputsFile))
	if err != nil {
		return err
	}
	part := a.InputsDir + ".part"
	err = errors.Join(os.RemoveAll(part), artifact.Unpack(in, part, a.Inputs, artifact.Limits{}), in.Close())
	if err == nil {
		err = os.Rename(part, a.InputsDir)
	}
	return err
}

// notRun is the outcome of a task whose inputs could not be unpacked: its own fault, unless the machine has no room.
func notRun(task uint32, err error) dispatch.TaskOutcome {
	out := dispatch.TaskOutcome{
		Task: task, Reason: dispatch.ReasonBadImage, Message: fmt.Sprintf("the inputs cannot be unpacked: %.300v", err),
		Result: artifact.EmptyDigest,
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		out.Reason = dispatch.ReasonNode
	}
	return out
}

// leave puts the result, the log and at last the outcome where package nomad looks for them.
func leave(dir string, out dispatch.TaskOutcome) error {
	if err := os.MkdirAll(filepath.Join(dir, leftDir), 0o755); err != nil {
		return err
	}
	for _, f := range []struct{ from, to string }{{out.ResultPath, ResultFile}, {out.LogPath, LogFile}} {
		if f.from == "" {
			continue
		}
		if err := os.Rename(f.from, filepath.Join(dir, f.to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, OutcomeFile)
	if err := os.WriteFile(file+".part", raw, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}
