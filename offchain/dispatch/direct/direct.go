package direct

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/inside"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// Options configures a Dispatcher.
type Options struct {
	// Dir holds the state; only one process may use it. It is made if needed.
	Dir string
	// CacheDir holds compiled modules, which are machine code: nobody else may write there. The default is "cache" in Dir.
	CacheDir string
	// CPUMilli is what the node gives to tasks, in 1/1000 processors; the default is all that the process may use.
	CPUMilli uint32
	// MemoryMiB is what the node gives to tasks; the default is 4 GiB.
	MemoryMiB uint64
	// LogLimit bounds a task's log in bytes; the default is 1 MiB.
	LogLimit int64
	// DockerHost is the address of the Docker Engine, as docker.Options.Host; docker.None if there is none.
	DockerHost string
	// ImageMiB bounds the images that stay in the Docker Engine, as docker.Options.ImageMiB.
	ImageMiB uint64
	// Publish is the address of this machine on which the ports of services are published, as docker.Options.Publish.
	Publish string
	// GPUs are the ids of the machine's GPUs that tasks are given, each to one task at a time.
	GPUs []string
	// ServiceNet and Firewall confine services, as in docker.Options.
	ServiceNet string
	Firewall   docker.Firewall
	// Disk keeps volumes of services; without it they are memory and do not outlive the daemon. See volume.NewLoop.
	Disk volume.Disk
	// Inside, if set, is the container that this process is the first in: images are not given to a Docker Engine, but are there already.
	Inside *inside.Container
	// RestartMin and RestartMax bound the pause before a service that ended is started again; 1 s and 1 min.
	RestartMin, RestartMax time.Duration
}

const (
	defaultMemoryMiB = 4096
	defaultLogLimit  = 1 << 20
)

// Dispatcher runs attempts in this process. It implements dispatch.Dispatcher.
type Dispatcher struct {
	opts Options
	gate *gate
	base context.Context // ends with errAbandoned
	end  context.CancelCauseFunc
	runs sync.WaitGroup

	docker  *docker.Engine // nil if there is none
	volumes *volume.Store  // nil if volumes are memory

	mu       sync.Mutex
	closed   bool
	attempts map[dispatch.AttemptID]*attempt
}

// New makes a dispatcher. Attempts of an earlier process rest on disk until they are started again or removed.
func New(opts Options) (*Dispatcher, error) {
	if opts.Dir == "" {
		return nil, errors.New("direct dispatcher: no folder for its state; set Options.Dir")
	}
	opts.CPUMilli = cmp.Or(opts.CPUMilli, uint32(runtime.GOMAXPROCS(0))*1000)
	opts.MemoryMiB = cmp.Or(opts.MemoryMiB, defaultMemoryMiB)
	opts.LogLimit = cmp.Or(opts.LogLimit, defaultLogLimit)
	opts.RestartMin = cmp.Or(opts.RestartMin, time.Second)
	opts.RestartMax = max(cmp.Or(opts.RestartMax, time.Minute), opts.RestartMin)
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("direct dispatcher: %w", err)
	}
	opts.Dir = dir
	opts.CacheDir = cmp.Or(opts.CacheDir, filepath.Join(dir, cacheName))
	if err := os.MkdirAll(filepath.Join(dir, attemptsName), 0o700); err != nil {
		return nil, fmt.Errorf("direct dispatcher: make its folder: %w", err)
	}
	base, end := context.WithCancelCause(context.Background())
	d := &Dispatcher{
		opts: opts, gate: newGate(int64(opts.CPUMilli), int64(opts.MemoryMiB)), base: base, end: end,
		attempts: map[dispatch.AttemptID]*attempt{},
	}
	if d.gate.gpus, err = openGPUs(filepath.Join(dir, gpusFile), opts.GPUs); err != nil {
		return nil, fmt.Errorf("direct dispatcher: %w", err)
	}
	if opts.Disk != nil {
		if d.volumes, err = volume.Open(filepath.Join(dir, volumesName), opts.Disk); err != nil {
			return nil, fmt.Errorf("direct dispatcher: %w", err)
		}
		d.gate.volumesOnDisk = true
	}
	d.docker, err = docker.New(docker.Options{
		Host: opts.DockerHost, Owner: dir, ImageMiB: opts.ImageMiB, Publish: opts.Publish, ServiceNet: opts.ServiceNet, Firewall: opts.Firewall,
		GPUs: len(opts.GPUs) > 0,
	})
	if err != nil && !errors.Is(err, docker.ErrNone) {
		return nil, fmt.Errorf("direct dispatcher: %w", err)
	}
	return d, nil
}

// Engines are the names of the engines that work now; the error says what keeps containers from being among them.
func (d *Dispatcher) Engines(ctx context.Context) ([]string, error) {
	if d.docker == nil {
		return []string{dispatch.EngineWASM}, docker.ErrNone
	}
	if err := d.docker.Probe(ctx); err != nil {
		return []string{dispatch.EngineWASM}, err
	}
	return []string{dispatch.EngineWASM, dispatch.EngineDocker}, nil
}

// Sweep removes containers that an earlier process left of attempts without files here. It does nothing if no Docker Engine answers.
func (d *Dispatcher) Sweep(ctx context.Context) error {
	if d.docker == nil || d.docker.Probe(ctx) != nil {
		return nil
	}
	return d.docker.Sweep(ctx, d.known)
}

// PruneImages removes the images that were kept in the Docker Engine for later.
func (d *Dispatcher) PruneImages(ctx context.Context) error {
	if d.docker == nil {
		return nil
	}
	return d.docker.Prune(ctx, true)
}

// known reports whether an attempt has files here.
func (d *Dispatcher) known(attempt string) bool {
	kept, err := d.Kept()
	return err != nil || slices.ContainsFunc(kept, func(id dispatch.AttemptID) bool { return id.String() == attempt })
}

// Close ends everything that runs and waits for it. Unfinished tasks have no outcome; they run when their attempt is started again.
func (d *Dispatcher) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.end(errAbandoned)
	d.runs.Wait()
	if d.docker != nil {
		return d.docker.Close()
	}
	return nil
}

// Start implements dispatch.Dispatcher.
func (d *Dispatcher) Start(ctx context.Context, a dispatch.Assignment) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.Validate(); err != nil {
		return err
	}
	if err := d.gate.fits(a); err != nil {
		return err
	}
	fingerprint, err := a.Fingerprint()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return dispatch.ErrClosed
	}
	if t, ok := d.attempts[a.ID]; ok {
		if t.fingerprint != fingerprint {
			return fmt.Errorf("attempt %s: %w", a.ID, dispatch.ErrConflict)
		}
		return nil
	}
	dir := attemptDir(d.opts.Dir, a.ID)
	if err := openAttempt(dir, attemptRecord{ID: a.ID, Fingerprint: fingerprint, Engine: a.Engine}); err != nil {
		return err
	}
	runCtx, stop := context.WithCancelCause(d.base)
	t := newAttempt(a, fingerprint, dir, stop)
	if a.Service != nil {
		t.service = newService(a, fingerprint, dir, d.opts)
	}
	d.attempts[a.ID] = t
	d.runs.Go(func() {
		defer stop(nil)
		e := engines{d.opts.CacheDir, d.docker, d.opts.Inside, d.volumes, d.known}
		if t.service != nil {
			t.serve(runCtx, d.gate, e)
			return
		}
		t.run(runCtx, d.gate, e, d.opts.LogLimit)
	})
	return nil
}

// Stop implements dispatch.Dispatcher.
func (d *Dispatcher) Stop(ctx context.Context, id dispatch.AttemptID) error {
	t, err := d.find(id)
	if err != nil {
		return err
	}
	t.stop(dispatch.Failf(dispatch.ReasonStopped, "the attempt was stopped"))
	select {
	case <-t.tasks.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Watch implements dispatch.Dispatcher.
func (d *Dispatcher) Watch(ctx context.Context, id dispatch.AttemptID, onTask func(dispatch.TaskOutcome)) (dispatch.Outcome, error) {
	t, err := d.find(id)
	if err != nil {
		return dispatch.Outcome{}, err
	}
	return t.tasks.Watch(ctx, id, onTask)
}

// Remove implements dispatch.Dispatcher. It also removes what an earlier process left of the attempt.
func (d *Dispatcher) Remove(ctx context.Context, id dispatch.AttemptID) error {
	if err := errors.Join(ctx.Err(), id.Validate()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t, ok := d.attempts[id]; ok && !t.tasks.Ended() {
		return fmt.Errorf("attempt %s: %w; stop it first", id, dispatch.ErrRunning)
	}
	delete(d.attempts, id)
	dir := attemptDir(d.opts.Dir, id)
	var rec attemptRecord
	if err := readRecord(filepath.Join(dir, attemptFile), &rec); err == nil && rec.Engine == dispatch.EngineDocker && d.docker != nil {
		if err := d.docker.Remove(ctx, id); err != nil {
			return fmt.Errorf("remove attempt %s: %w", id, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove attempt %s: %w", id, err)
	}
	return d.gate.gpus.forget(id)
}

// Kept returns the attempts that have files here, started by this process or an earlier one, in order. Whoever starts attempts removes
// those that nobody wants any more.
func (d *Dispatcher) Kept() ([]dispatch.AttemptID, error) {
	dirs, err := os.ReadDir(filepath.Join(d.opts.Dir, attemptsName))
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	var ids []dispatch.AttemptID
	for _, dir := range dirs {
		var rec attemptRecord
		file := filepath.Join(d.opts.Dir, attemptsName, dir.Name(), attemptFile)
		switch err := readRecord(file, &rec); {
		case err == nil:
			ids = append(ids, rec.ID)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errDamaged): // cleared when it is started again
		default:
			return nil, fmt.Errorf("list attempts: %w", err)
		}
	}
	slices.SortFunc(ids, dispatch.AttemptID.Compare)
	return ids, nil
}

func (d *Dispatcher) find(id dispatch.AttemptID) (*attempt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t, ok := d.attempts[id]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("attempt %s: %w", id, dispatch.ErrUnknownAttempt)
}
