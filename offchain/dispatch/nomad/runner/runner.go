package runner

import (
	"context"
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
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/inside"
)

// Names below the folder of what goes in and out.
const (
	ModuleFile  = "module"
	InputsFile  = "inputs.tar"
	InputsDir   = "in"
	OutcomeFile = "fog/outcome.json"
	ResultFile  = "fog/result.tar"
	LogFile     = "fog/log"
	// ServiceFile says how a service is, as a dispatch.ServiceState.
	ServiceFile = "fog/service.json"
	// UsageFile says what the container takes, as dispatch.Stats.
	UsageFile = "fog/usage.json"
	// ProgramFile is the runner's own program, for containers of other images.
	ProgramFile = "fog-runner"

	leftDir, stateDir = "fog", "state"
)

// Variables that Nomad sets for every task.
const (
	EnvTaskDir    = "NOMAD_TASK_DIR"
	EnvAllocDir   = "NOMAD_ALLOC_DIR"
	EnvSecretsDir = "NOMAD_SECRETS_DIR"
	EnvIndex      = "NOMAD_ALLOC_INDEX"
)

// EnvCache names a folder for compiled modules that runners share. They are machine code: nobody but runners may write there. By default each
// task compiles its module for itself.
const EnvCache = "FOG_RUNNER_CACHE"

// PrepareCommand comes before the other arguments of a runner that is to Prepare.
const PrepareCommand = "prepare"

// ExitFailed is the exit code of a runner whose task ended otherwise than by an exit code of its own.
const ExitFailed = 125

// RunningLog is where the log of a running task lies, below the folder of what goes in and out.
func RunningLog(id dispatch.AttemptID, task uint32) string {
	return path.Join(stateDir, direct.LogPath(id, task))
}

// parse reads the order, and reduces it to the one task that Nomad means.
func parse(args []string, getenv func(string) string) (Order, error) {
	index, err := strconv.ParseUint(getenv(EnvIndex), 10, 32)
	if err != nil {
		return Order{}, fmt.Errorf("%s is not a number: %w", EnvIndex, err)
	}
	o, err := ParseArgs(args)
	if err != nil {
		return o, err
	}
	if index >= uint64(o.Tasks) {
		return o, fmt.Errorf("%s is %d, but attempt %s has %d tasks", EnvIndex, index, o.ID, o.Tasks)
	}
	o.FirstTask, o.Tasks = o.FirstTask+uint32(index), 1
	return o, nil
}

// folder is where the files of a task lie.
func (o Order) folder(getenv func(string) string) (string, error) {
	name := EnvTaskDir
	if o.Image != nil {
		name = EnvAllocDir
	}
	if dir := getenv(name); dir != "" {
		return dir, nil
	}
	return "", fmt.Errorf("%s is not set; this program runs inside a Nomad task only", name)
}

// Run runs one task of the order in args to its end and returns the exit code for Nomad. If ctx ends first, there is no outcome:
// then ctx's error comes back.
func Run(ctx context.Context, args []string, getenv func(string) string) (int, error) {
	o, err := parse(args, getenv)
	if err != nil {
		return 0, err
	}
	dir, err := o.folder(getenv)
	if err != nil {
		return 0, err
	}
	if o.Image != nil && os.Geteuid() == 0 {
		c := inside.Container{Image: *o.Image}
		if err := c.Ready(o.Assignment, dir, getenv(EnvTaskDir), getenv(EnvSecretsDir)); err != nil {
			return 0, fmt.Errorf("make the container ready: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, leftDir), 0o755); err != nil {
		return 0, err
	}
	measuring, stop := context.WithCancel(ctx)
	defer stop()
	go measure(measuring, dir)
	if failed, err := borrow(ctx, &o, getenv(EnvAllocDir)); err != nil {
		return 0, err
	} else if failed != nil {
		return ExitFailed, leave(dir, *failed)
	}
	if o.Service != nil {
		return 0, serve(ctx, dir, o)
	}
	out, err := runTask(ctx, dir, getenv(EnvCache), o)
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

// dispatcher runs the order's one task.
func dispatcher(dir, cache string, o *Order) (*direct.Dispatcher, error) {
	o.ModulePath = filepath.Join(dir, ModuleFile)
	if !o.Inputs.IsZero() {
		o.InputsDir = filepath.Join(dir, InputsDir)
	}
	opts := direct.Options{
		Dir: filepath.Join(dir, stateDir), CacheDir: cache, CPUMilli: o.CPUMilli, MemoryMiB: uint64(o.MemoryMiB), DockerHost: docker.None,
	}
	if o.Image != nil {
		opts.Inside = &inside.Container{Image: *o.Image}
	}
	if o.Service != nil {
		opts.MemoryMiB += o.Service.Volume()
	}
	return direct.New(opts)
}

// runTask runs the one task of an order.
func runTask(ctx context.Context, dir, cache string, o Order) (_ dispatch.TaskOutcome, err error) {
	if o.Image == nil && !o.Inputs.IsZero() {
		if err := unpackInputs(dir, dir, o.Assignment); err != nil {
			if ctx.Err() != nil {
				return dispatch.TaskOutcome{}, ctx.Err()
			}
			return notRun(o.FirstTask, err), nil
		}
	}
	d, err := dispatcher(dir, cache, &o)
	if err != nil {
		return dispatch.TaskOutcome{}, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Start(ctx, o.Assignment); err != nil {
		return dispatch.TaskOutcome{}, err
	}
	out, err := d.Watch(ctx, o.ID, nil)
	if err != nil {
		return dispatch.TaskOutcome{}, err
	}
	return out.Tasks[0], nil
}

// serve keeps a service up until ctx ends, and writes down how it is at each change. A service that cannot run at all is left to be looked at: what
// follows from it is not for Nomad to decide.
func serve(ctx context.Context, dir string, o Order) (err error) {
	d, err := dispatcher(dir, "", &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	// A container that Nomad started again begins anew; the log goes on.
	if err := os.Remove(filepath.Join(dir, ServiceFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.Start(ctx, o.Assignment); err != nil {
		return err
	}
	var told error
	_, err = d.States(ctx, o.ID, func(s dispatch.ServiceState) { told = errors.Join(told, write(filepath.Join(dir, ServiceFile), s)) })
	if err == nil {
		<-ctx.Done()
		err = ctx.Err()
	}
	return errors.Join(err, told)
}

// Prepare brings what a container of another image needs into the allocation's folder: this program, and the inputs. What is wrong with the
// inputs becomes the task's outcome, and an error so that Nomad does not go on.
func Prepare(ctx context.Context, args []string, getenv func(string) string) error {
	o, err := parse(args, getenv)
	if err != nil {
		return err
	}
	o.Image = nil
	task, err := o.folder(getenv)
	if err != nil {
		return err
	}
	shared := getenv(EnvAllocDir)
	if shared == "" {
		return fmt.Errorf("%s is not set; this program runs inside a Nomad task only", EnvAllocDir)
	}
	if !o.Inputs.IsZero() {
		if err := unpackInputs(task, shared, o.Assignment); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.Join(err, leave(shared, notRun(o.FirstTask, err)))
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return copyProgram(self, filepath.Join(shared, ProgramFile))
}

// unpackInputs fills the folder of the inputs below to, once: a task that Nomad starts again finds it full.
func unpackInputs(from, to string, a dispatch.Assignment) error {
	dir := filepath.Join(to, InputsDir)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	in, err := os.Open(filepath.Join(from, InputsFile))
	if err != nil {
		return err
	}
	part := dir + ".part"
	err = errors.Join(os.RemoveAll(part), artifact.Unpack(in, part, a.Inputs, artifact.Limits{}), in.Close())
	if err == nil {
		err = os.Rename(part, dir)
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
