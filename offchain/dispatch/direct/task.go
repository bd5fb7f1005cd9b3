package direct

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
)

const (
	outName, logName, resultName = "out", "log", "result.tar"
	inPath, outPath              = "/in", "/out"
	argv0                        = "task"
)

// errAbandoned ends tasks when the dispatcher closes: they have no outcome, and run again after the restart.
var errAbandoned = errors.New("abandoned")

// run is one execution of one task in its folder.
type run struct {
	assignment dispatch.Assignment
	task       uint32
	dir        string
	logLimit   int64
}

// execute runs the task to its end, whatever it does, and packs its result. The error is errAbandoned or nil; all else is an outcome.
func (r run) execute(ctx context.Context, p *program) (dispatch.TaskOutcome, error) {
	out := dispatch.TaskOutcome{Task: r.task, Started: time.Now().UTC()}
	code, f := r.prepareAndCall(ctx, p)
	out.Finished = time.Now().UTC()
	if errors.Is(context.Cause(ctx), errAbandoned) {
		return out, errAbandoned
	}
	settle(&out, code, f)
	if err := r.pack(&out); err != nil {
		f := nodeFailure("pack the result", err)
		if errors.Is(err, artifact.ErrLimit) || errors.Is(err, artifact.ErrUnsupportedFile) {
			f = failf(dispatch.ReasonOutput, "the output folder cannot be packed: %v", err)
		}
		settle(&out, 0, f)
		if err := r.pack(&out); err != nil {
			// Nothing can be written, but the result of a task without output is known.
			settle(&out, 0, nodeFailure("pack the result", err))
			out.Result, out.ResultSize = artifact.EmptyDigest, 0
		}
	}
	return out, nil
}

func settle(out *dispatch.TaskOutcome, code uint32, f *failure) {
	out.Reason, out.ExitCode, out.Message = dispatch.ReasonOK, 0, ""
	switch {
	case f != nil:
		out.Reason, out.Message = f.reason, f.message
	case code != 0:
		out.Reason, out.ExitCode = dispatch.ReasonExit, min(code, dispatch.MaxExitCode)
		out.Message = fmt.Sprintf("exit code %d", code)
	}
}

func (r run) prepareAndCall(ctx context.Context, p *program) (code uint32, f *failure) {
	if err := os.RemoveAll(r.dir); err != nil {
		return 0, nodeFailure("clear the task's folder", err)
	}
	if err := os.MkdirAll(filepath.Join(r.dir, outName), 0o755); err != nil {
		return 0, nodeFailure("make the task's folder", err)
	}
	logFile, err := os.Create(filepath.Join(r.dir, logName))
	if err != nil {
		return 0, nodeFailure("make the log", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := &guard{cancel: cancel}
	log := &logWriter{f: logFile, left: r.logLimit, guard: g}
	code, f = r.callWithMemory(ctx, p, g, log)
	if err := log.close(); err != nil && f == nil {
		f = nodeFailure("close the log", err)
	}
	if f == nil {
		f = g.failed
	}
	return code, f
}

func (r run) callWithMemory(ctx context.Context, p *program, g *guard, log *logWriter) (code uint32, f *failure) {
	region, err := reserve(int(r.assignment.MemoryMiB) << 20)
	if err != nil {
		return 0, nodeFailure("reserve memory", err)
	}
	memory := &linearMemory{region: region}
	code, f = r.callWithMounts(experimental.WithMemoryAllocator(ctx, memory), p, g, log)
	if memory.denied && (code != 0 || f != nil && f.reason == dispatch.ReasonTrap) {
		code, f = 0, failf(dispatch.ReasonMemory, "more than %d MiB of memory", r.assignment.MemoryMiB)
	}
	if err := release(region); err != nil && f == nil {
		f = nodeFailure("release memory", err)
	}
	return code, f
}

func (r run) callWithMounts(ctx context.Context, p *program, g *guard, log *logWriter) (code uint32, f *failure) {
	opens := 0
	outRoot, err := os.OpenRoot(filepath.Join(r.dir, outName))
	if err != nil {
		return 0, nodeFailure("open the output folder", err)
	}
	roots := []*os.Root{outRoot}
	mounts := wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(
		&mount{root: outRoot, dev: 1, opens: &opens, guard: g, quota: newQuota(int64(r.assignment.StorageMiB)<<20, g)}, outPath)
	if r.assignment.InputsDir != "" {
		inRoot, err := os.OpenRoot(r.assignment.InputsDir)
		if err != nil {
			f = nodeFailure("open the inputs", err)
		} else {
			roots = append(roots, inRoot)
			mounts = mounts.(sysfs.FSConfig).WithSysFSMount(&mount{root: inRoot, dev: 2, opens: &opens, guard: g}, inPath)
		}
	}
	if f == nil {
		code, f = r.call(ctx, p, g, r.moduleConfig(mounts, log))
	}
	for _, root := range roots {
		if err := root.Close(); err != nil && f == nil {
			f = nodeFailure("close a folder", err)
		}
	}
	return code, f
}

func (r run) moduleConfig(mounts wazero.FSConfig, log *logWriter) wazero.ModuleConfig {
	a, clock := r.assignment, &virtualClock{}
	resolution := sys.ClockResolution(clockStep)
	cfg := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithFSConfig(mounts).WithStdout(log).WithStderr(log).
		WithArgs(append([]string{argv0}, a.Args...)...).
		WithWalltime(clock.walltime, resolution).WithNanotime(clock.nanotime, resolution).WithNanosleep(clock.sleep).
		WithRandSource(taskRandom(a.ID.Job, r.task)).
		WithEnv("FOG_JOB", a.ID.Job).
		WithEnv("FOG_TASK_INDEX", strconv.FormatUint(uint64(r.task), 10)).
		WithEnv("FOG_TASK_COUNT", strconv.FormatUint(uint64(a.JobTasks), 10)).
		WithEnv("PWD", outPath)
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		cfg = cfg.WithEnv(name, a.Env[name])
	}
	return cfg
}

// call runs the module's command under the time limit. Nothing of the module runs any more when it returns.
func (r run) call(ctx context.Context, p *program, g *guard, cfg wazero.ModuleConfig) (code uint32, f *failure) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.assignment.MaxDuration,
		failf(dispatch.ReasonTimeout, "it ran longer than %s", r.assignment.MaxDuration))
	defer cancel()
	defer func() { // a defect of the runtime must not take the agent down
		if v := recover(); v != nil {
			f = failf(dispatch.ReasonNode, "the WebAssembly runtime failed: %.200s", fmt.Sprint(v))
		}
	}()
	instance, err := p.runtime.InstantiateModule(ctx, p.compiled, cfg)
	if err == nil {
		_, err = instance.ExportedFunction(startFunction).Call(ctx)
		// The module is closed already if it exited; closing again does nothing.
		err = errors.Join(err, instance.Close(context.WithoutCancel(ctx)))
	}
	return verdict(ctx, g, err)
}

// verdict says how a call ended. A failure that the host found comes before all that the task made of it.
func verdict(ctx context.Context, g *guard, err error) (code uint32, f *failure) {
	var exit *sys.ExitError
	switch {
	case g.failed != nil:
		return 0, g.failed
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		stopped := exit.ExitCode() == sys.ExitCodeContextCanceled || exit.ExitCode() == sys.ExitCodeDeadlineExceeded
		if !stopped || ctx.Err() == nil {
			return exit.ExitCode(), nil
		}
	case ctx.Err() == nil:
		return 0, failf(dispatch.ReasonTrap, "it crashed: %s", firstLine(err))
	}
	if errors.As(context.Cause(ctx), &f) {
		return 0, f
	}
	return 0, failf(dispatch.ReasonStopped, "it was stopped: %v", context.Cause(ctx))
}

// pack turns the output folder, or nothing if the task does not keep it, into the result, and removes it.
func (r run) pack(out *dispatch.TaskOutcome) (err error) {
	dir := filepath.Join(r.dir, outName)
	if !out.Reason.KeepsOutput() {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	out.Result, out.ResultSize, err = artifact.PackFile(filepath.Join(r.dir, resultName), dir, artifact.Limits{})
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// firstLine leaves the stack trace out of a message.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Sprintf("%.300s", line)
}
