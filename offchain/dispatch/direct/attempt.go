package direct

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
)

// attempt is one started attempt of this process.
type attempt struct {
	assignment  dispatch.Assignment
	fingerprint artifact.Digest
	dir         string
	stop        context.CancelCauseFunc
	service     *service      // nil if the attempt is none
	done        chan struct{} // closed when nothing of the attempt runs any more

	mu       sync.Mutex
	began    map[uint32]time.Time   // of tasks that run or ran
	finished []dispatch.TaskOutcome // in the order in which they finished
	changed  chan struct{}          // closed and replaced when finished grows
	err      error                  // set before done is closed, if the attempt ended without an outcome
}

func newAttempt(a dispatch.Assignment, fingerprint artifact.Digest, dir string, stop context.CancelCauseFunc) *attempt {
	return &attempt{
		assignment: a, fingerprint: fingerprint, dir: dir, stop: stop, began: map[uint32]time.Time{},
		done: make(chan struct{}), changed: make(chan struct{}),
	}
}

// run executes what has not finished before, as many tasks at a time as the gate lets in.
func (t *attempt) run(ctx context.Context, g *gate, e engines, logLimit int64) {
	defer close(t.done)
	pending := t.resume()
	if len(pending) == 0 {
		return
	}
	p, err := e.load(ctx, t.assignment, t.fingerprint)
	if err != nil {
		t.failAll(ctx, pending, err)
		return
	}
	var running sync.WaitGroup
	for i, task := range pending {
		if err := g.enter(ctx, t.assignment); err != nil {
			running.Wait()
			t.failAll(ctx, pending[i:], context.Cause(ctx))
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
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.finished) < int(t.assignment.Tasks) {
		t.err = errors.Join(dispatch.ErrClosed, err)
	}
}

// runOne runs a task with GPUs of its own.
func (t *attempt) runOne(ctx context.Context, p program, r run, g *gpus) {
	var err error
	if r.gpus, err = g.take(ctx, t.assignment, r.task); err != nil {
		t.failAll(ctx, []uint32{r.task}, err)
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
			t.publish(out)
		} else {
			pending = append(pending, task)
		}
	}
	return pending
}

// failAll gives tasks that did not run the outcome that err stands for.
func (t *attempt) failAll(ctx context.Context, tasks []uint32, err error) {
	if errors.Is(context.Cause(ctx), errAbandoned) {
		t.mu.Lock()
		t.err = dispatch.ErrClosed
		t.mu.Unlock()
		return
	}
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
	t.publish(withPaths(dir, out))
}

func (t *attempt) publish(out dispatch.TaskOutcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = append(t.finished, out)
	close(t.changed)
	t.changed = make(chan struct{})
}

// news returns the outcomes after the first seen ones, and a channel that is closed when there are more.
func (t *attempt) news(seen int) ([]dispatch.TaskOutcome, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.finished[seen:]), t.changed
}

// watch implements dispatch.Dispatcher's Watch for this attempt.
func (t *attempt) watch(ctx context.Context, onTask func(dispatch.TaskOutcome)) (dispatch.Outcome, error) {
	out := dispatch.Outcome{ID: t.assignment.ID}
	for ended := false; ; {
		fresh, changed := t.news(len(out.Tasks))
		for _, task := range fresh {
			out.Tasks = append(out.Tasks, task)
			if onTask != nil {
				onTask(task)
			}
		}
		if ended {
			break
		}
		select {
		case <-ctx.Done():
			return dispatch.Outcome{}, ctx.Err()
		case <-changed:
		case <-t.done: // nothing can be added, but something may have been before
			ended = true
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return dispatch.Outcome{}, fmt.Errorf("attempt %s: %w", t.assignment.ID, t.err)
	}
	slices.SortFunc(out.Tasks, func(a, b dispatch.TaskOutcome) int { return int(int64(a.Task) - int64(b.Task)) })
	return out, nil
}

func (t *attempt) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}
