package cmd

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/cosmos/cosmos-sdk/version"

	"github.com/foggrid/fogd/offchain/agent"
	"github.com/foggrid/fogd/offchain/agent/autoprice"
	"github.com/foggrid/fogd/offchain/agent/bench"
	"github.com/foggrid/fogd/offchain/agent/inventory"
	"github.com/foggrid/fogd/offchain/agent/nomadclient"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch/direct"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/profile"
	regclient "github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// agentFlags of the agent's commands.
type agentFlags struct {
	dockerHost   string
	publish      string
	volumes      string
	serviceNet   string
	gpus         string
	allowExec    bool
	firewall     string
	dir, node    string
	cpus, memory string
	cacheMiB     uint64
	budget       time.Duration
	price        agentPriceFlags
	dispatcher   string
	client       clientFlags
	owner        ownerFlags
	enrol        string
}

func newAgentCmd(a *app) *cobra.Command {
	var f agentFlags
	run := &cobra.Command{
		Use: "run", Short: "Serve this machine's node: be measured, run what the chain assigns, until it is interrupted", Args: cobra.NoArgs,
		Long: agentRunHelp + ownerHelp,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.price.key = keyPricing
			if cmd.Flags().Changed("key") || cmd.Flags().Changed("from") {
				f.price.key = a.profile.Key
			}
			return a.runAgent(cmd.Context(), f)
		},
	}
	run.Flags().StringVar(&f.node, "node", "", "id of the node (default: the profile's, else the one registered with this agent's key)")
	run.Flags().StringVar(&f.cpus, "cpus", "", "processors for tasks, such as 2 or 500m (default: what the node offers; with --nomad whole ones, and all)")
	run.Flags().StringVar(&f.memory, "memory", "", "memory for tasks, such as 4GiB (default: what the node offers; with --nomad all but --nomad-reserve-memory)")
	run.Flags().Uint64Var(&f.cacheMiB, "cache-mib", 4096, "MiB of disk for modules, images and inputs; as much again for images in the Docker Engine")
	run.Flags().StringVar(&f.dockerHost, "docker-host", "", dockerHostUsage)
	run.Flags().StringVar(&f.publish, "publish", "", "address of this machine on which ports of services are published (default all)")
	run.Flags().BoolVar(&f.allowExec, "allow-exec", false, "let owners run commands in the containers of their jobs that ask for it; each use is written to exec.log in the agent's folder")
	run.Flags().StringVar(&f.gpus, "gpus", gpusAuto, gpusUsage)
	run.Flags().StringVar(&f.serviceNet, "service-net", docker.DefaultServiceNet, "range of addresses for the networks of services; one that nothing else here uses")
	run.Flags().StringVar(&f.firewall, "firewall", firewallAuto, firewallUsage)
	run.Flags().StringVar(&f.volumes, "volumes", volumesAuto, volumesUsage)
	run.Flags().StringVar(&f.enrol, "enrol", "", "URL of a gateway that gives this agent a certificate of a day, again and again, to show to --gateway and --registry")
	run.Flags().StringVar(&f.dispatcher, "dispatcher", dispatcherDirect, "direct: this agent runs its node's tasks; nomad: the oracles do, and the agent is only measured and pinged")
	f.client.add(run)
	f.price.add(run)
	f.owner.add(run)

	measure := &cobra.Command{
		Use: "bench", Short: "Measure this machine as the oracles do", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := a.benchmark(cmd.Context(), f)
			if err != nil {
				return err
			}
			return a.print(result, func(w io.Writer) error { return printBench(w, result) })
		},
	}
	measure.Flags().DurationVar(&f.budget, "budget", 6*time.Second, "about how long it takes")

	look := &cobra.Command{
		Use: "inventory", Short: "Show what machine this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			inv, err := inventory.Collect(cmd.Context(), a.agentDir(f))
			if err != nil {
				return err
			}
			return a.print(inv, func(w io.Writer) error { return printInventory(w, inv) })
		},
	}
	g := group("agent", "Serve a node with this machine", run, measure, look, newAgentInstallCmd(a), newAgentSelftestCmd(a, &f), newAgentVolumePluginCmd(a))
	g.PersistentFlags().StringVar(&f.dir, "dir", "", "folder in which the agent works (default: agent in the home)")
	return g
}

func (a *app) agentDir(f agentFlags) string {
	if f.dir != "" {
		return f.dir
	}
	return filepath.Join(a.home, "agent")
}

func (a *app) runAgent(ctx context.Context, f agentFlags) (err error) {
	terms, auto, err := f.price.terms()
	if err != nil {
		return err
	}
	owner, err := f.owner.terms()
	if err != nil {
		return err
	}
	if f.client.supervise {
		f.dispatcher = dispatcherNomad
	}
	if f.dispatcher != dispatcherDirect && f.dispatcher != dispatcherNomad {
		return usagef("--dispatcher is %q; it must be %s or %s", f.dispatcher, dispatcherDirect, dispatcherNomad)
	}
	opts := direct.Options{Dir: filepath.Join(a.agentDir(f), "runs"), DockerHost: f.dockerHost, ImageMiB: f.cacheMiB, Publish: f.publish, ServiceNet: f.serviceNet}
	if opts.CPUMilli, opts.MemoryMiB, err = f.share(); err != nil {
		return err
	}
	if f.node == "" {
		f.node = a.profile.NodeID
	}
	if f.node != "" {
		if _, err := nodestypes.ParseNodeID(f.node); err != nil {
			return usagef("--node %q is not the id of a node (node1…): %w", f.node, err)
		}
	}
	var nomadOpts nomadclient.Options
	if f.client.supervise {
		if nomadOpts, err = f.client.options(f.node); err != nil {
			return err
		}
		if err = lend(ctx, f, a.agentDir(f), &nomadOpts); err != nil {
			return err
		}
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	var key ed25519.PrivateKey
	if err := secrets.Await(ctx, a.log, func() (err error) {
		key, err = secrets.EnsureTransportKey(ctx, store, transportAgent)
		return err
	}); err != nil {
		return err
	}
	client, err := a.dialChain()
	if err != nil {
		return err
	}
	if f.enrol != "" {
		end, enrolErr := a.enrol(ctx, f.enrol, f.node, key)
		if enrolErr != nil {
			return enrolErr
		}
		defer end()
	}
	var borrow agent.SecretSource
	registry, err := a.dialRegistry(func(g *gwclient.Client) (regclient.TokenSource, error) {
		tokens, err := a.nodeTokens(g, f.node, key)
		if err != nil {
			return nil, err
		}
		borrow = gwclient.SecretsOf(tokens, key)
		return tokens, nil
	})
	if err != nil {
		return err
	}
	var prices *autoprice.Terms
	if auto {
		if prices, err = a.pricer(ctx, client, terms, f.price.key); err != nil {
			return err
		}
	}
	if owner != nil {
		if err = a.ownerKey(ctx, client, owner, f.price.key); err != nil {
			return err
		}
	}
	cfg := agent.Config{
		Chain: client, NodeID: f.node, AgentKey: key, Registry: registry, Secrets: borrow, Dir: a.agentDir(f),
		BootID: a.profile.Boot, Version: programVersion(), CacheMiB: f.cacheMiB, Pricing: prices, Owner: owner, Log: a.log, AllowExec: f.allowExec,
	}
	if f.dispatcher == dispatcherDirect {
		if opts.Disk, err = a.disk(ctx, client, f); err != nil {
			return err
		}
		if opts.GPUs, err = a.gpus(ctx, f); err != nil {
			return err
		}
		if opts.Firewall, err = a.guard(ctx, f.firewall, f.serviceNet); err != nil {
			return err
		}
		dispatcher, openErr := a.openDirect(ctx, client, f.node, opts)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, dispatcher.Close()) }()
		cfg.Dispatcher = dispatcher
	}
	var nomadClient *nomadclient.Client
	if f.client.supervise {
		if nomadOpts.VolumePlugin, err = a.clientVolumes(ctx, client, f); err != nil {
			return err
		}
		if nomadClient, err = a.openClient(ctx, client, a.agentDir(f), nomadOpts); err != nil {
			return err
		}
		cfg.Follow = nomadClient.Follow
	}
	worker, err := agent.New(cfg)
	if err != nil {
		return err
	}
	if a.profile.Boot != "" {
		// The registration's boot is that of the first start only: a later one is a restart, which the oracles must see.
		if err := a.updateProfile(func(p *profile.Profile) { p.Boot = "" }); err != nil {
			return err
		}
	}
	if nomadClient == nil {
		return worker.Run(ctx)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return worker.Run(ctx) })
	g.Go(func() error { return nomadClient.Run(ctx) })
	return g.Wait()
}

// openDirect opens the dispatcher of this machine.
func (a *app) openDirect(ctx context.Context, client *chain.Client, node string, opts direct.Options) (*direct.Dispatcher, error) {
	if err := a.fillShare(ctx, client, node, &opts); err != nil {
		return nil, err
	}
	dispatcher, err := direct.New(opts)
	if err != nil {
		return nil, err
	}
	if engines, missing := dispatcher.Engines(ctx); missing != nil {
		a.log.Info("containers cannot run here", "engines", engines, "reason", missing)
	} else {
		a.log.Info("engines", "engines", engines)
	}
	if err := dispatcher.ProbeGPUs(ctx); err != nil {
		a.log.Warn("tasks with GPUs cannot run here", "gpus", len(opts.GPUs), "reason", err)
	}
	if err := dispatcher.Sweep(ctx); err != nil {
		a.log.Warn("what an earlier agent left in the Docker Engine cannot be cleared away; trying again before the next container", "error", err)
	}
	return dispatcher, nil
}

func programVersion() string {
	if version.Version == "" {
		return "dev"
	}
	return version.Version
}

// share reads the flags that say what tasks get of the machine; zeros are not given.
func (f agentFlags) share() (milli uint32, memory uint64, err error) {
	if f.cpus != "" {
		v, err := jobfile.ParseCPU(f.cpus)
		if err != nil {
			return 0, 0, usagef("--cpus: %w", err)
		}
		milli = uint32(min(v, 1<<31))
	}
	if f.memory != "" {
		v, err := jobfile.ParseMiB(f.memory)
		if err != nil {
			return 0, 0, usagef("--memory: %w", err)
		}
		memory = uint64(v)
	}
	return milli, memory, nil
}

// fillShare takes what was not given from the node's offer on chain, as soon as the chain answers.
func (a *app) fillShare(ctx context.Context, c *chain.Client, node string, opts *direct.Options) error {
	if node == "" || (opts.CPUMilli != 0 && opts.MemoryMiB != 0) {
		return nil
	}
	n, err := a.awaitNode(ctx, c, node)
	if err != nil {
		return err
	}
	if opts.CPUMilli == 0 {
		opts.CPUMilli = uint32(min(n.Capacity.CpuMilli, 1<<31))
	}
	if opts.MemoryMiB == 0 {
		opts.MemoryMiB = n.Capacity.MemoryMib
	}
	return nil
}

// awaitNode reads a node as soon as the chain answers.
func (a *app) awaitNode(ctx context.Context, c *chain.Client, node string) (nodestypes.Node, error) {
	if _, err := c.Height(ctx); errors.Is(err, chain.ErrUnavailable) {
		a.log.Warn("no chain yet; waiting for it", "rpc", a.profile.RPC)
	}
	if _, err := c.WaitForHeight(ctx, 1); err != nil {
		return nodestypes.Node{}, err
	}
	resp, err := nodestypes.NewQueryClient(c.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: node})
	if errors.Is(err, chain.ErrNotFound) {
		return nodestypes.Node{}, hint(fmt.Errorf("there is no node %s on this chain", node), "register it with `fog node register`, or correct --node, --grpc and --rpc")
	}
	if err != nil {
		return nodestypes.Node{}, err
	}
	return resp.Node, nil
}

// benchmark measures the machine and shows how far it is.
func (a *app) benchmark(ctx context.Context, f agentFlags) (bench.Result, error) {
	a.say("benchmarking this machine …")
	screen := a.bars()
	defer screen.end()
	bar := screen.count("benchmark, percent")
	return bench.Run(ctx, bench.Options{Budget: f.budget, Progress: func(p bench.Progress) {
		if bar != nil {
			bar(int64(p.Done), 100)
		}
	}})
}

func printBench(w io.Writer, r bench.Result) error {
	return fields(w,
		"one core", fmt.Sprintf("%d squarings/s", r.CPUSingle),
		fmt.Sprintf("%d cores", r.Cores), fmt.Sprintf("%d squarings/s", r.CPUAll),
		"memory", fmt.Sprintf("%d MiB/s", r.MemoryBandwidthMiB),
		"disk", fmt.Sprintf("%d MiB/s, %d reads/s", r.DiskReadMiB, r.DiskReadIOPS),
		"took", r.Took.Round(time.Millisecond).String())
}

func printInventory(w io.Writer, inv inventory.Inventory) error {
	var gpus []string
	for _, g := range inv.GPUs {
		gpus = append(gpus, strings.TrimSpace(g.Model+" "+g.ID))
	}
	mhz := ""
	if inv.CPUMaxMHz > 0 {
		mhz = strconv.Itoa(inv.CPUMaxMHz) + " MHz"
	}
	return fields(w,
		"processor", inv.CPUModel, "cores", fmt.Sprintf("%d, of which %d usable", inv.Cores, inv.UsableCores), "max frequency", mhz,
		"memory", fmt.Sprintf("%d MiB, %d available", inv.MemoryMiB, inv.MemoryAvailableMiB),
		"storage", fmt.Sprintf("%d MiB, %d free", inv.StorageMiB, inv.StorageFreeMiB), "storage type", string(inv.StorageType),
		"GPUs", strings.Join(gpus, ", "), "system", strings.TrimSpace(inv.OS+"/"+inv.Arch+" "+inv.Platform))
}
