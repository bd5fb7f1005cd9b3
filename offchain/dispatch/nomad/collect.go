package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
	"github.com/foggrid/fogd/offchain/durable"
)

const (
	// localFolder is NOMAD_TASK_DIR of the task as the file API sees it, sharedFolder NOMAD_ALLOC_DIR.
	localFolder  = taskName + "/local/"
	sharedFolder = allocName + "/"

	maxOutcomeBytes = 64 << 10
	maxLogBytes     = 2 << 20
)

// runnerReasons are those that a runner writes: all but that the attempt was stopped.
var runnerReasons = []dispatch.Reason{
	dispatch.ReasonOK, dispatch.ReasonExit, dispatch.ReasonMemory, dispatch.ReasonTimeout, dispatch.ReasonOutput, dispatch.ReasonTrap,
	dispatch.ReasonBadImage, dispatch.ReasonNode,
}

// errResult says that what an allocation left does not hold together.
var errResult = errors.New("what the task left is damaged")

// collect fetches what a task left. Without an outcome file the error is errNotFound.
func (t *attempt) collect(ctx context.Context, task uint32, alloc *api.AllocationListStub) (dispatch.TaskOutcome, error) {
	var out dispatch.TaskOutcome
	raw, err := t.read(ctx, alloc, runner.OutcomeFile, maxOutcomeBytes)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("%w: %w", errResult, err)
	}
	if err := checkOutcome(out, task, t.assignment); err != nil {
		return out, err
	}
	out.Message = oneLine(out.Message)
	dir := taskDir(t.dir, task)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return out, err
	}
	log, err := t.read(ctx, alloc, runner.LogFile, maxLogBytes)
	if err != nil && !errors.Is(err, errNotFound) {
		return out, err
	}
	if err := os.WriteFile(filepath.Join(dir, logName), log, 0o644); err != nil {
		return out, err
	}
	if out.Result == artifact.EmptyDigest {
		return keepEmpty(dir, out)
	}
	return out, t.fetchResult(ctx, alloc, filepath.Join(dir, resultName), out)
}

// checkOutcome refuses what a runner does not write. Who holds the node can write it all the same: what is true is for the oracles'
// checks to find out.
func checkOutcome(out dispatch.TaskOutcome, task uint32, a dispatch.Assignment) error {
	// A tar has headers and padding beside what it holds, at most 3 blocks for a name.
	limit := int64(a.StorageMiB)<<20 + 64<<20
	switch {
	case out.Task != task:
		return fmt.Errorf("%w: the outcome is of task %d in place of %d", errResult, out.Task, task)
	case !slices.Contains(runnerReasons, out.Reason):
		return fmt.Errorf("%w: the reason is %q", errResult, out.Reason)
	case (out.Reason == dispatch.ReasonExit) != (out.ExitCode != 0) || out.ExitCode > dispatch.MaxExitCode:
		return fmt.Errorf("%w: exit code %d with reason %q", errResult, out.ExitCode, out.Reason)
	case !out.Reason.KeepsOutput() && out.Result != artifact.EmptyDigest:
		return fmt.Errorf("%w: a result with reason %q", errResult, out.Reason)
	case out.ResultSize < 0 || out.ResultSize > limit:
		return fmt.Errorf("%w: a result of %d bytes", errResult, out.ResultSize)
	case out.Finished.Before(out.Started):
		return fmt.Errorf("%w: it finished before it started", errResult)
	}
	return nil
}

// fileOf names what a runner left.
func (t *attempt) fileOf(alloc, name string) file {
	folder := localFolder
	if t.assignment.Engine == dispatch.EngineDocker {
		folder = sharedFolder
	}
	return file{namespace: t.rec.Place.Namespace, alloc: alloc, path: folder + name}
}

func (t *attempt) read(ctx context.Context, alloc *api.AllocationListStub, name string, limit int64) (_ []byte, err error) {
	r, size, err := t.region.client.open(ctx, t.fileOf(alloc.ID, name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, more than %d", errResult, name, size, limit)
	}
	raw, err := io.ReadAll(io.LimitReader(r, size+1))
	if err == nil && int64(len(raw)) != size {
		err = fmt.Errorf("%w: %s has %d bytes in place of %d", errResult, name, len(raw), size)
	}
	return raw, err
}

func (t *attempt) fetchResult(ctx context.Context, alloc *api.AllocationListStub, path string, out dispatch.TaskOutcome) (err error) {
	r, size, err := t.region.client.open(ctx, t.fileOf(alloc.ID, runner.ResultFile))
	if errors.Is(err, errNotFound) { // the outcome is there, so this is damage, not absence
		return fmt.Errorf("%w: the result is missing", errResult)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if size != out.ResultSize {
		return fmt.Errorf("%w: the result has %d bytes, the outcome says %d", errResult, size, out.ResultSize)
	}
	return durable.ReplaceWith(path, 0o600, func(w io.Writer) error {
		got, _, err := artifact.DigestReader(io.TeeReader(io.LimitReader(r, size+1), w))
		if err == nil && got != out.Result {
			err = fmt.Errorf("%w: the result is %s, the outcome says %s", errResult, got, out.Result)
		}
		return err
	})
}
