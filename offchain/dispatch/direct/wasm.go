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

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// call implements program.
func (p *module) call(ctx context.Context, r run, g *guard, log *logWriter) (exit, *dispatch.Failure) {
	code, f := r.callWithMemory(ctx, p, g, log)
	return exit{code: code}, f
}

func (r run) callWithMemory(ctx context.Context, p *module, g *guard, log *logWriter) (code uint32, f *dispatch.Failure) {
	region, err := reserve(int(r.assignment.MemoryMiB) << 20)
	if err != nil {
		return 0, dispatch.NodeFailure("reserve memory", err)
	}
	memory := &linearMemory{region: region}
	code, f = r.callWithMounts(experimental.WithMemoryAllocator(ctx, memory), p, g, log)
	if memory.denied && (code != 0 || f != nil && f.Reason == dispatch.ReasonTrap) {
		code, f = 0, dispatch.Failf(dispatch.ReasonMemory, "more than %d MiB of memory", r.assignment.MemoryMiB)
	}
	if err := release(region); err != nil && f == nil {
		f = dispatch.NodeFailure("release memory", err)
	}
	return code, f
}

func (r run) callWithMounts(ctx context.Context, p *module, g *guard, log *logWriter) (code uint32, f *dispatch.Failure) {
	opens := 0
	outRoot, err := os.OpenRoot(filepath.Join(r.dir, outName))
	if err != nil {
		return 0, dispatch.NodeFailure("open the output folder", err)
	}
	roots := []*os.Root{outRoot}
	mounts := wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(
		&mount{root: outRoot, dev: 1, opens: &opens, guard: g, quota: newQuota(int64(r.assignment.StorageMiB)<<20, g)}, outPath)
	if r.assignment.InputsDir != "" {
		inRoot, err := os.OpenRoot(r.assignment.InputsDir)
		if err != nil {
			f = dispatch.NodeFailure("open the inputs", err)
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
			f = dispatch.NodeFailure("close a folder", err)
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
	for _, s := range a.Secrets {
		cfg = cfg.WithEnv(s.Name, string(s.Value))
	}
	return cfg
}

// call runs the module's command under the time limit. Nothing of the module runs any more when it returns.
func (r run) call(ctx context.Context, p *module, g *guard, cfg wazero.ModuleConfig) (code uint32, f *dispatch.Failure) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.assignment.MaxDuration,
		dispatch.Failf(dispatch.ReasonTimeout, "it ran longer than %s", r.assignment.MaxDuration))
	defer cancel()
	defer func() { // a defect of the runtime must not take the agent down
		if v := recover(); v != nil {
			f = dispatch.Failf(dispatch.ReasonNode, "the WebAssembly runtime failed: %.200s", fmt.Sprint(v))
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
func verdict(ctx context.Context, g *guard, err error) (code uint32, f *dispatch.Failure) {
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
		return 0, dispatch.Failf(dispatch.ReasonTrap, "it crashed: %s", firstLine(err))
	}
	if errors.As(context.Cause(ctx), &f) {
		return 0, f
	}
	return 0, dispatch.Failf(dispatch.ReasonStopped, "it was stopped: %v", context.Cause(ctx))
}

// firstLine leaves the stack trace out of a message.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Sprintf("%.300s", line)
}
