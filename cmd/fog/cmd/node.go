package cmd

import (
	"context"
	"crypto/ed25519"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/agent"
	"github.com/foggrid/fogd/offchain/agent/inventory"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/nodeclient"
	"github.com/foggrid/fogd/offchain/profile"
	"github.com/foggrid/fogd/offchain/secrets"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func newNodeCmd(a *app) *cobra.Command {
	return group("node", "Register this machine as a node, and manage nodes",
		newRegisterCmd(a), newNodeStatusCmd(a), newEarningsCmd(a), newUpdatePriceCmd(a), newUpdateNodeCmd(a), newNodeHoursCmd(a), newNodePriceCmd(a),
		newGrantPricingCmd(a), newRevokePricingCmd(a),
		newProviderWithdrawCmd(a),
		a.nodeChange("drain", "Take no more work; what runs goes on", drainNode),
		a.nodeChange("resume", "Take work again, or be benchmarked again", resumeNode),
		a.nodeChange("retire", "End the registration of a node without work, and free its deposit", retireNode),
	)
}

// registerFlags of `fog node register`.
type registerFlags struct {
	salt, region, datacenter string
	location                 string
	prices                   priceFlags
	cpus, memory, storage    string
	gpus                     uint64
	attributes, engines      []string
	dockerHost, volumes      string
	deposit, collateral      string
	headroom                 uint64
	nomad                    nomadNode
	reach                    reachFlags
}

// priceFlags are the prices of an hour of each resource; empty ones are not given.
type priceFlags struct{ cpu, memory, storage, gpu string }

func (p *priceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.cpu, "price-cpu", "", "price of a vCPU for an hour, such as 0.2FOG or 200000ufog")
	cmd.Flags().StringVar(&p.memory, "price-memory", "", "price of a GiB of memory for an hour")
	cmd.Flags().StringVar(&p.storage, "price-storage", "", "price of a GiB of storage for an hour")
	cmd.Flags().StringVar(&p.gpu, "price-gpu", "", "price of a GPU for an hour")
}

// over puts the prices that were given in place of others.
func (p *priceFlags) over(prices *nodestypes.Prices) error {
	for _, f := range []struct {
		flag, value string
		to          *uint64
	}{
		{"price-cpu", p.cpu, &prices.Cpu}, {"price-memory", p.memory, &prices.Memory}, {"price-storage", p.storage, &prices.Storage},
		{"price-gpu", p.gpu, &prices.Gpu},
	} {
		if f.value == "" {
			continue
		}
		v, err := jobfile.ParseUfog(f.value)
		if err != nil {
			return usagef("--%s: %w", f.flag, err)
		}
		*f.to = uint64(v)
	}
	return nil
}

func newRegisterCmd(a *app) *cobra.Command {
	var f registerFlags
	cmd := &cobra.Command{
		Use: "register", Short: "Benchmark this machine and register it with a deposit", Args: cobra.NoArgs,
		Long: `Benchmark this machine and register it with a deposit.

What the provider account lacks of the deposit and of the collateral is taken from the wallet in the same transaction. The oracles then
measure the machine themselves, so an agent must run: "fog agent run". Running the command again finds the registration.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.registerNode(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.salt, "salt", "", "name that makes the node's id, unique for its owner (default: the host's name)")
	fl.StringVar(&f.region, "region", "local", "region, such as eu-central")
	fl.StringVar(&f.datacenter, "datacenter", "local", "datacenter or site")
	fl.StringVar(&f.location, "location", "", locationUsage+" (default: none, and distances count as the farthest)")
	f.prices.add(cmd)
	fl.StringVar(&f.cpus, "cpus", "", "processors to offer, such as 2 or 500m (default: all)")
	fl.StringVar(&f.memory, "memory", "", "memory to offer, such as 4GiB (default: seven eighths)")
	fl.StringVar(&f.storage, "storage", "", "storage to offer, such as 20GiB (default: nine tenths of what is free)")
	fl.Uint64Var(&f.gpus, "gpus", 0, "GPUs to offer")
	fl.StringArrayVar(&f.attributes, "attribute", nil, "label that jobs can ask for, as key=value; may be given again")
	fl.StringSliceVar(&f.engines, "engines", nil, "what the machine runs, such as wasm,docker (default: wasm, and docker if the Docker Engine answers)")
	fl.StringVar(&f.dockerHost, "docker-host", "", dockerHostUsage)
	fl.StringVar(&f.volumes, "volumes", volumesAuto, registerVolumesUsage)
	f.nomad.add(cmd)
	f.reach.add(cmd)
	fl.StringVar(&f.deposit, "deposit", "100FOG", "deposit, locked while the node is registered")
	fl.StringVar(&f.collateral, "collateral", "10FOG", "what should be free in the provider account besides, as collateral of the work")
	fl.Uint64Var(&f.headroom, "headroom", 20, "percent of the measured speed that is not declared, so that a busy minute does not fail a benchmark")
	return cmd
}

// registration reads the flags; what a machine must tell is still missing.
func (f registerFlags) registration() (r agent.Registration, collateral uint64, err error) {
	r = agent.Registration{
		Salt: f.salt, Region: f.region, Datacenter: f.datacenter, Attributes: map[string]string{},
		Prices: nodestypes.Prices{Cpu: 200_000, Memory: 50_000, Storage: 10_000},
	}
	if r.Salt == "" {
		host, err := os.Hostname()
		if err != nil {
			return r, 0, usagef("--salt: the host has no name (%w); give one", err)
		}
		r.Salt = host[:min(len(host), nodestypes.MaxSaltLength)]
	}
	if f.headroom >= 100 {
		return r, 0, usagef("--headroom is %d; it must be below 100 percent", f.headroom)
	}
	r.HeadroomPercent = 100 - f.headroom
	if err := f.prices.over(&r.Prices); err != nil {
		return r, 0, err
	}
	milli, memory, err := agentFlags{cpus: f.cpus, memory: f.memory}.share()
	if err != nil {
		return r, 0, err
	}
	r.Capacity = nodestypes.Resources{CpuMilli: uint64(milli), MemoryMib: memory, Gpus: f.gpus}
	if f.storage != "" {
		v, err := jobfile.ParseMiB(f.storage)
		if err != nil {
			return r, 0, usagef("--storage: %w", err)
		}
		r.Capacity.StorageMib = uint64(v)
	}
	for _, text := range f.attributes {
		key, value, ok := strings.Cut(text, "=")
		if _, twice := r.Attributes[key]; !ok || twice {
			return r, 0, usagef("--attribute %q: write it once, as key=value", text)
		}
		r.Attributes[key] = value
	}
	if err := f.nomad.attributes(r.Attributes); err != nil {
		return r, 0, err
	}
	deposit, err := jobfile.ParseUfog(f.deposit)
	if err != nil {
		return r, 0, usagef("--deposit: %w", err)
	}
	free, err := jobfile.ParseUfog(f.collateral)
	if err != nil {
		return r, 0, usagef("--collateral: %w", err)
	}
	r.Deposit = uint64(deposit)
	return r, uint64(free), nil
}

func (a *app) registerNode(ctx context.Context, f registerFlags) error {
	registration, collateral, err := f.registration()
	if err != nil {
		return err
	}
	if err := f.checkVolumes(registration); err != nil {
		return err
	}
	if _, err := parseLocation(f.location); err != nil {
		return err
	}
	if _, err := parsePorts(f.reach.ports); err != nil {
		return err
	}
	if (f.reach.address == "") != (f.reach.ports == "") {
		return usagef("--address and --ports go together: services are reached at ports of an address")
	}
	c, err := a.nodeClient(ctx)
	if err != nil {
		return err
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	if registration.AgentKey, err = secrets.EnsureTransportKey(ctx, store, transportAgent); err != nil {
		return err
	}
	out, exists, err := c.Existing(ctx, registration.Salt, registration.AgentKey.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	if !exists {
		if out, err = a.sendRegistration(ctx, c, f, registration, collateral); err != nil {
			return err
		}
	}
	if err := a.updateProfile(func(p *profile.Profile) {
		p.NodeID = out.NodeID
		if !exists || out.Status == nodestypes.NODE_STATUS_PENDING.String() { // no agent has started yet
			p.Boot = out.Boot
		}
	}); err != nil {
		return err
	}
	return a.print(out, func(w io.Writer) error {
		if err := fields(w, "node", out.NodeID, "status", strings.TrimPrefix(out.Status, "NODE_STATUS_"), "deposit", fog(out.Locked),
			"taken from the wallet", fog(out.Deposited)); err != nil {
			return err
		}
		if out.Existed {
			a.say("the node was registered before; nothing was sent")
		}
		a.say("next: `fog agent run` on this machine; the oracles measure it within minutes and make it ACTIVE (see `fog node status`)")
		return nil
	})
}

// sendRegistration measures the machine and registers it.
func (a *app) sendRegistration(
	ctx context.Context, c *nodeclient.Client, f registerFlags, registration agent.Registration, collateral uint64,
) (nodeclient.Registered, error) {
	location, err := parseLocation(f.location)
	if err != nil {
		return nodeclient.Registered{}, err
	}
	if err := c.Check(ctx, registration.Deposit, registration.AgentKey.Public().(ed25519.PublicKey)); err != nil {
		return nodeclient.Registered{}, err
	}
	dir := filepath.Join(a.home, "agent")
	inv, err := inventory.Collect(ctx, dir)
	if err != nil {
		return nodeclient.Registered{}, err
	}
	measured, err := a.benchmark(ctx, agentFlags{})
	if err != nil {
		return nodeclient.Registered{}, err
	}
	if registration.Engines, err = a.engines(ctx, f); err != nil {
		return nodeclient.Registered{}, err
	}
	f.registerVolumes(registration)
	registration.BootID = inventory.NewBootID()
	if registration.Owner, err = c.Chain.Codec().Accounts().StringToBytes(c.Sender.Address()); err != nil {
		return nodeclient.Registered{}, err
	}
	msg, err := registration.Message(c.Sender.Address(), inv, measured)
	if err != nil {
		return nodeclient.Registered{}, err
	}
	msg.Location, msg.Address = location, f.reach.address
	ports, err := parsePorts(f.reach.ports)
	if err != nil {
		return nodeclient.Registered{}, err
	}
	if ports != nil {
		msg.Ports = *ports
	}
	a.say("registering %s with a deposit of %s …", registration.Salt, fog(registration.Deposit))
	return c.Register(ctx, msg, collateral)
}

// nodeClient connects to the chain with the provider's key.
func (a *app) nodeClient(ctx context.Context) (*nodeclient.Client, error) {
	c, err := a.chain(ctx)
	if err != nil {
		return nil, err
	}
	sender, err := a.sender(ctx, c, "")
	if err != nil {
		return nil, err
	}
	return &nodeclient.Client{Chain: c, Sender: sender}, nil
}

// nodeID is the node that a command is about: the one that was named, or the profile's.
func (a *app) nodeID(args []string) (string, error) {
	id := a.profile.NodeID
	if len(args) > 0 {
		id = args[0]
	}
	if id == "" {
		return "", usagef("which node? give its id (node1…), or register this machine with `fog node register`")
	}
	if _, err := nodestypes.ParseNodeID(id); err != nil {
		return "", usagef("%q is not the id of a node (node1…): %w", id, err)
	}
	return id, nil
}
