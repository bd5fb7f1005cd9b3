package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/agent/nomadclient"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
)

// clientFlags of a Nomad client that the agent runs.
type clientFlags struct {
	supervise                   bool
	program, http, network      string
	servers                     []string
	ca, cert, key, intro, token string
	reservedMemory              string
	reservedMHz                 uint64
}

func (f *clientFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.supervise, "nomad", false, "run this machine's Nomad client too: configure, start, stop and drain it with the node (needs root, and --dispatcher nomad follows)")
	fl.StringVar(&f.program, "nomad-program", "nomad", "the nomad program")
	fl.StringSliceVar(&f.servers, "nomad-server", nil, "host:port of the RPC of the region's servers, such as nomad.example:4647; several: a list, or the flag again")
	fl.StringVar(&f.ca, "nomad-ca", "", "file with the CA of the region, for mutual TLS")
	fl.StringVar(&f.cert, "nomad-cert", "", "file with the client's certificate")
	fl.StringVar(&f.key, "nomad-key", "", "file with its key")
	fl.StringVar(&f.intro, "nomad-intro-token-file", "", "file with the token by which the servers let a new client in")
	fl.StringVar(&f.token, "nomad-token-file", "", "file with an ACL token with node:write, by which the client is drained (default: the token in $NOMAD_TOKEN)")
	fl.StringVar(&f.network, "nomad-interface", "", "network interface of the client (default: Nomad's choice)")
	fl.StringVar(&f.http, "nomad-http", "127.0.0.1:4656", "host:port of the client's own API")
	fl.StringVar(&f.reservedMemory, "nomad-reserve-memory", "512MiB", "memory that Nomad leaves to the machine")
	fl.Uint64Var(&f.reservedMHz, "nomad-reserve-mhz", 0, "MHz of compute that Nomad leaves to the machine")
}

// options reads the flags; the node's place is still missing.
func (f *clientFlags) options(node string) (o nomadclient.Options, err error) {
	if node == "" {
		return o, usagef("which node does the Nomad client serve? give --node node1…, or register this machine with `fog node register`")
	}
	reserved, err := jobfile.ParseMiB(f.reservedMemory)
	if err != nil {
		return o, usagef("--nomad-reserve-memory: %w", err)
	}
	token := os.Getenv("NOMAD_TOKEN")
	if f.token != "" {
		raw, err := os.ReadFile(f.token)
		if err != nil {
			return o, usagef("--nomad-token-file: %w", err)
		}
		token = strings.TrimSpace(string(raw))
	}
	return nomadclient.Options{
		Program: f.program, Node: node, Servers: f.servers, CA: f.ca, Cert: f.cert, Key: f.key, IntroToken: f.intro, Token: token,
		Interface: f.network, HTTP: f.http, ReservedMHz: f.reservedMHz, ReservedMiB: uint64(reserved),
	}, nil
}

// openClient writes the configuration of this machine's Nomad client, for the node as it is registered.
func (a *app) openClient(ctx context.Context, c *chain.Client, dir string, o nomadclient.Options) (*nomadclient.Client, error) {
	node, err := a.awaitNode(ctx, c, o.Node)
	if err != nil {
		return nil, err
	}
	place, served := handover.NomadPlace(node)
	if !served {
		return nil, hint(fmt.Errorf("node %s is not registered for Nomad", node.Id), "set its attribute %s to the region of the servers", handover.AttributeRegion)
	}
	if o.Dir, err = filepath.Abs(filepath.Join(dir, "nomad")); err != nil {
		return nil, err
	}
	o.Place, o.Log = place, a.log
	if err := shareNetworks(ctx); err != nil {
		a.log.Warn("the networks of services cannot be made; none will start on this machine", "error", err)
	}
	return nomadclient.New(o)
}

// shareNetworks makes the networks of services in this machine's Docker Engine.
func shareNetworks(ctx context.Context) error {
	e, err := docker.New(docker.Options{})
	if err != nil {
		return err
	}
	return errors.Join(e.ShareNetwork(ctx, nomad.ClosedNetwork, false), e.ShareNetwork(ctx, nomad.OpenNetwork, true), e.Close())
}

// unitFile is where systemd looks for the agent's service.
const unitFile = "/etc/systemd/system/fog-agent.service"

func newAgentInstallCmd(a *app) *cobra.Command {
	var unit nomadclient.Unit
	var dryRun, force bool
	var file string
	cmd := &cobra.Command{
		Use: "install [-- FLAGS]", Short: "Write a systemd service that runs the agent of this home", Args: cobra.ArbitraryArgs,
		Long: `Write a systemd service that runs the agent of this home. What follows "--" are the flags of "fog agent run":

    fog agent install --environment-file /etc/fog/env -- --nomad --nomad-server nomad.example:4647

A service has no terminal: let a file hold FOG_PASSPHRASE=…, readable by nobody else, and name it with --environment-file.`,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.installAgent(unit, args, file, dryRun, force)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&dryRun, "dry-run", false, "print the service and write nothing")
	fl.BoolVar(&force, "force", false, "replace a service that is there")
	fl.StringVar(&file, "unit", unitFile, "file of the service")
	fl.StringVar(&unit.User, "user", "", "user who runs the agent (default: root, which a Nomad client needs)")
	fl.StringSliceVar(&unit.Environment, "environment-file", nil, "file with variables of the agent, such as FOG_PASSPHRASE")
	return cmd
}

func (a *app) installAgent(unit nomadclient.Unit, args []string, file string, dryRun, force bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	home, err := filepath.Abs(a.home)
	if err != nil {
		return err
	}
	unit.Program, unit.Args = self, append([]string{"agent", "run", "--home", home}, args...)
	v := struct {
		File    string `json:"file"`
		Unit    string `json:"unit"`
		Written bool   `json:"written"`
	}{file, unit.String(), !dryRun}
	if !dryRun {
		mode := os.O_CREATE | os.O_WRONLY | os.O_EXCL
		if force {
			mode = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
		}
		f, err := os.OpenFile(file, mode, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists and is not overwritten; give --force, or look with --dry-run", file)
		}
		if err != nil {
			return hint(err, "run it as root, or name another file with --unit")
		}
		_, err = io.WriteString(f, v.Unit)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		a.say("next: systemctl daemon-reload && systemctl enable --now %s", filepath.Base(file))
	}
	return a.print(v, func(w io.Writer) error {
		text := v.Unit
		if v.Written {
			text = "wrote " + file + "\n"
		}
		_, err := io.WriteString(w, text)
		return err
	})
}
