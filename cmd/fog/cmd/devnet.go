package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/profile"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// devnetFlags of all devnet commands.
type devnetFlags struct {
	dir                 string
	validators, oracles int
	noAgent, gateway    bool
	snapshotInterval    uint64
	dispatcher          string
	nomad               nomadFlags
	vault               vaultFlags
}

// newDevnetCmd is `fog devnet`.
func newDevnetCmd(a *app) *cobra.Command {
	var f devnetFlags
	cmd := &cobra.Command{
		Use:   "devnet",
		Short: "Run a whole grid on this machine for development",
		Long: "Run a whole grid on this machine for development: validators, oracles, a registry, and an agent for this machine, " +
			"with a funded developer and provider. Only clocks are shorter than in production.",
	}
	cmd.PersistentFlags().StringVar(&f.dir, "dir", "", "folder of the devnet (default: devnet in the home, ~/.fog/devnet)")
	up := &cobra.Command{
		Use: "up", Short: "Make the devnet if there is none, and start it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.devnetUp(cmd.Context(), f) },
	}
	up.Flags().IntVar(&f.validators, "validators", 1, "validators of a new devnet")
	up.Flags().IntVar(&f.oracles, "oracles", 4, "oracles of a new devnet")
	up.Flags().BoolVar(&f.noAgent, "no-agent", false, "register no node and start no agent")
	up.Flags().BoolVar(&f.gateway, "gateway", false, "put a gateway in the place of the registry of a new devnet: tokens, policies, secrets of jobs, mutual TLS")
	up.Flags().StringVar(&f.vault.admin.Address, "vault", "", "URL of a Vault or OpenBao for the secrets of gateway, oracles and agent of a new devnet with a gateway; "+
		"it is set up with the token of $VAULT_TOKEN, which is needed again whenever one of them is started")
	up.Flags().StringVar(&f.vault.admin.CACert, "vault-ca", "", "file with the CA of that server")
	up.Flags().StringVar(&f.vault.tokenFile, "vault-token-file", "", "file with that token (default: $VAULT_TOKEN)")
	up.Flags().Uint64Var(&f.snapshotInterval, "snapshot-interval", 0,
		"blocks between two snapshots, from which other nodes of a new devnet can start by state sync; 0: as fogd's app.toml says")
	up.Flags().StringVar(&f.dispatcher, "dispatcher", dispatcherDirect,
		"direct: the agent runs this machine's tasks; nomad: the oracles have them run on a Nomad dev agent that runs here")
	f.nomad.addAccess(up)
	cmd.AddCommand(
		up,
		&cobra.Command{
			Use: "status", Short: "Show the processes, addresses and accounts of the devnet", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return a.devnetStatus(f) },
		},
		&cobra.Command{
			Use: "down", Short: "End every process and keep the state", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.devnetEnd(cmd.Context(), f, "down", (*devnet.Devnet).Down)
			},
		},
		&cobra.Command{
			Use: "reset", Short: "End every process and remove all state", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.devnetEnd(cmd.Context(), f, "removed", (*devnet.Devnet).Reset)
			},
		},
	)
	return cmd
}

func (a *app) openDevnet(f devnetFlags) (*devnet.Devnet, error) {
	fogd, err := devnet.Program("fogd", "FOGD")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := f.dir
	if dir == "" {
		dir = filepath.Join(a.home, "devnet")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	opts := devnet.Options{
		Home: dir, Validators: max(1, f.validators), Oracles: max(1, f.oracles), SnapshotInterval: f.snapshotInterval, Gateway: f.gateway,
		Fogd: fogd, Fog: self, Step: a.say, Log: a.log,
	}
	if f.dispatcher == dispatcherNomad {
		if opts.OracleArgs, err = a.devnetNomad(f); err != nil {
			return nil, err
		}
		if opts.GatewayArgs, err = f.devnetWorkloads(); err != nil {
			return nil, err
		}
	}
	if f.vault.admin.Address != "" {
		admin, err := f.vault.administrator()
		if err != nil {
			return nil, err
		}
		opts.Vault = &admin
	}
	return devnet.New(opts)
}

func (a *app) devnetUp(ctx context.Context, f devnetFlags) error {
	if f.validators < 1 || f.oracles < 1 {
		return usagef("--validators and --oracles must be at least 1")
	}
	if f.dispatcher != dispatcherDirect && f.dispatcher != dispatcherNomad {
		return usagef("--dispatcher is %q; it must be %s or %s", f.dispatcher, dispatcherDirect, dispatcherNomad)
	}
	if f.vault.admin.Address != "" && !f.gateway {
		return usagef("--vault goes with --gateway: Vault gives the certificates that a gateway's machines show")
	}
	d, err := a.openDevnet(f)
	if err != nil {
		return err
	}
	// Whether it fails or is interrupted, what was started stays, for a look at it; so that must be said.
	if err := d.Up(ctx); err != nil {
		a.say("what was started keeps running: `fog devnet up` goes on, `fog devnet down` ends it")
		return err
	}
	if !f.noAgent {
		if err := a.devnetAgent(ctx, d, f); err != nil {
			a.say("the devnet keeps running: `fog devnet up` goes on, `fog devnet down` ends it")
			return err
		}
	}
	a.say("the devnet is up; try: export %s=%s", homeVariable, d.DeveloperHome())
	return a.devnetPrint(d)
}

// devnetAgent registers this machine, unless that was done before, and starts its agent.
func (a *app) devnetAgent(ctx context.Context, d *devnet.Devnet, f devnetFlags) error {
	region, err := f.devnetRegion()
	if err != nil {
		return err
	}
	p, err := profile.Load(d.ProviderHome())
	if err != nil {
		return err
	}
	if p.NodeID == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		// Little memory, because each of the oracles has most of it filled on this one machine.
		args := []string{
			"--home", d.ProviderHome(), "node", "register", "--salt", "devnet", "--region", "local", "--datacenter", "home", "--memory", "1GiB",
			"--price-cpu", "2FOG", "--price-memory", "0.5FOG", "--price-storage", "0.1FOG", "--deposit", "100FOG",
		}
		if region != nil {
			args = append(args, "--nomad-region", region.Name)
		}
		if err := d.Login(ctx, d.ProviderHome()); err != nil {
			return err
		}
		register := exec.CommandContext(ctx, self, args...) //nolint:gosec // this very program, with arguments that are lists, not text of a shell
		register.Stdout, register.Stderr = a.stderr, a.stderr
		register.Cancel = func() error { return register.Process.Signal(os.Interrupt) }
		register.WaitDelay = 10 * time.Second
		if err := register.Run(); err != nil {
			return fmt.Errorf("register this machine: %w", err)
		}
		if p, err = profile.Load(d.ProviderHome()); err != nil {
			return err
		}
	}
	if region != nil {
		if err := nomad.Claim(ctx, *region, p.NodeID); err != nil {
			return err
		}
	}
	var args []string
	if len(d.State().OracleArgs) > 0 {
		args = []string{"--dispatcher", dispatcherNomad}
	}
	if err := d.StartAgent(ctx, args...); err != nil {
		return err
	}
	a.say("agent serves node %s; waiting for the oracles to verify it", p.NodeID)
	c, err := d.Dial()
	if err != nil {
		return err
	}
	return errors.Join(a.waitActive(ctx, c, p.NodeID), c.Close())
}

// waitActive returns when a node takes work.
func (a *app) waitActive(ctx context.Context, c *chain.Client, id string) error {
	for height := int64(1); ; {
		resp, err := nodestypes.NewQueryClient(c.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: id})
		if err != nil {
			return err
		}
		switch node := resp.Node; node.Status {
		case nodestypes.NODE_STATUS_PENDING, nodestypes.NODE_STATUS_INACTIVE:
		case nodestypes.NODE_STATUS_ACTIVE:
			a.say("node %s is ACTIVE", id)
			return nil
		default:
			return fmt.Errorf("node %s is %s %s; see `fog node status`, or start anew with `fog devnet reset`", id, node.Status, node.JailReason)
		}
		newest, err := c.WaitForHeight(ctx, height)
		if err != nil {
			return err
		}
		height = newest + 1
	}
}

func (a *app) devnetStatus(f devnetFlags) error {
	d, err := a.openDevnet(f)
	if err != nil {
		return err
	}
	if !d.Exists() {
		return errors.New("there is no devnet; make one with `fog devnet up`")
	}
	return a.devnetPrint(d)
}

func (a *app) devnetPrint(d *devnet.Devnet) error {
	type view struct {
		devnet.State
		DeveloperHome string                 `json:"developer_home"`
		ProviderHome  string                 `json:"provider_home"`
		Processes     []devnet.ProcessStatus `json:"processes"`
	}
	v := view{State: d.State(), DeveloperHome: d.DeveloperHome(), ProviderHome: d.ProviderHome(), Processes: d.Status()}
	return a.print(v, func(w io.Writer) error {
		for _, p := range v.Processes {
			status := "down"
			if p.Running {
				status = fmt.Sprintf("running, process %d", p.PID)
			}
			if _, err := fmt.Fprintf(w, "%-14s %-22s %s\n", p.Name, p.Address, status); err != nil {
				return err
			}
		}
		first := v.Validators[0]
		_, err := fmt.Fprintf(w, "chain          %s\nRPC            http://%s\ngRPC           %s\nREST           http://%s\nregistry       %s\n"+
			"developer      %s (--home %s)\nprovider       %s (--home %s)\n",
			v.ChainID, first.Address, first.GRPC, first.API, d.RegistryURL(), v.Developer, v.DeveloperHome, v.Provider, v.ProviderHome)
		return err
	})
}

func (a *app) devnetEnd(ctx context.Context, f devnetFlags, what string, end func(*devnet.Devnet, context.Context) error) error {
	d, err := a.openDevnet(f)
	if err != nil {
		return err
	}
	if !d.Exists() {
		return errors.New("there is no devnet; make one with `fog devnet up`")
	}
	if err := end(d, ctx); err != nil {
		return err
	}
	return a.print(map[string]string{"devnet": what}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "the devnet is %s\n", what)
		return err
	})
}
