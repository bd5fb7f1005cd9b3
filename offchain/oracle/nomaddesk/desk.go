package nomaddesk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Chain is what a desk asks of the chain. What is not there is chain.ErrNotFound.
type Chain interface {
	Job(ctx context.Context, id string) (jobstypes.Job, error)
	Slice(ctx context.Context, job string, number uint32) (jobstypes.Slice, error)
	// NodeAt is a node as it was at a height, or now if that state is not kept any more.
	NodeAt(ctx context.Context, id string, height int64) (nodestypes.Node, error)
	// OnNode is what is on a node now; an error if the chain is not up to date.
	OnNode(ctx context.Context, id string) (Holding, error)
}

// Options of a Desk; fields without a default must be set.
type Options struct {
	// Dir holds the dispatcher's state; only one process may use it.
	Dir     string
	Regions []nomad.Region
	// Runner is the image of the containers.
	Runner nomad.Image
	Chain  Chain
	// Registry is where specs are read and results pushed; ContentURL is where Nomad's clients reach it.
	Registry   *client.Client
	ContentURL string
	// Pull says with what the clients pull an attempt's contents there; nil if the registry wants nothing.
	Pull func(ctx context.Context, id dispatch.AttemptID) (Credentials, error)
	// GatewayCA is the authority, in PEM, of the certificate of Credentials.Gateway; empty: the public ones.
	GatewayCA string
	// RankPause is how long each rank leaves the ones before it to register an attempt; 10 s.
	RankPause time.Duration
	// StartTimeout is how long after the match an attempt may be registered; 120 s.
	StartTimeout time.Duration
	// SweepEvery is how often jobs that nobody wants are looked for; 1 min.
	SweepEvery time.Duration
	Log        *slog.Logger

	retryMin, retryMax, clockSlack, adoptEvery, tellEvery, lookEvery time.Duration // for tests
}

func (o *Options) validate() error {
	switch {
	case o.Chain == nil:
		return errors.New("nomad: no chain")
	case o.Registry == nil:
		return errors.New("nomad: no registry client")
	case o.ContentURL == "":
		return errors.New("nomad: no address at which Nomad's clients reach the registry")
	}
	o.RankPause = cmp.Or(o.RankPause, 10*time.Second)
	o.StartTimeout = cmp.Or(o.StartTimeout, 120*time.Second)
	o.SweepEvery = cmp.Or(o.SweepEvery, time.Minute)
	o.Log = cmp.Or(o.Log, slog.Default())
	o.retryMin = cmp.Or(o.retryMin, 500*time.Millisecond)
	o.retryMax = cmp.Or(o.retryMax, 15*time.Second)
	o.clockSlack = cmp.Or(o.clockSlack, 30*time.Second)
	o.tellEvery = cmp.Or(o.tellEvery, 10*time.Second)
	o.adoptEvery = cmp.Or(o.adoptEvery, time.Second)
	return nil
}

// Desk runs the attempts of one oracle's Nomad regions.
type Desk struct {
	opts    Options
	nomad   *nomad.Dispatcher
	content *client.Client
	kicked  chan struct{} // an attempt may be over

	endings sync.WaitGroup

	mu        sync.Mutex
	ending    map[dispatch.AttemptID]bool
	reporting map[dispatch.AttemptID]int
}

// New opens a desk. Attempts of an earlier process are taken up as the chain's rounds ask for them.
func New(opts Options) (*Desk, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	var layout []client.Option
	if opts.Registry.Owned() {
		layout = append(layout, client.WithOwnedRepos())
	}
	content, err := client.New(opts.ContentURL, layout...)
	if err != nil {
		return nil, err
	}
	d := &Desk{
		opts: opts, content: content, kicked: make(chan struct{}, 1),
		ending: map[dispatch.AttemptID]bool{}, reporting: map[dispatch.AttemptID]int{},
	}
	d.nomad, err = nomad.New(nomad.Options{
		Dir: opts.Dir, Regions: opts.Regions, Image: opts.Runner, Place: d.place, Locate: d.locate,
		PlacementTimeout: opts.StartTimeout, LookEvery: opts.lookEvery, Log: opts.Log,
	})
	return d, err
}

// Close ends all watching. What runs in Nomad goes on.
func (d *Desk) Close() error { return d.nomad.Close() }

// Check asks the regions for their versions and reports skew. The error is nomad.ErrTooOld if a region cannot be used; one that does not answer
// now is only complained of.
func (d *Desk) Check(ctx context.Context) error {
	all, err := d.nomad.Check(ctx)
	for _, v := range all {
		if len(v.Servers) > 0 {
			d.opts.Log.Info("Nomad", "region", v.Region, "servers", v.Servers, "clients", v.Clients)
		}
		for _, skew := range v.Skew {
			d.opts.Log.Warn("versions of Nomad differ", "region", v.Region, "skew", skew)
		}
	}
	if err != nil && !errors.Is(err, nomad.ErrTooOld) {
		d.opts.Log.Error("a Nomad region cannot be asked; its attempts wait until it can", "error", err)
		return nil
	}
	return err
}

// Serves reports whether this desk can reach a region.
func (d *Desk) Serves(region string) bool {
	for _, r := range d.opts.Regions {
		if r.Name == region {
			return true
		}
	}
	return false
}

// name is what Nomad takes for regions, namespaces, pools and the like.
var name = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

// errOver says that the chain has gone on from an attempt.
var errOver = errors.New("the chain has no such attempt under way")

// place says where an attempt belongs, for the dispatcher.
func (d *Desk) place(ctx context.Context, id dispatch.AttemptID) (nomad.Placement, error) {
	slice, err := d.opts.Chain.Slice(ctx, id.Job, id.Slice)
	if err != nil {
		return nomad.Placement{}, err
	}
	if slice.Attempt != id.Attempt || slice.Status != jobstypes.SLICE_STATUS_MATCHED {
		return nomad.Placement{}, errOver
	}
	node, err := d.opts.Chain.NodeAt(ctx, slice.NodeId, slice.MatchedHeight)
	if err != nil {
		return nomad.Placement{}, err
	}
	deadline := d.times(slice).deadline
	if slice.Serving != nil { // for how long it holds money is no limit of its service
		deadline = time.Time{}
	}
	p, err := placement(node, deadline)
	p.Height = slice.MatchedHeight
	return p, err
}

// placement is a node's place in Nomad's terms.
func placement(node nodestypes.Node, deadline time.Time) (nomad.Placement, error) {
	p, served := handover.NomadPlace(node)
	if !served {
		return nomad.Placement{}, fmt.Errorf("%w: node %s is not served by Nomad", dispatch.ErrInvalidAssignment, node.Id)
	}
	for key, value := range p.Attributes() {
		if !name.MatchString(value) {
			return nomad.Placement{}, fmt.Errorf("%w: node %s: attribute %s is %q, which is no name in Nomad", dispatch.ErrInvalidAssignment, node.Id, key, value)
		}
	}
	return nomad.Placement{
		Node: node.Id, Region: p.Region, Namespace: p.Namespace, Datacenter: p.Datacenter, Pool: p.Pool, Class: p.Class, Deadline: deadline,
	}, nil
}

// times of an attempt, all from the time of its match on chain.
type times struct {
	matched, startBy, deadline time.Time
}

// spare is what an attempt may take beyond its tasks' time: downloads, compiling, and the end of what hangs.
const spare = 15 * time.Minute

func (d *Desk) times(slice jobstypes.Slice) times {
	matched := time.Unix(slice.MatchedTime, 0)
	startBy := matched.Add(d.opts.StartTimeout)
	return times{matched, startBy, startBy.Add(time.Duration(min(slice.MaxDuration, 1<<32))*time.Second + spare)}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
