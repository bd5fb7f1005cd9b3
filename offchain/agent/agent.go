package agent

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/agent/autoprice"
	"github.com/foggrid/fogd/offchain/agent/inventory"
	"github.com/foggrid/fogd/offchain/agent/limits"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/nodeclient"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Dispatcher runs attempts on this machine and knows those that have files here.
type Dispatcher interface {
	dispatch.Dispatcher
	Kept() ([]dispatch.AttemptID, error)
}

// Config of an Agent; fields without a default must be set.
type Config struct {
	Chain *chain.Client
	// NodeID (node1…) is the agent's node; if it is empty, the agent waits until a node with its key is registered.
	NodeID string
	// AgentKey is the private half of the agent key on chain.
	AgentKey ed25519.PrivateKey
	Registry *client.Client
	// Secrets gets those that jobs name; without it such jobs do not run here.
	Secrets SecretSource
	// Dispatcher is closed by whoever made it, after Run has returned. Without one the agent starts nothing: the oracles run its node's attempts on
	// Nomad, and the agent is only measured and pinged.
	Dispatcher Dispatcher
	// Dir is where the agent keeps its files; only one agent may use it.
	Dir string
	// BootID is hex and new at every start; drawn if empty.
	BootID string
	// Version of the program, which oracles see; "dev" if empty.
	Version string
	// Follow, if set, is told the node as the chain has it, again and again.
	Follow func(nodestypes.Node)
	// Pricing lets the demand set the node's price; nil leaves it to the owner.
	Pricing *autoprice.Terms
	// Owner are the hours and the use of the machine that its owner reserves; nil reserves none.
	Owner *limits.Terms
	// AllowExec lets owners run commands in the containers of their jobs that ask for it.
	AllowExec bool
	// Limits are what the machine lends to challenges; by default all cores, seven eighths of its memory, and a file of 128 MiB in Dir.
	Limits challenge.Limits
	Log    *slog.Logger

	// CacheMiB bounds modules, specs and inputs on disk; 4096.
	CacheMiB uint64
	// Refresh is how often the oracles and the node's status are read; 10 s.
	Refresh time.Duration
	// Heartbeat is how often oracles hear that an attempt is under way; 10 s.
	Heartbeat time.Duration
	// Resend is the pause before a report is sent again that was refused while the chain still waits for it; 30 s.
	Resend time.Duration
	// Keep is how long a result is kept on this machine after it was reported, unless it is settled earlier; 1 h.
	Keep time.Duration
	// Sweep is how often files of attempts that nobody wants any more are looked for; 1 min.
	Sweep time.Duration
	// RetryMin and RetryMax bound the pause before something that failed is tried again; 500 ms and 15 s.
	RetryMin, RetryMax time.Duration

	link     link.ClientOptions // timing of links, for tests
	lookEach time.Duration      // of pricing, for tests
}

const (
	// challengeMemoryLeast is lent even if it cannot be found out how much there is.
	challengeMemoryLeast = 256
	challengeDiskMiB     = 128
)

func (c *Config) validate() error {
	switch {
	case c.Chain == nil:
		return errors.New("agent: no chain client")
	case len(c.AgentKey) != ed25519.PrivateKeySize:
		return fmt.Errorf("agent: the agent key has %d bytes; an ed25519 private key has %d", len(c.AgentKey), ed25519.PrivateKeySize)
	case c.Registry == nil:
		return errors.New("agent: no registry client")
	case c.Dir == "":
		return errors.New("agent: no folder; set Config.Dir")
	}
	if c.Pricing != nil {
		if err := c.Pricing.Validate(); err != nil {
			return fmt.Errorf("agent: prices: %w", err)
		}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.BootID = cmp.Or(c.BootID, inventory.NewBootID())
	c.Version = cmp.Or(c.Version, "dev")
	c.Limits.Cores = cmp.Or(c.Limits.Cores, runtime.GOMAXPROCS(0))
	c.Limits.DiskMiB = cmp.Or(c.Limits.DiskMiB, challengeDiskMiB)
	c.Limits.Dir = cmp.Or(c.Limits.Dir, filepath.Join(c.Dir, "challenge"))
	c.CacheMiB = cmp.Or(c.CacheMiB, 4096)
	c.Refresh = cmp.Or(c.Refresh, 10*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 10*time.Second)
	c.Resend = cmp.Or(c.Resend, 30*time.Second)
	c.Keep = cmp.Or(c.Keep, time.Hour)
	c.Sweep = cmp.Or(c.Sweep, time.Minute)
	c.RetryMin = cmp.Or(c.RetryMin, 500*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, 15*time.Second)
	return link.Hello{NodeID: cmp.Or(c.NodeID, "none"), BootID: c.BootID, Version: c.Version}.Validate()
}

// Agent is the program of one machine. Make it with New and run it once.
type Agent struct {
	cfg   Config
	log   *slog.Logger
	fetch fetcher
	plain *plain
	sweep chan struct{} // an attempt has ended

	mu     sync.Mutex
	nodeID string
	links  *links
	runs   map[dispatch.AttemptID]*run
	served served
	// followed says that the chain's wishes were compared once.
	followed bool
}

// New checks the configuration; nothing runs yet.
func New(cfg Config) (*Agent, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Agent{
		cfg: cfg, log: cfg.Log, sweep: make(chan struct{}, 1), runs: map[dispatch.AttemptID]*run{},
	}, nil
}

// Run works until the context ends; its error is then the context's. Attempts under way go on in the dispatcher until that is closed,
// and are taken up again by the next agent with the same folder.
func (a *Agent) Run(ctx context.Context) (err error) {
	unlock, err := a.openDir(ctx)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	nodeID, err := a.identify(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := a.cfg.Log.With("node", nodeID)
	opts := a.cfg.link
	opts.Key, opts.Hello = a.cfg.AgentKey, link.Hello{NodeID: nodeID, BootID: a.cfg.BootID, Version: a.cfg.Version}
	opts.Slot, opts.Limits, opts.Log = challenge.NewSlot(), a.cfg.Limits, log
	opts.Limits.Held = &challenge.Held{}
	closeAudit, err := a.show(&opts)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	defer func() { err = errors.Join(err, closeAudit()) }()
	pricer := a.pricing(nodeID, log)
	keeper, err := a.owner(nodeID, log)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	a.mu.Lock()
	a.log, a.nodeID = log, nodeID
	a.links = newLinks(ctx, opts, log, a.cfg.Resend)
	if pricer != nil {
		a.links.tellOffers(pricer.Book())
	}
	a.mu.Unlock()
	log.Info("agent starts", "boot", a.cfg.BootID, "version", a.cfg.Version)

	var helpers sync.WaitGroup
	if a.cfg.Dispatcher != nil {
		helpers.Go(func() { a.runSweeper(ctx) })
	}
	if pricer != nil {
		helpers.Go(func() { pricer.Run(ctx) })
	}
	if keeper != nil {
		helpers.Go(func() { keeper.Run(ctx) })
	}
	err = a.follow(ctx)
	cancel()
	for _, r := range a.underWay() {
		<-r.done
	}
	helpers.Wait()
	a.links.wg.Wait()
	log.Info("agent has stopped")
	return err
}

// pricing is the worker that sets the price, nil if there is none. A machine serves without it if it cannot begin.
func (a *Agent) pricing(nodeID string, log *slog.Logger) *autoprice.Worker {
	if a.cfg.Pricing == nil {
		return nil
	}
	w, err := autoprice.New(autoprice.Config{
		Terms: *a.cfg.Pricing, Chain: a.cfg.Chain, NodeID: nodeID, Dir: a.cfg.Dir, Log: log, Every: a.cfg.lookEach,
	})
	if err != nil {
		log.Error("the price stays as it is until the agent is started again", "error", err)
		return nil
	}
	return w
}

// owner is the worker that keeps the node to its owner's limits, nil if there are none and none are to be taken back.
func (a *Agent) owner(nodeID string, log *slog.Logger) (*limits.Worker, error) {
	if a.cfg.Owner == nil {
		drained, err := limits.Drained(a.cfg.Dir, nodeID)
		if drained {
			log.Warn("an earlier agent had the node drain while the machine was in use; resume it with `fog node resume`, or run the agent with --pause-when-in-use")
		}
		return nil, err
	}
	return limits.New(limits.Config{
		Terms: *a.cfg.Owner, Chain: &nodeclient.Client{Chain: a.cfg.Chain}, NodeID: nodeID, Dir: a.cfg.Dir, Log: log,
	})
}

// openDir takes the folder and what an earlier agent left in it.
func (a *Agent) openDir(ctx context.Context) (unlock func() error, err error) {
	if err := errors.Join(os.MkdirAll(a.cfg.Dir, 0o700), os.MkdirAll(a.cfg.Limits.Dir, 0o700)); err != nil {
		return nil, err
	}
	if a.cfg.Limits.MemoryMiB == 0 {
		a.cfg.Limits.MemoryMiB = a.memoryToLend(ctx)
	}
	if unlock, err = lockDir(ctx, a.cfg.Dir); err != nil {
		return nil, fmt.Errorf("lock its folder: %w", err)
	}
	cache, err := openCache(filepath.Join(a.cfg.Dir, "cache"), int64(a.cfg.CacheMiB)<<20)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	a.fetch = fetcher{a.cfg.Registry, cache}
	a.plain = newPlain(filepath.Join(a.cfg.Dir, plainDir), cache)
	return unlock, nil
}

// memoryToLend is what challenges may fill: as much as a machine can offer, since that is what they ask to see.
func (a *Agent) memoryToLend(ctx context.Context) uint64 {
	inv, err := inventory.Collect(ctx, a.cfg.Dir)
	if err != nil {
		a.log.Warn("the machine's memory is not known, so challenges may fill little of it", "mib", challengeMemoryLeast, "error", err)
	}
	return max(inv.MemoryMiB-inv.MemoryMiB/memoryShare, challengeMemoryLeast)
}

// identify returns the node's id, and waits for its registration if it is not given.
func (a *Agent) identify(ctx context.Context) (string, error) {
	if a.cfg.NodeID != "" {
		return a.cfg.NodeID, nil
	}
	key := a.cfg.AgentKey.Public().(ed25519.PublicKey)
	told := false
	for height := int64(1); ; {
		newest, err := a.cfg.Chain.WaitForHeight(ctx, height)
		if err != nil {
			return "", err
		}
		height = newest + 1
		resp, err := nodestypes.NewQueryClient(a.cfg.Chain.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{AgentKey: key})
		if err == nil {
			return resp.Node.Id, nil
		}
		if !errors.Is(err, chain.ErrNotFound) {
			a.log.Warn("the agent's node cannot be looked up; trying again", "error", err)
		} else if !told {
			told = true
			a.log.Info("no node is registered with this agent's key; waiting for `fog node register`")
		}
	}
}

// follow compares the chain's wishes with what is under way, after each block, or after several if they come faster than it works.
func (a *Agent) follow(ctx context.Context) error {
	var refreshed time.Time
	var status nodestypes.NodeStatus
	pause := a.pause()
	for height := int64(1); ; {
		newest, err := a.cfg.Chain.WaitForHeight(ctx, height)
		if err != nil {
			return err
		}
		if time.Since(refreshed) >= a.cfg.Refresh {
			if err = a.refresh(ctx, newest, &status); err == nil {
				refreshed = time.Now()
			}
		}
		if err == nil && a.cfg.Dispatcher != nil && a.served != unknown {
			err = a.reconcile(ctx, newest)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			a.log.Warn("the chain's state cannot be read; trying again", "height", newest, "error", err)
			if err := pause.wait(ctx); err != nil {
				return err
			}
		default:
			pause.reset()
			height = newest + 1
		}
	}
}

// refresh reads what changes seldom: the oracles, and the status of the node.
func (a *Agent) refresh(ctx context.Context, height int64, status *nodestypes.NodeStatus) error {
	at := a.cfg.Chain.AtHeight(height)
	queries := oracletypes.NewQueryClient(at)
	oracles, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*oracletypes.QueryOraclesResponse, error) {
		return queries.Oracles(ctx, &oracletypes.QueryOraclesRequest{Pagination: page})
	}, func(r *oracletypes.QueryOraclesResponse) []oracletypes.Oracle { return r.Oracles })
	if err != nil {
		return fmt.Errorf("oracles: %w", err)
	}
	a.links.update(oracles)
	resp, err := nodestypes.NewQueryClient(at).Node(ctx, &nodestypes.QueryNodeRequest{Id: a.nodeID})
	if errors.Is(err, chain.ErrNotFound) {
		a.log.Warn("the chain does not know this node; register it, or check --node and the chain's address")
		return nil
	}
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if !bytes.Equal(resp.Node.AgentKey, a.cfg.AgentKey.Public().(ed25519.PublicKey)) {
		a.log.Error("the node is registered with another agent's key; no oracle will listen to this agent")
	}
	a.notePlace(resp.Node)
	if a.cfg.Follow != nil {
		a.cfg.Follow(resp.Node)
	}
	if now := resp.Node.Status; now != *status {
		a.log.Info("node status", "status", strings.ToLower(strings.TrimPrefix(now.String(), "NODE_STATUS_")), "reason", resp.Node.JailReason)
		*status = now
	}
	return nil
}

// reconcile starts the attempts that the chain assigns and ends those that it does not any more.
func (a *Agent) reconcile(ctx context.Context, height int64) error {
	assigned, err := a.assigned(ctx, a.cfg.Chain.AtHeight(height))
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := map[dispatch.AttemptID]bool{}
	for _, s := range assigned {
		id := dispatch.AttemptID{Job: s.JobId, Slice: s.Number, Attempt: s.Attempt}
		wanted[id] = true
		if a.runs[id] == nil && a.served == byAgent {
			a.runs[id] = a.start(ctx, id, s)
		}
	}
	a.followed = true
	for id, r := range a.runs {
		if !wanted[id] {
			r.cancel(errGone)
		}
	}
	return nil
}

// assigned are the slices that the chain has on this node.
func (a *Agent) assigned(ctx context.Context, conn grpc.ClientConnInterface) ([]jobstypes.Slice, error) {
	queries := jobstypes.NewQueryClient(conn)
	all, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QuerySlicesResponse, error) {
		return queries.Slices(ctx, &jobstypes.QuerySlicesRequest{NodeId: a.nodeID, Pagination: page})
	}, func(r *jobstypes.QuerySlicesResponse) []jobstypes.Slice { return r.Slices })
	if err != nil {
		return nil, fmt.Errorf("slices: %w", err)
	}
	return slices.DeleteFunc(all, func(s jobstypes.Slice) bool {
		return s.Status != jobstypes.SLICE_STATUS_MATCHED || s.NodeId != a.nodeID
	}), nil
}

// underWay returns the attempts that have not ended.
func (a *Agent) underWay() []*run {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*run
	for _, r := range a.runs {
		all = append(all, r)
	}
	return all
}

// Status is what an agent says of itself.
type Status struct {
	// NodeID is empty until the node is registered.
	NodeID string
	BootID string
	// Links by oracle.
	Links []link.State
	// UnderWay are the attempts that the chain waits for, from the fetching of their content to their report.
	UnderWay []dispatch.AttemptID
}

// Status tells how the agent is.
func (a *Agent) Status() Status {
	s := Status{BootID: a.cfg.BootID}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.NodeID = a.nodeID
	for id := range a.runs {
		s.UnderWay = append(s.UnderWay, id)
	}
	if a.links != nil {
		s.Links = a.links.states()
	}
	slices.SortFunc(s.UnderWay, dispatch.AttemptID.Compare)
	slices.SortFunc(s.Links, func(x, y link.State) int { return cmp.Compare(x.OracleID, y.OracleID) })
	return s
}
