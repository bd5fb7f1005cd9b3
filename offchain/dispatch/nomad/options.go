package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/lend"
	"github.com/foggrid/fogd/offchain/image"
)

// Placement says where the match put an attempt, in Nomad's terms. Empty fields constrain nothing, but for Node and Region.
type Placement struct {
	// Node is the node's id on the chain; the Nomad client that serves it has it as meta.fog_node.
	Node string `json:"node"`
	// Region names one of Options.Regions.
	Region     string `json:"region"`
	Namespace  string `json:"namespace"`
	Datacenter string `json:"datacenter"`
	Pool       string `json:"pool"`
	Class      string `json:"class"`
	// Height is that of the match: volumes that are made for it are known to whoever has seen that block.
	Height int64 `json:"height"`
	// Deadline is when the attempt is over on the chain; zero is never. It is not registered later, nor left running.
	Deadline time.Time `json:"deadline"`
}

// Source is where a Nomad client downloads a file from.
type Source struct {
	URL string
	// Headers are sent along, such as a token for this one job.
	Headers map[string]string
}

// Content says where the contents of an attempt are. Inputs is unused if the assignment has none; of Module and Image its engine decides.
type Content struct {
	Module, Inputs Source
	Image          Picture
	// RunnerUsername and RunnerPassword are for the pull of the runner in this job, if Options.Image has none for all.
	RunnerUsername, RunnerPassword string
	// Lend says where the secrets of the attempt are lent; nil if nowhere.
	Lend *lend.Terms
}

// Picture is the image of a job.
type Picture struct {
	// Ref names it by digest: host/repository@sha256:….
	Ref string
	// Username and Password are for this job's pull; both may be empty.
	Username, Password string
	// Defaults are what the image's own configuration says.
	Defaults image.Defaults
}

// Region is one Nomad region and how to reach its servers.
type Region struct {
	Name    string
	Address string
	// Token is an ACL token; TokenFile, if set, holds the one to use from then on each time that it is replaced. CACert, ClientCert and ClientKey are files
	// for mutual TLS.
	Token, TokenFile              string
	CACert, ClientCert, ClientKey string
	// TokenSource gives the token of each request in place of Token and TokenFile, for a token that is lent and replaced.
	TokenSource func() string
}

// Image is the runner image, what a client pulls it with, and what its containers get beside their task.
type Image struct {
	// Ref names it by digest: host/repository@sha256:….
	Ref                string
	Username, Password string
	// CacheVolume names a host volume of the clients, writable for user 65534, in which runners share compiled modules; without one each task
	// compiles its module for itself. It holds machine code: clients must let nobody but these jobs have it.
	CacheVolume string
}

// Options configures a Dispatcher; fields without a default must be set.
type Options struct {
	// Dir holds the state; only one process may use it. It is made if needed.
	Dir     string
	Regions []Region
	Image   Image
	// Place says where an attempt belongs.
	Place func(ctx context.Context, id dispatch.AttemptID) (Placement, error)
	// Locate says where its contents are.
	Locate func(ctx context.Context, a dispatch.Assignment) (Content, error)
	// PlacementTimeout is how long an attempt may have tasks that wait for room while none of it runs; 120 s.
	PlacementTimeout time.Duration
	// CollectTimeout is how long a result may be out of reach before its node counts as failed; 5 minutes.
	CollectTimeout time.Duration
	// LostAfter is how long a client may be unknown to the servers before it counts as lost: as long as it may take to stop what it runs, 65 s.
	LostAfter time.Duration
	// LookEvery is how often the state of a service is looked at, and a log that is followed; 5 s and a fifth of it.
	LookEvery time.Duration
	// ReconcileEvery is how often everything is listed again; 1 minute.
	ReconcileEvery time.Duration
	Log            *slog.Logger
}

func (o *Options) validate() error {
	switch {
	case o.Dir == "":
		return errors.New("nomad dispatcher: no folder for its state; set Options.Dir")
	case len(o.Regions) == 0:
		return errors.New("nomad dispatcher: no region; give the address of a Nomad server")
	case o.Image.Ref == "":
		return errors.New("nomad dispatcher: no runner image; push one and name it by digest")
	case o.Place == nil || o.Locate == nil:
		return errors.New("nomad dispatcher: Place and Locate must be set")
	}
	seen := map[string]bool{}
	for _, r := range o.Regions {
		if r.Name == "" || seen[r.Name] {
			return fmt.Errorf("nomad dispatcher: region %q is named twice or not at all", r.Name)
		}
		seen[r.Name] = true
	}
	o.PlacementTimeout = cmp.Or(o.PlacementTimeout, 120*time.Second)
	o.CollectTimeout = cmp.Or(o.CollectTimeout, 5*time.Minute)
	o.LostAfter = cmp.Or(o.LostAfter, disconnectedStop+killTimeout)
	o.LookEvery = cmp.Or(o.LookEvery, 5*time.Second)
	o.ReconcileEvery = cmp.Or(o.ReconcileEvery, time.Minute)
	o.Log = cmp.Or(o.Log, slog.Default())
	return nil
}
