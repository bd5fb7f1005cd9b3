package direct

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/seal"
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
	gpus       []string
}

// program is what the tasks of an attempt run, many at a time: a module in this process, or an image.
type program interface {
	// call runs one task to its end in its prepared folder. Nothing of it runs any more when call returns.
	call(ctx context.Context, r run, g *guard, log *logWriter) (exit, *dispatch.Failure)
	close(ctx context.Context) error
}

// exit is how a task ended by itself; its times are zero where the caller's are as good.
type exit struct {
	code              uint32
	started, finished time.Time
}

// execute runs the task to its end, whatever it does, and packs its result. The error is errAbandoned or nil; all else is an outcome.
func (r run) execute(ctx context.Context, p program) (dispatch.TaskOutcome, error) {
	out := dispatch.TaskOutcome{Task: r.task, Started: time.Now().UTC()}
	end, f := r.prepareAndCall(ctx, p)
	out.Finished = time.Now().UTC()
	if end.finished.After(end.started) && !end.started.IsZero() {
		out.Started, out.Finished = end.started, end.finished
	}
	if errors.Is(context.Cause(ctx), errAbandoned) {
		return out, errAbandoned
	}
	settle(&out, end.code, f)
	if err := r.pack(&out); err != nil {
		f := dispatch.NodeFailure("pack the result", err)
		if errors.Is(err, artifact.ErrLimit) || errors.Is(err, artifact.ErrUnsupportedFile) {
			f = dispatch.Failf(dispatch.ReasonOutput, "the output folder cannot be packed: %v", err)
		}
		settle(&out, 0, f)
		if err := r.pack(&out); err != nil {
			// Nothing can be written, but the result of a task without output is known.
			settle(&out, 0, dispatch.NodeFailure("pack the result", err))
			out.Result, out.ResultSize = artifact.EmptyDigest, 0
		}
	}
	return out, nil
}

func settle(out *dispatch.TaskOutcome, code uint32, f *dispatch.Failure) {
	out.Reason, out.ExitCode, out.Message = dispatch.ReasonOK, 0, ""
	switch {
	case f != nil:
		out.Reason, out.Message = f.Reason, f.Message
	case code != 0:
		out.Reason, out.ExitCode = dispatch.ReasonExit, min(code, dispatch.MaxExitCode)
		out.Message = fmt.Sprintf("exit code %d", code)
	}
}

func (r run) prepareAndCall(ctx context.Context, p program) (end exit, f *dispatch.Failure) {
	if err := os.RemoveAll(r.dir); err != nil {
		return end, dispatch.NodeFailure("clear the task's folder", err)
	}
	if err := os.MkdirAll(filepath.Join(r.dir, outName), 0o755); err != nil {
		return end, dispatch.NodeFailure("make the task's folder", err)
	}
	logFile, err := os.Create(filepath.Join(r.dir, logName))
	if err != nil {
		return end, dispatch.NodeFailure("make the log", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := &guard{cancel: cancel}
	log := &logWriter{f: logFile, left: r.logLimit, guard: g}
	end, f = p.call(ctx, r, g, log)
	if err := log.close(); err != nil && f == nil {
		f = dispatch.NodeFailure("close the log", err)
	}
	if f == nil {
		f = g.failed
	}
	return end, f
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
	if out.Result, out.ResultSize, err = r.packFile(filepath.Join(r.dir, resultName), dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// packFile encrypts on the way to the disk: no archive of an encrypted result lies there in the clear.
func (r run) packFile(file, dir string) (artifact.Digest, int64, error) {
	a := r.assignment
	if a.SealTo == "" {
		return artifact.PackFile(file, dir, artifact.Limits{})
	}
	to, err := seal.ParseRecipient(a.SealTo)
	if err != nil {
		return artifact.Digest{}, 0, err
	}
	return artifact.PackFileVia(file, dir, artifact.Limits{}, func(w io.Writer) (io.WriteCloser, error) {
		return seal.NewWriter(w, seal.Result(a.ID.Job, r.task), to)
	})
}
