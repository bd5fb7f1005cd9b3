package gridbench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const (
	// nobody is a class that no client has, so that what is registered is not run.
	nobody = "fog-bench-nobody"
	// atATime is the concurrency of registrations.
	atATime = 8
	// turns is how often each way of registering has its turn.
	turns = 8
)

// rates registers jobs that nothing can run, through a bare client and through a dispatcher.
func (b *bench) rates(ctx context.Context, r *Report) (err error) {
	// The chain knows no job with this id, so that the sweepers of the grid's oracles leave it alone.
	job := jobstypes.JobID(make([]byte, 20), []byte(jobclient.NewSalt())).Bech32(jobstypes.JobHRP)
	place := b.place
	place.Class = nobody
	url, err := client.New(b.ContentURL)
	if err != nil {
		return err
	}
	content := nomad.Content{Module: nomad.Source{URL: url.BlobURL(client.RepoModules, b.packed.Module)}}
	machine, err := nomad.MachineOf(ctx, b.Region, b.Node.Id)
	if err != nil {
		return err
	}
	assignment := func(i int) dispatch.Assignment {
		return dispatch.Assignment{
			ID: dispatch.AttemptID{Job: job, Slice: uint32(i), Attempt: 1}, Tasks: dispatch.MaxTasks, JobTasks: dispatch.MaxTasks,
			Engine: dispatch.EngineWASM, Module: b.packed.Module, ModulePath: content.Module.URL,
			CPUMilli: 100, MemoryMiB: 16, StorageMiB: 1, MaxDuration: time.Minute,
		}
	}
	bareID := func(i int) string { return fmt.Sprintf("fogbench-%s-%d", job, i) }
	defer func() {
		end := context.WithoutCancel(ctx)
		err = errors.Join(err, each(b.Registrations, func(i int) error {
			return errors.Join(b.probe.Purge(end, place.Namespace, bareID(i)), b.probe.Purge(end, place.Namespace, nomad.JobID(assignment(i).ID, place.Node)))
		}))
	}()
	d, err := nomad.New(nomad.Options{
		Dir: filepath.Join(b.Dir, "dispatcher"), Regions: []nomad.Region{b.Region}, Image: b.Runner,
		Place:  func(context.Context, dispatch.AttemptID) (nomad.Placement, error) { return place, nil },
		Locate: func(context.Context, dispatch.Assignment) (nomad.Content, error) { return content, nil },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	bare := func(i int) error {
		plan, err := nomad.NewPlan(assignment(i), place, machine, content, b.Runner)
		if err != nil {
			return err
		}
		return b.probe.Register(ctx, plan, bareID(i))
	}
	through := func(i int) error { return d.Start(ctx, assignment(i)) }
	// In turns, and each first as often as the other: what waits for a client makes the servers slower.
	var bareTime, throughTime time.Duration
	for turn, first := 0, 0; first < b.Registrations; turn++ {
		n := min((b.Registrations+turns-1)/turns, b.Registrations-first)
		ways := []struct {
			register func(int) error
			took     *time.Duration
		}{{bare, &bareTime}, {through, &throughTime}}
		if turn%2 == 1 {
			slices.Reverse(ways)
		}
		for _, way := range ways {
			began := time.Now()
			if err := each(n, func(i int) error { return way.register(first + i) }); err != nil {
				return err
			}
			*way.took += time.Since(began)
		}
		first += n
	}
	r.BareRate = float64(b.Registrations) / bareTime.Seconds()
	r.DispatcherRate = float64(b.Registrations) / throughTime.Seconds()
	return nil
}

// each calls do for 0 to n-1, several at a time.
func each(n int, do func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(atATime)
	for i := range n {
		g.Go(func() error { return do(i) })
	}
	return g.Wait()
}
