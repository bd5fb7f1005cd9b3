package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"github.com/foggrid/fogd/offchain/dispatch/tally"
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
	states      *tally.States // nil if it is no service
	tasks       *tally.Tasks  // ended when all tasks have outcomes, or watching ended
	kick        chan struct{} // there may be something to do

	mu     sync.Mutex
	rec    record
	since  uint64    // index at which the job was created; older allocations are of an earlier one with its id
	looked time.Time // when a service was last looked at
	gone   bool      // Nomad does not have the job any more
	allocs map[string]*api.AllocationListStub
	// chronicles are what allocations told, by task; they outlive those that Nomad lists no more.
	chronicles map[uint32]*chronicle

	// Of the goroutine in run only:
	stalled time.Time            // since when tasks wait for room and none runs
	failing map[string]time.Time // since when an allocation's files are out of reach
	unknown map[string]time.Time // since when nothing is known of an allocation's client
	ending  *ending              // why the job is being deregistered
	pulse   pulse                // of a service
}

func newAttempt(a dispatch.Assignment, fingerprint artifact.Digest, opts Options) *attempt {
	t := &attempt{
		assignment: a, fingerprint: fingerprint, opts: opts, log: opts.Log.With("attempt", a.ID.String()), dir: attemptDir(opts.Dir, a.ID),
		started: make(chan struct{}), tasks: tally.NewTasks(), kick: make(chan struct{}, 1),
		allocs: map[string]*api.AllocationListStub{}, chronicles: map[uint32]*chronicle{}, failing: map[string]time.Time{}, unknown: map[string]time.Time{},
	}
	if a.Service != nil {
		t.states = tally.NewStates(dispatch.ServiceState{Phase: dispatch.ServiceStarting, Since: time.Now().UTC()})
	}
	return t
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

// makeDir makes the folder of what is kept, before the job is registered: so that it is looked for even if this process dies right then.
func (t *attempt) makeDir() error {
	err := os.Mkdir(t.dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

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
			t.tell(out)
		}
	}
}

// stop notes, for the next process too, that the attempt is to end.
func (t *attempt) stop() error {
	if t.tasks.Ended() {
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
		t.chronicle(a)
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
	maps.DeleteFunc(of, func(task uint32, _ []*api.AllocationListStub) bool {
		_, finished := t.tasks.Of(task)
		return finished
	})
	return of
}

// allocOf returns a task's allocation: of a service the newest, since it is placed again if it must be.
func (t *attempt) allocOf(task uint32) (*api.AllocationListStub, bool) {
	list := t.byTask()[task]
	switch {
	case len(list) == 0:
		return nil, false
	case t.states != nil:
		return list[len(list)-1], true
	}
	return list[0], true
}

func (t *attempt) complete() bool { return t.tasks.Count() == int(t.assignment.Tasks) }

// finish makes an outcome durable and tells it. An error means that it could not be written; then nothing happened.
func (t *attempt) finish(out dispatch.TaskOutcome) error {
	dir := taskDir(t.dir, out.Task)
	if err := errors.Join(os.MkdirAll(dir, 0o755), writeJSON(filepath.Join(dir, doneFile), out)); err != nil {
		return err
	}
	t.tell(withPaths(dir, out))
	return nil
}

// tell lets watchers know of an outcome.
func (t *attempt) tell(out dispatch.TaskOutcome) {
	if t.states != nil {
		t.states.Add(dispatch.ServiceState{Phase: dispatch.ServiceStopped, Reason: out.Reason, Message: out.Message, Since: out.Finished})
	}
	t.tasks.Add(out)
}

// run follows the attempt to its end.
func (t *attempt) run(ctx context.Context) {
	for {
		wait, err := t.step(ctx)
		if t.states != nil && err == nil && !t.complete() && t.ending == nil {
			err = t.look(ctx)
			wait = min(wait, t.opts.LookEvery)
		}
		if ctx.Err() != nil {
			t.tasks.End(dispatch.ErrClosed)
			return
		}
		if err != nil {
			t.log.Warn("Nomad does not do as it should; trying again", "error", err)
			wait = retryPause
		}
		if t.complete() {
			t.tasks.End(nil)
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
