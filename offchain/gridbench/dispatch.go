package gridbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/oracle/nomaddesk"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Options of a measurement; all must be set.
type Options struct {
	// Jobs submits with the developer's key.
	Jobs     *jobclient.Client
	Registry *client.Client
	// ContentURL is where Nomad's clients reach the registry.
	ContentURL string
	// Node is served by Nomad, in Region; Runner is the image that the oracles use.
	Node   nodestypes.Node
	Region nomad.Region
	Runner nomad.Image
	// Runs is how many jobs are started one at a time, AtOnce how many tasks together, Registrations how many jobs are registered for their rate.
	Runs, AtOnce, Registrations int
	// Dir is a temporary folder.
	Dir string
	// Say tells a person what is happening.
	Say func(format string, args ...any)
}

// Report is what was measured.
type Report struct {
	// Of jobs of one task, one at a time: from the call that submits to the block that holds it, to the match, to the container that runs, and to the
	// quorum for its outcome; and from the match to the container.
	Committed     Spread `json:"submit_to_committed"`
	Matched       Spread `json:"submit_to_matched"`
	Running       Spread `json:"submit_to_running"`
	MatchRunning  Spread `json:"match_to_running"`
	Attested      Spread `json:"submit_to_attested"`
	BareRunning   Spread `json:"bare_register_to_running"`
	AtOnceGrid    Spread `json:"at_once_grid_submit_to_running"`
	AtOnceMatched Spread `json:"at_once_grid_match_to_running"`
	AtOnceBare    Spread `json:"at_once_bare_register_to_running"`
	// Registrations a second, eight at a time, of jobs that nothing can run.
	BareRate       float64 `json:"registrations_per_s_bare"`
	DispatcherRate float64 `json:"registrations_per_s_dispatcher"`
}

const pollPause = 20 * time.Millisecond

// bench is a measurement under way.
type bench struct {
	Options
	probe  *nomad.Probe
	place  nomad.Placement
	packed jobclient.Packed
	file   *jobfile.File
	plan   *nomad.Plan
}

// tiny is a module that does nothing: its start is the cost of the way alone.
var tiny = []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
	"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" + "\x0a\x04\x01\x02\x00\x0b")

// Dispatch measures a running grid. The jobs that it submits are paid for.
func Dispatch(ctx context.Context, o Options) (Report, error) {
	var r Report
	b := &bench{Options: o}
	if err := b.one(ctx); err != nil {
		return r, err
	}
	o.Say("%d jobs, one at a time …", o.Runs)
	if err := b.sequence(ctx, &r); err != nil {
		return r, err
	}
	o.Say("%d tasks at once …", o.AtOnce)
	if err := b.together(ctx, &r); err != nil {
		return r, err
	}
	o.Say("registering %d jobs …", o.Registrations)
	return r, b.rates(ctx, &r)
}

// one prepares jobs of one task.
func (b *bench) one(ctx context.Context) (err error) {
	if b.probe, err = nomad.NewProbe(b.Region); err != nil {
		return err
	}
	p, _ := handover.NomadPlace(b.Node)
	b.place = nomad.Placement{Node: b.Node.Id, Region: p.Region, Namespace: p.Namespace}
	return b.prepare(ctx, 1)
}

// prepare pushes a job of so many tasks and plans its Nomad job.
func (b *bench) prepare(ctx context.Context, tasks int) (err error) {
	module := filepath.Join(b.Dir, "tiny.wasm")
	if err := os.WriteFile(module, tiny, 0o600); err != nil {
		return err
	}
	b.file, err = jobfile.Parse(fmt.Appendf(nil, `
version: 1
name: bench
module: %q
tasks: %d
resources: {cpu: 100m, memory: 16MiB, storage: 1MiB}
price: {cap_per_task_hour: 5FOG}
max_duration: 1m
constraints: {nodes: [%s]}
`, module, tasks, b.Node.Id))
	if err != nil {
		return err
	}
	if b.packed, err = jobclient.Pack(ctx, b.file, b.Dir, nil); err != nil {
		return err
	}
	if err := jobclient.Push(ctx, b.Registry, b.packed, nil); err != nil {
		return err
	}
	machine, err := nomad.MachineOf(ctx, b.Region, b.Node.Id)
	if err != nil {
		return err
	}
	place, err := nomaddesk.Where(b.Node)
	if err != nil {
		return err
	}
	content, err := nomaddesk.NewShelf(b.ContentURL, "")
	if err != nil {
		return err
	}
	b.plan, err = nomaddesk.Planned(b.packed.Spec, b.packed.Defaults(), place, machine, content, b.Runner)
	return err
}

// stamps are when one job got where.
type stamps struct {
	began, committed, matched, attested time.Time
	running                             []time.Time
}

// submit follows one job from its submission until its tasks are attested.
func (b *bench) submit(ctx context.Context) (s stamps, err error) {
	s.began = time.Now()
	job, err := b.Jobs.Submit(ctx, b.file, b.packed, jobclient.NewSalt())
	if err != nil {
		return s, err
	}
	s.committed = time.Now()
	attempts := map[dispatch.AttemptID]bool{}
	for ; ; time.Sleep(pollPause) {
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
		slices, err := b.Jobs.Slices(ctx, job.JobID)
		if err != nil {
			return s, err
		}
		open := false
		for _, slice := range slices {
			open = open || slice.Status == jobstypes.SLICE_STATUS_PENDING || slice.Status == jobstypes.SLICE_STATUS_MATCHED
			if slice.Attempt > 0 && slice.NodeId != "" {
				attempts[handover.ID(slice)] = true
			}
		}
		if len(attempts) > 0 && s.matched.IsZero() {
			s.matched = time.Now()
		}
		if !open {
			break
		}
	}
	s.attested = time.Now()
	for id := range attempts {
		began, err := b.probe.AttemptBegan(ctx, b.place, id)
		if err != nil {
			return s, err
		}
		s.running = append(s.running, began...)
	}
	if len(s.running) < int(b.file.Tasks) {
		return s, fmt.Errorf("of the %d tasks of %s %d ran on Nomad; see `fog job why %s`", b.file.Tasks, job.JobID, len(s.running), job.JobID)
	}
	return s, nil
}

// bare has Nomad run the planned job, and returns how long each task took to begin.
func (b *bench) bare(ctx context.Context) (times []time.Duration, err error) {
	id := "fogbench-" + jobclient.NewSalt()
	began := time.Now()
	if err := b.probe.Register(ctx, b.plan, id); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.probe.Purge(context.WithoutCancel(ctx), b.place.Namespace, id)) }()
	for ; ; time.Sleep(pollPause) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		running, err := b.probe.Began(ctx, b.place.Namespace, id)
		if err != nil {
			return nil, err
		}
		if len(running) == int(b.file.Tasks) {
			return since(began, running), nil
		}
	}
}

func since(began time.Time, times []time.Time) (out []time.Duration) {
	for _, t := range times {
		out = append(out, t.Sub(began))
	}
	return out
}

// sequence starts jobs one at a time, each beside the same container without the grid.
func (b *bench) sequence(ctx context.Context, r *Report) error {
	var committed, matched, running, fromMatch, attested, bare []time.Duration
	for range b.Runs {
		s, err := b.submit(ctx)
		if err != nil {
			return err
		}
		committed, matched = append(committed, s.committed.Sub(s.began)), append(matched, s.matched.Sub(s.began))
		running, attested = append(running, s.running[0].Sub(s.began)), append(attested, s.attested.Sub(s.began))
		fromMatch = append(fromMatch, s.running[0].Sub(s.matched))
		direct, err := b.bare(ctx)
		if err != nil {
			return err
		}
		bare = append(bare, direct...)
	}
	r.Committed, r.Matched, r.Running = spreadOf(committed), spreadOf(matched), spreadOf(running)
	r.MatchRunning, r.Attested, r.BareRunning = spreadOf(fromMatch), spreadOf(attested), spreadOf(bare)
	return nil
}

// together starts many tasks at once, and the same containers without the grid.
func (b *bench) together(ctx context.Context, r *Report) error {
	if err := b.prepare(ctx, b.AtOnce); err != nil {
		return err
	}
	s, err := b.submit(ctx)
	if err != nil {
		return err
	}
	bare, err := b.bare(ctx)
	r.AtOnceGrid, r.AtOnceMatched, r.AtOnceBare = spreadOf(since(s.began, s.running)), spreadOf(since(s.matched, s.running)), spreadOf(bare)
	return err
}
