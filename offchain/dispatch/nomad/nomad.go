package nomad

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Dispatcher runs attempts on Nomad. It implements dispatch.Services, dispatch.Observer and dispatch.Chronicler.
type Dispatcher struct {
	opts    Options
	regions map[string]*region
	base    context.Context
	end     context.CancelFunc
	runs    sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	attempts map[dispatch.AttemptID]*attempt
}

var (
	_ dispatch.Services   = (*Dispatcher)(nil)
	_ dispatch.Observer   = (*Dispatcher)(nil)
	_ dispatch.Chronicler = (*Dispatcher)(nil)
)

// New makes a dispatcher. Attempts of an earlier process rest on disk until they are started again or removed.
func New(opts Options) (*Dispatcher, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("nomad dispatcher: make its folder: %w", err)
	}
	d := &Dispatcher{opts: opts, regions: map[string]*region{}, attempts: map[dispatch.AttemptID]*attempt{}}
	d.base, d.end = context.WithCancel(context.Background())
	spawn := func(do func(context.Context)) { d.runs.Go(func() { do(d.base) }) }
	for _, r := range opts.Regions {
		c, err := newClient(r)
		if err != nil {
			d.end()
			return nil, err
		}
		d.regions[r.Name] = newRegion(c, opts, spawn)
	}
	return d, nil
}

// Close ends all watching and waits for it. What runs in Nomad goes on; starting its attempt again takes it up.
func (d *Dispatcher) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.end()
	d.runs.Wait()
	return nil
}

// Start implements dispatch.Dispatcher.
func (d *Dispatcher) Start(ctx context.Context, a dispatch.Assignment) error {
	return d.start(ctx, a, true)
}

// Adopt is Start for an attempt that somebody has registered: it never registers one. It reports whether the attempt is held now.
func (d *Dispatcher) Adopt(ctx context.Context, a dispatch.Assignment) (bool, error) {
	err := d.start(ctx, a, false)
	if errors.Is(err, errAbsent) {
		return false, nil
	}
	return err == nil, err
}

// errAbsent says that Nomad does not have the job of an attempt that was only to be adopted.
var errAbsent = errors.New("nobody has registered the attempt yet")

// start takes an attempt up; create says whether it may be registered.
func (d *Dispatcher) start(ctx context.Context, a dispatch.Assignment, create bool) error {
	if err := errors.Join(ctx.Err(), a.Validate()); err != nil {
		return err
	}
	if a.SealTo != "" { // its inputs would be opened by nobody, and a runner of before would leave its results in the clear
		return fmt.Errorf("%w: attempt %s: nodes on Nomad run no jobs whose inputs and results are encrypted", dispatch.ErrInvalidAssignment, a.ID)
	}
	fingerprint, err := a.Fingerprint()
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return dispatch.ErrClosed
	}
	t, known := d.attempts[a.ID]
	if !known {
		t = newAttempt(a, fingerprint, d.opts)
		t.adoptOnly = !create
		d.attempts[a.ID] = t
	}
	d.mu.Unlock()
	if known {
		return t.join(ctx, fingerprint)
	}
	if t.startErr = d.begin(ctx, t); t.startErr != nil {
		d.mu.Lock()
		delete(d.attempts, a.ID)
		d.mu.Unlock()
	}
	close(t.started)
	return t.startErr
}

// begin brings the attempt to Nomad, or finds it there, and follows it.
func (d *Dispatcher) begin(ctx context.Context, t *attempt) error {
	if err := d.open(ctx, t); err != nil {
		return err
	}
	if t.rec.Registered {
		if t.resume(); t.complete() {
			t.tasks.End(nil)
			return nil
		}
	}
	t.region.add(t) // before it is registered: its first events follow at once
	if err := d.enlist(ctx, t); err != nil {
		t.region.drop(t)
		return err
	}
	d.runs.Go(func() {
		defer t.region.drop(t)
		t.run(d.base)
	})
	return nil
}

// open finds out where the attempt belongs, and takes up what an earlier process knew of it.
func (d *Dispatcher) open(ctx context.Context, t *attempt) error {
	r, err := readRecord(t.dir)
	switch {
	case err != nil:
		return err
	case r != nil && r.Fingerprint != t.fingerprint:
		return fmt.Errorf("attempt %s: %w", t.assignment.ID, dispatch.ErrConflict)
	case r != nil:
		t.rec = *r
	default:
		place, err := d.opts.Place(ctx, t.assignment.ID)
		if err != nil {
			return fmt.Errorf("place attempt %s: %w", t.assignment.ID, err)
		}
		t.rec = record{ID: t.assignment.ID, Fingerprint: t.fingerprint, Place: place}
	}
	t.region, err = d.region(t.rec.Place)
	t.job = JobID(t.assignment.ID, t.rec.Place.Node)
	return err
}

func (d *Dispatcher) region(p Placement) (*region, error) {
	r, ok := d.regions[p.Region]
	if !ok {
		return nil, fmt.Errorf("the Nomad region %q is not configured", p.Region)
	}
	return r, nil
}

// enlist makes sure that Nomad has the job, registering it if nobody did before.
func (d *Dispatcher) enlist(ctx context.Context, t *attempt) error {
	c, p := t.region.client, t.rec.Place
	if !t.rec.Registered {
		if fresh, err := d.register(ctx, t); err != nil || fresh {
			return err
		}
	} else {
		job, err := c.job(ctx, p.Namespace, t.job)
		switch {
		case errors.Is(err, errNotFound):
			t.gone = true
		case err != nil:
			return err
		default:
			t.created(*job.CreateIndex)
		}
	}
	list, index, err := c.allocations(ctx, p.Namespace, t.job)
	if err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	t.replace(list, index)
	return nil
}

// register reports whether the job is new.
func (d *Dispatcher) register(ctx context.Context, t *attempt) (bool, error) {
	c, p := t.region.client, t.rec.Place
	err := d.create(ctx, t)
	if err == nil {
		return true, t.save()
	}
	// The text of the answer does not say reliably whether the job is there; the job does.
	have, jobErr := c.job(ctx, p.Namespace, t.job)
	switch {
	case jobErr != nil && errors.Is(err, errAbsent) && !errors.Is(jobErr, errNotFound):
		return false, errors.Join(jobErr, os.RemoveAll(t.dir))
	case jobErr != nil:
		return false, errors.Join(err, os.RemoveAll(t.dir))
	}
	if have.Meta[metaFingerprint] != t.fingerprint.String() {
		return false, errors.Join(fmt.Errorf("attempt %s: %w: job %s", t.assignment.ID, dispatch.ErrConflict, t.job), os.RemoveAll(t.dir))
	}
	t.created(*have.CreateIndex)
	if err := t.makeDir(); err != nil {
		return false, err
	}
	return false, t.save()
}

// create registers the job of an attempt, unless it must not be.
func (d *Dispatcher) create(ctx context.Context, t *attempt) error {
	if t.adoptOnly {
		return errAbsent
	}
	if p := t.rec.Place; !p.Deadline.IsZero() && time.Now().After(p.Deadline) {
		return fmt.Errorf("attempt %s is not registered: its deadline was %s", t.assignment.ID, p.Deadline.Format(time.RFC3339))
	}
	job, err := d.plan(ctx, t)
	if err != nil {
		return err
	}
	if err := t.makeDir(); err != nil {
		return err
	}
	if err := d.bringVolumes(ctx, t); err != nil {
		return err
	}
	index, err := t.region.client.register(ctx, job)
	if err == nil {
		t.created(index)
	}
	return err
}

// plan makes the job of an attempt.
func (d *Dispatcher) plan(ctx context.Context, t *attempt) (*api.Job, error) {
	machine, err := t.region.machine(ctx, t.rec.Place.Node)
	if err != nil {
		return nil, err
	}
	if err := machine.fits(t.assignment); err != nil {
		return nil, err
	}
	content, err := d.opts.Locate(ctx, t.assignment)
	if err != nil {
		return nil, fmt.Errorf("contents of attempt %s: %w", t.assignment.ID, err)
	}
	return Job(t.assignment, t.rec.Place, machine, content, d.opts.Image)
}

// Stop implements dispatch.Dispatcher.
func (d *Dispatcher) Stop(ctx context.Context, id dispatch.AttemptID) error {
	t, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if err := t.stop(); err != nil {
		return err
	}
	select {
	case <-t.tasks.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Watch implements dispatch.Dispatcher.
func (d *Dispatcher) Watch(ctx context.Context, id dispatch.AttemptID, onTask func(dispatch.TaskOutcome)) (dispatch.Outcome, error) {
	t, err := d.find(ctx, id)
	if err != nil {
		return dispatch.Outcome{}, err
	}
	return t.tasks.Watch(ctx, id, onTask)
}

// Remove implements dispatch.Dispatcher. It also removes what an earlier process left of the attempt, and purges its job.
func (d *Dispatcher) Remove(ctx context.Context, id dispatch.AttemptID) error {
	return d.drop(ctx, id, true)
}

// Forget is Remove that leaves the job to Nomad's own garbage collection: as long as Nomad has it, another oracle, which may not know yet that the
// attempt is over, cannot register it again.
func (d *Dispatcher) Forget(ctx context.Context, id dispatch.AttemptID) error {
	return d.drop(ctx, id, false)
}

func (d *Dispatcher) drop(ctx context.Context, id dispatch.AttemptID, purge bool) error {
	if err := errors.Join(ctx.Err(), id.Validate()); err != nil {
		return err
	}
	d.mu.Lock()
	t, ok := d.attempts[id]
	d.mu.Unlock()
	if ok && !t.tasks.Ended() {
		return fmt.Errorf("attempt %s: %w; stop it first", id, dispatch.ErrRunning)
	}
	dir := attemptDir(d.opts.Dir, id)
	rec, err := readRecord(dir)
	if err != nil {
		d.opts.Log.Warn("removing an attempt of which nothing is known; the sweeper ends its job", "attempt", id, "error", err)
	}
	if purge && rec != nil && rec.Registered {
		r, err := d.region(rec.Place)
		if err != nil {
			return err
		}
		if err := r.client.deregister(ctx, rec.Place.Namespace, JobID(id, rec.Place.Node), true); err != nil {
			return err
		}
	}
	d.mu.Lock()
	delete(d.attempts, id)
	d.mu.Unlock()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove attempt %s: %w", id, err)
	}
	return nil
}

// Kept returns the attempts that have files here, started by this process or an earlier one, in order. Whoever starts attempts removes
// those that nobody wants any more.
func (d *Dispatcher) Kept() ([]dispatch.AttemptID, error) {
	dirs, err := os.ReadDir(d.opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	var ids []dispatch.AttemptID
	for _, dir := range dirs {
		rec, err := readRecord(filepath.Join(d.opts.Dir, dir.Name()))
		if err != nil {
			return nil, fmt.Errorf("list attempts: %w", err)
		}
		if rec != nil {
			ids = append(ids, rec.ID)
		} else if id, ok := attemptOf(dir.Name()); ok { // a process was killed before it could write the record
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, dispatch.AttemptID.Compare)
	return ids, nil
}

// find returns an attempt that was started.
func (d *Dispatcher) find(ctx context.Context, id dispatch.AttemptID) (*attempt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	t, ok := d.attempts[id]
	d.mu.Unlock()
	if ok {
		select {
		case <-t.started:
			ok = t.startErr == nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if !ok {
		return nil, fmt.Errorf("attempt %s: %w", id, dispatch.ErrUnknownAttempt)
	}
	return t, nil
}
