package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Experiment runs policies through the same worlds.
type Experiment struct {
	Catalogue []Server
	Scenario  Scenario
	Policies  []string
	// Jobs of each run.
	Jobs int
	// Seeds of the worlds, one run of each policy each.
	Seeds []uint64
	// Workers is the number of runs at a time, at least one; more than one spoils the decisions' times.
	Workers int
	// Alone leaves the references out, for worlds in which looking at every node for each job takes hours. Ratios are then zero.
	Alone bool
	// Clock counts nanoseconds for the decisions' times; without it they are zero.
	Clock func() int64
	// Progress, if set, is told how many jobs of all runs are done. Calls do not overlap.
	Progress func(done, total int64)
}

// references are the policies that others are measured by.
var references = []string{"oracle", "random"}

// Run carries the experiment out. When ctx ends it returns what the seeds that are complete have shown, if any, beside the error.
func (x *Experiment) Run(ctx context.Context) (*Result, error) {
	if err := x.check(); err != nil {
		return nil, err
	}
	names := slices.Clone(x.Policies)
	for _, ref := range references {
		if !x.Alone && !slices.Contains(names, ref) {
			names = append(names, ref)
		}
	}
	outcomes := make([][]*Seed, len(x.Seeds))
	for s := range outcomes {
		outcomes[s] = make([]*Seed, len(names))
	}
	type task struct{ seed, policy int }
	tasks := make(chan task)
	go func() {
		defer close(tasks)
		for s := range x.Seeds {
			for p := range names {
				select {
				case tasks <- task{s, p}:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	meter := &progressMeter{total: int64(len(x.Seeds)) * int64(len(names)) * int64(x.Jobs), tell: x.Progress}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		fail error
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range max(x.Workers, 1) {
		wg.Go(func() {
			for t := range tasks {
				out, err := x.one(ctx, names[t.policy], x.Seeds[t.seed], meter)
				if err != nil {
					mu.Lock()
					if fail == nil {
						fail = err
					}
					mu.Unlock()
					cancel()
					continue // the channel ends with ctx
				}
				outcomes[t.seed][t.policy] = out
			}
		})
	}
	wg.Wait()
	if fail == nil {
		fail = ctx.Err()
	}
	var complete [][]*Seed
	for _, row := range outcomes {
		if !slices.Contains(row, nil) {
			complete = append(complete, row)
		}
	}
	if len(complete) == 0 {
		return nil, fail
	}
	return x.result(names, complete), fail
}

func (x *Experiment) check() error {
	if err := x.Scenario.Validate(); err != nil {
		return err
	}
	switch {
	case len(x.Catalogue) == 0:
		return errors.New("sim: there are no servers; read or generate a catalogue")
	case x.Jobs < 100:
		return fmt.Errorf("sim: %d jobs say nothing; give at least 100", x.Jobs)
	case len(x.Seeds) == 0:
		return errors.New("sim: there are no seeds; give at least one")
	case len(x.Policies) == 0:
		return errors.New("sim: there are no policies; name at least one")
	}
	for i, name := range x.Policies {
		if _, err := findMaker(name); err != nil {
			return err
		}
		if slices.Contains(x.Policies[:i], name) {
			return fmt.Errorf("sim: policy %s is named twice; name each once", name)
		}
	}
	return nil
}

// one is a run of one policy in the world of one seed.
func (x *Experiment) one(ctx context.Context, name string, seed uint64, meter *progressMeter) (*Seed, error) {
	m, err := findMaker(name)
	if err != nil {
		return nil, err
	}
	w := newWorld(x.Catalogue, &x.Scenario, seed)
	p, err := m.build(w, NewRand(seed, streamPolicy))
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	clock := x.Clock
	if clock == nil {
		clock = func() int64 { return 0 }
	}
	t, err := simulate(ctx, w, p, x.Jobs, clock, meter.source())
	if err != nil {
		return nil, fmt.Errorf("policy %s, seed %d: %w", name, seed, err)
	}
	return t.seed(seed), nil
}

// progressMeter adds up the progress of runs at the same time.
type progressMeter struct {
	mu          sync.Mutex
	done, total int64
	tell        func(done, total int64)
}

func (m *progressMeter) source() func(int) {
	before := 0
	return func(done int) {
		if m.tell == nil {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.done += int64(done - before)
		before = done
		m.tell(m.done, m.total)
	}
}
