package direct

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
)

// gpus gives each GPU of the machine to one task at a time. Who has which is kept on disk: the containers of a process that was killed run on with
// theirs, until their attempts are started again or removed.
type gpus struct {
	file string
	ids  []string

	mu      sync.Mutex
	held    map[string]gpuHolder // by id
	changed chan struct{}        // closed and replaced when one is given back
}

// gpuHolder is a task of an attempt.
type gpuHolder struct {
	Attempt dispatch.AttemptID `json:"attempt"`
	Task    uint32             `json:"task"`
}

func openGPUs(file string, ids []string) (*gpus, error) {
	g := &gpus{file: file, ids: slices.Clone(ids), held: map[string]gpuHolder{}, changed: make(chan struct{})}
	slices.Sort(g.ids)
	for i, id := range g.ids {
		if id == "" || i > 0 && id == g.ids[i-1] {
			return nil, fmt.Errorf("GPU %q: name each once", id)
		}
	}
	err := readRecord(file, &g.held)
	if errors.Is(err, errDamaged) {
		return nil, fmt.Errorf("%w: it says which task has which GPU; stop the containers with GPUs, and remove it", err)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return g, nil
}

func (g *gpus) count() int { return len(g.ids) }

// take waits until the task has as many GPUs as it needs: those that it had, if it goes on.
func (g *gpus) take(ctx context.Context, a dispatch.Assignment, task uint32) ([]string, error) {
	if a.GPUs == 0 {
		return nil, nil
	}
	for {
		mine, more, err := g.tryTake(gpuHolder{a.ID, task}, int(a.GPUs))
		if mine != nil || err != nil {
			return mine, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (g *gpus) tryTake(who gpuHolder, n int) (mine []string, more <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var free []string
	for _, id := range g.ids {
		switch holder, taken := g.held[id]; {
		case !taken:
			free = append(free, id)
		case holder == who:
			mine = append(mine, id)
		}
	}
	if len(mine) == n {
		return mine, nil, nil
	}
	if len(mine)+len(free) < n {
		return nil, g.changed, nil
	}
	next := maps.Clone(g.held)
	for _, id := range mine {
		delete(next, id)
	}
	mine = append(mine, free...)[:n]
	for _, id := range mine {
		next[id] = who
	}
	return mine, nil, g.write(next)
}

// write makes who has what durable. The caller holds mu.
func (g *gpus) write(next map[string]gpuHolder) error {
	var err error
	if len(next) > 0 {
		err = writeRecord(g.file, next)
	} else if err = os.Remove(g.file); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return dispatch.NodeFailure("record who has the GPUs", err)
	}
	g.held = next
	return nil
}

// release gives the GPUs of a task back.
func (g *gpus) release(id dispatch.AttemptID, task uint32) error {
	return g.drop(func(h gpuHolder) bool { return h == gpuHolder{id, task} })
}

// forget gives back all that an attempt has.
func (g *gpus) forget(id dispatch.AttemptID) error {
	return g.drop(func(h gpuHolder) bool { return h.Attempt == id })
}

func (g *gpus) drop(whose func(gpuHolder) bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := maps.Clone(g.held)
	maps.DeleteFunc(next, func(_ string, h gpuHolder) bool { return whose(h) })
	if len(next) == len(g.held) {
		return nil
	}
	if err := g.write(next); err != nil {
		return err
	}
	close(g.changed)
	g.changed = make(chan struct{})
	return nil
}

// ProbeGPUs says what keeps tasks from using the machine's GPUs; nil if it gives none.
func (d *Dispatcher) ProbeGPUs(ctx context.Context) error {
	switch {
	case d.gate.gpus.count() == 0:
		return nil
	case d.docker == nil:
		return docker.ErrNone
	}
	return d.docker.ProbeGPUs(ctx)
}
