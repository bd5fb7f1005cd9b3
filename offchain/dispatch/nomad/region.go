package nomad

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

const (
	// machineAge is how long what a client said of its machine is believed.
	machineAge = time.Minute
	// leaderChecks is how often the region is asked for its leader between two full lists.
	leaderChecks = 6
)

// region follows one Nomad region for all attempts in it.
type region struct {
	client *client
	every  time.Duration
	log    *slog.Logger

	// spawn runs a function until the dispatcher closes.
	spawn func(func(context.Context))

	mu       sync.Mutex
	attempts map[jobKey]*attempt
	followed map[string]bool // namespaces
	machines map[string]knownMachine
}

type jobKey struct{ namespace, id string }

type knownMachine struct {
	Machine
	asked time.Time
}

func newRegion(c *client, opts Options, spawn func(func(context.Context))) *region {
	return &region{
		client: c, every: opts.ReconcileEvery, log: opts.Log.With("region", c.region), spawn: spawn,
		attempts: map[jobKey]*attempt{}, followed: map[string]bool{}, machines: map[string]knownMachine{},
	}
}

func (t *attempt) key() jobKey { return jobKey{namespaceOf(t.rec.Place), t.job} }

// add has an attempt told what happens to it. Each namespace is followed for itself: a token for all of them would be needed otherwise.
func (r *region) add(t *attempt) {
	key := t.key()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts[key] = t
	if !r.followed[key.namespace] {
		r.followed[key.namespace] = true
		r.spawn(func(ctx context.Context) { r.follow(ctx, key.namespace) })
	}
}

func (r *region) drop(t *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.attempts, t.key())
}

func (r *region) find(k jobKey) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts[k]
}

// machine returns what the client of a node has.
func (r *region) machine(ctx context.Context, node string) (Machine, error) {
	r.mu.Lock()
	known, ok := r.machines[node]
	r.mu.Unlock()
	if ok && time.Since(known.asked) < machineAge {
		return known.Machine, nil
	}
	m, err := r.client.machine(ctx, node)
	if err != nil {
		return Machine{}, err
	}
	r.mu.Lock()
	r.machines[node] = knownMachine{m, time.Now()}
	r.mu.Unlock()
	return m, nil
}

// follow brings a namespace's news to its attempts until ctx ends.
func (r *region) follow(ctx context.Context, namespace string) {
	cursor := uint64(0)
	for ctx.Err() == nil {
		if err := r.session(ctx, namespace, &cursor); err != nil && ctx.Err() == nil {
			r.log.Warn("lost the event stream; connecting again", "namespace", namespace, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

// session follows one connection. The cursor is the index of the last event seen.
func (r *region) session(ctx context.Context, namespace string, cursor *uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	leader, err := r.client.leader(ctx)
	if err != nil {
		return err
	}
	stream, err := r.client.events(ctx, namespace, *cursor)
	if err != nil {
		return err
	}
	if err := r.reconcile(ctx, namespace); err != nil {
		return err
	}
	full, ask := time.NewTicker(r.every), time.NewTicker(r.every/leaderChecks)
	defer full.Stop()
	defer ask.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-stream:
			if !ok {
				return ctx.Err()
			}
			if e.Err != nil {
				return e.Err
			}
			if e.Index < *cursor { // the servers' state was restored from an older one
				*cursor = 0
				r.forget(namespace)
				return fmt.Errorf("the index went back to %d", e.Index)
			}
			*cursor = e.Index
			r.tell(e.Events)
		case <-ask.C:
			now, err := r.client.leader(ctx)
			if err != nil {
				return err
			}
			if now != leader {
				return fmt.Errorf("the leader changed from %s to %s", leader, now)
			}
		case <-full.C:
			if err := r.reconcile(ctx, namespace); err != nil {
				return err
			}
		}
	}
}

func (r *region) tell(events []api.Event) {
	for _, e := range events {
		alloc, err := e.Allocation()
		if err != nil || alloc == nil {
			continue // the next full list has it
		}
		if t := r.find(jobKey{alloc.Namespace, alloc.JobID}); t != nil {
			t.observe(alloc.Stub())
		}
	}
}

// in returns the attempts of a namespace.
func (r *region) in(namespace string) map[jobKey]*attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	attempts := maps.Clone(r.attempts)
	maps.DeleteFunc(attempts, func(k jobKey, _ *attempt) bool { return k.namespace != namespace })
	return attempts
}

// forget drops all that is known of allocations: their indexes are of a state that is gone.
func (r *region) forget(namespace string) {
	for _, t := range r.in(namespace) {
		t.replace(nil, math.MaxUint64)
	}
}

// reconcile lists everything again. What is listed no more is forgotten, unless it may be newer than the list.
func (r *region) reconcile(ctx context.Context, namespace string) error {
	attempts := r.in(namespace)
	if len(attempts) == 0 {
		return nil
	}
	list, index, err := r.client.allAllocations(ctx, namespace, jobPrefix)
	if err != nil {
		return err
	}
	listed := map[jobKey][]*api.AllocationListStub{}
	for _, a := range list {
		k := jobKey{a.Namespace, a.JobID}
		listed[k] = append(listed[k], a)
	}
	for k, t := range attempts {
		t.replace(listed[k], index)
	}
	return nil
}
