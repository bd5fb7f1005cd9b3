package direct

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/tally"
)

// attempt is one started attempt of this process.
type attempt struct {
	assignment  dispatch.Assignment
	fingerprint artifact.Digest
	dir         string
	stop        context.CancelCauseFunc
	service     *service     // nil if the attempt is none
	tasks       *tally.Tasks // ended when nothing of the attempt runs any more

	mu    sync.Mutex
	began map[uint32]time.Time // of tasks that run or ran
}

func newAttempt(a dispatch.Assignment, fingerprint artifact.Digest, dir string, stop context.CancelCauseFunc) *attempt {
	return &attempt{
		assignment: a, fingerprint: fingerprint, dir: dir, stop: stop, began: map[uint32]time.Time{}, tasks: tally.NewTasks(),
	}
}

// run executes what has not finished before, as many tasks at a time as the gate lets in.
func (t *attempt) run(ctx context.Context, g *gate, e engines, logLimit int64) {
	t.tasks.End(t.runTasks(ctx, g, e, logLimit))
}

// runTasks returns why the attempt has no outcome, if it has none.
func (t *attempt) runTasks(ctx context.Context, g *gate, e engines, logLimit int64) error {
	pending := t.resume()
	if len(pending) == 0 {
		return nil
	}
	p, err := e.load(ctx, t.assignment, t.fingerprint)
	if err != nil {
		return t.failAll(ctx, pending, err)
	}
	var running sync.WaitGroup
	for i, task := range pending {
		if err := g.enter(ctx, t.assignment); err != nil {
			running.Wait()
			if err := t.failAll(ctx, pending[i:], context.Cause(ctx)); err != nil {
				return errors.Join(err, p.close(context.WithoutCancel(ctx)))
			}
			break
		}
		running.Go(func() {
			defer g.leave(t.assignment)
			t.begin(task)
			r := run{assignment: t.assignment, task: task, dir: taskDir(t.dir, task), logLimit: logLimit}
			t.runOne(ctx, p, r, g.gpus)
		})
	}
	running.Wait()
	err = p.close(context.WithoutCancel(ctx))
	if t.tasks.Count() < int(t.assignment.Tasks) {
		return errors.Join(dispatch.ErrClosed, err)
	}
	return nil
}

// runOne runs a task with GPUs of its own.
func (t *attempt) runOne(ctx context.Context, p program, r run, g *gpus) {
	var err error
	if r.gpus, err = g.take(ctx, t.assignment, r.task); err != nil {
		if !errors.Is(context.Cause(ctx), errAbandoned) {
			t.failEach([]uint32{r.task}, err)
		}
		return
	}
	out, err := r.execute(ctx, p)
	if released := g.release(t.assignment.ID, r.task); released != nil && err == nil {
		settle(&out, 0, dispatch.NodeFailure("give the GPUs back", released))
		out.Result, out.ResultSize = artifact.EmptyDigest, 0
	}
	if err == nil {
		t.finish(r.dir, out)
	}
}

func (t *attempt) begin(task uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began[task] = time.Now().UTC()
}

func (t *attempt) beganAt(task uint32) (at time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok = t.began[task]
	return at, ok
}

// resume takes up finished tasks and returns the numbers of the others.
func (t *attempt) resume() (pending []uint32) {
	for i := range t.assignment.Tasks {
		task := t.assignment.FirstTask + i
		if out, ok := loadTask(taskDir(t.dir, task), task); ok {
			t.tasks.Add(out)
		} else {
			pending = append(pending, task)
		}
	}
	return pending
}

// failAll gives tasks that did not run the outcome that err stands for. They have none if the dispatcher closes.
func (t *attempt) failAll(ctx context.Context, tasks []uint32, err error) error {
	if errors.Is(context.Cause(ctx), errAbandoned) {
		return dispatch.ErrClosed
	}
	t.failEach(tasks, err)
	return nil
}

func (t *attempt) failEach(tasks []uint32, err error) {
	var f *dispatch.Failure
	if !errors.As(err, &f) {
		f = dispatch.NodeFailure("start the task", err)
	}
	for _, task := range tasks {
		r := run{assignment: t.assignment, task: task, dir: taskDir(t.dir, task)}
		t.finish(r.dir, r.notRun(f))
	}
}

// notRun is the outcome of a task that never started; it has an empty log and an empty result.
func (r run) notRun(f *dispatch.Failure) dispatch.TaskOutcome {
	out := dispatch.TaskOutcome{Task: r.task}
	settle(&out, 0, f)
	err := errors.Join(os.RemoveAll(r.dir), os.MkdirAll(r.dir, 0o755), os.WriteFile(filepath.Join(r.dir, logName), nil, 0o644), r.pack(&out))
	if err != nil {
		settle(&out, 0, dispatch.NodeFailure("record the task", err))
		out.Result, out.ResultSize = artifact.EmptyDigest, 0
	}
	return out
}

// finish makes an outcome durable and tells it. If it cannot be written, this process still knows it; after a restart the task runs
// again.
func (t *attempt) finish(dir string, out dispatch.TaskOutcome) {
	if err := writeRecord(filepath.Join(dir, doneFile), out); err != nil && out.Reason != dispatch.ReasonNode {
		settle(&out, 0, dispatch.NodeFailure("record the outcome", err))
		out.Result, out.ResultSize = artifact.EmptyDigest, 0
	}
	t.tasks.Add(withPaths(dir, out))
}
