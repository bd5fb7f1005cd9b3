package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
)

// retryPause is how long an attempt waits after an error before it tries again.
const retryPause = time.Second

// attempt is one started attempt of this process.
type attempt struct {
	assignment  dispatch.Assignment
	fingerprint artifact.Digest
	opts        Options
	log         *slog.Logger
	dir         string
	region      *region
	job         string // its id in Nomad
	started     chan struct{}
	adoptOnly   bool          // it must be in Nomad already
	startErr    error         // set before started is closed
	done        chan struct{} // closed when all tasks have outcomes, or watching ended
	kick        chan struct{} // there may be something to do

	mu       sync.Mutex
	rec      record
	since    uint64 // index at which the job was created; older allocations are of an earlier one with its id
	gone     bool   // Nomad does not have the job any more
	allocs   map[string]*api.AllocationListStub
	finished []dispatch.TaskOutcome // in the order in which they finished
	changed  chan struct{}          // closed and replaced when finished grows
	err      error                  // why watching ended without an outcome

	// Of the goroutine in run only:
	stalled time.Time            // since when tasks wait for room and none runs
	failing map[string]time.Time // since when an allocation's files are out of reach
	ending  *ending              // why the job is being deregistered
}

func newAttempt(a dispatch.Assignment, fingerprint artifact.Digest, opts Options) *attempt {
	return &attempt{
		assignment: a, fingerprint: fingerprint, opts: opts, log: opts.Log.With("attempt", a.ID.String()), dir: attemptDir(opts.Dir, a.ID),
		started: make(chan struct{}), done: make(chan struct{}), kick: make(chan struct{}, 1), changed: make(chan struct{}),
		allocs: map[string]*api.AllocationListStub{}, failing: map[string]time.Time{},
	}
}

// join is a second start.
func (t *attempt) join(ctx context.Context, fingerprint artifact.Digest) error {
	if t.fingerprint != fingerprint {
		return fmt.Errorf("attempt %s: %w", t.assignment.ID, dispatch.ErrConflict)
	}
	select {
	case <-t.started:
		return t.startErr
	case <-ctx.Done():
		return ctx.Err()
	}
}

// created notes that Nomad has the job, made at an index.
func (t *attempt) created(index uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since, t.rec.Registered = index, true
}

// makeDir makes the folder of what is kept.
func (t *attempt) makeDir() error { return os.MkdirAll(filepath.Join(t.dir, tasksName), 0o755) }

// save keeps the record for the next process.
func (t *attempt) save() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := writeRecord(t.dir, t.rec); err != nil {
		return fmt.Errorf("attempt %s: %w", t.assignment.ID, err)
	}
	return nil
}

// resume takes up the tasks that had finished before.
func (t *attempt) resume() {
	for i := range t.assignment.Tasks {
		task := t.assignment.FirstTask + i
		if out, ok := loadTask(taskDir(t.dir, task), task); ok {
			t.finished = append(t.finished, out)
		}
	}
}

// stop notes, for the next process too, that the attempt is to end.
func (t *attempt) stop() error {
	if t.ended() {
		return nil
	}
	t.mu.Lock()
	t.rec.Stopped = true
	t.mu.Unlock()
	defer t.wake()
	return t.save()
}

func (t *attempt) stopped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rec.Stopped
}

func (t *attempt) wake() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// replace takes a full list of the job's allocations, as of an index.
func (t *attempt) replace(list []*api.AllocationListStub, index uint64) {
	t.mu.Lock()
	maps.DeleteFunc(t.allocs, func(_ string, a *api.AllocationListStub) bool { return a.ModifyIndex <= index })
	t.mu.Unlock()
	for _, a := range list {
		t.observe(a)
	}
	t.wake()
}

// observe takes news of one allocation; old news do nothing.
func (t *attempt) observe(a *api.AllocationListStub) {
	t.mu.Lock()
	have := t.allocs[a.ID]
	if have == nil || have.ModifyIndex < a.ModifyIndex {
		t.allocs[a.ID] = a
	}
	t.mu.Unlock()
	t.wake()
}

// byTask returns the allocations of each task that has not finished, oldest first.
func (t *attempt) byTask() map[uint32][]*api.AllocationListStub {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := make(map[uint32][]*api.AllocationListStub, t.assignment.Tasks)
	for i := range t.assignment.Tasks {
		of[t.assignment.FirstTask+i] = nil
	}
	for _, a := range t.allocs {
		if index, ok := allocIndex(a.Name); ok && a.CreateIndex >= t.since && index < t.assignment.Tasks {
			task := t.assignment.FirstTask + index
			of[task] = append(of[task], a)
		}
	}
	for _, list := range of {
		slices.SortFunc(list, func(a, b *api.AllocationListStub) int { return cmp.Compare(a.CreateIndex, b.CreateIndex) })
	}
	for _, o := range t.finished {
		delete(of, o.Task)
	}
	return of
}

// allocOf returns the id of a task's allocation.
func (t *attempt) allocOf(task uint32) (string, bool) {
	if list := t.byTask()[task]; len(list) > 0 {
		return list[0].ID, true
	}
	return "", false
}

func (t *attempt) outcomeOf(task uint32) (dispatch.TaskOutcome, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.finished, func(o dispatch.TaskOutcome) bool { return o.Task == task })
	if i < 0 {
		return dispatch.TaskOutcome{}, false
	}
	return t.finished[i], true
}

func (t *attempt) complete() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.finished) == int(t.assignment.Tasks)
}

func (t *attempt) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// finish makes an outcome durable and tells it. An error means that it could not be written; then nothing happened.
func (t *attempt) finish(out dispatch.TaskOutcome) error {
	dir := taskDir(t.dir, out.Task)
	if err := errors.Join(os.MkdirAll(dir, 0o755), writeJSON(filepath.Join(dir, doneFile), out)); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = append(t.finished, withPaths(dir, out))
	close(t.changed)
	t.changed = make(chan struct{})
	return nil
}

// run follows the attempt to its end.
func (t *attempt) run(ctx context.Context) {
	defer close(t.done)
	for {
		wait, err := t.step(ctx)
		if ctx.Err() != nil {
			t.mu.Lock()
			t.err = dispatch.ErrClosed
			t.mu.Unlock()
			return
		}
		if err != nil {
			t.log.Warn("Nomad does not do as it should; trying again", "error", err)
			wait = retryPause
		}
		if t.complete() {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.kick:
		case <-timer.C:
		}
		timer.Stop()
	}
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
	slices.SortFunc(out.Tasks, func(a, b dispatch.TaskOutcome) int { return cmp.Compare(a.Task, b.Task) })
	return out, nil
}
