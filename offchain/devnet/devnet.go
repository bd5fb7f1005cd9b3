// Package devnet runs a whole grid on one machine for development: validators, oracles, a registry and an agent, each a process of its
// own, with the programs and the code paths of production. Only parameters are smaller, so that one need not wait: see tune.
//
// Everything lies below one directory:
//
//	state.json                   addresses, ports and process ids
//	validators/0…                homes of fogd
//	oracles/0…, provider/, developer/, gateway/   homes of fog
//	registry/                    blobs
//	tls/                         the gateway's authority, and certificates of the oracles
//	logs/                        one file a process
package devnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/secrets/vault/setup"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Options of a devnet.
type Options struct {
	// Home is the directory of the devnet.
	Home string
	// Validators and Oracles to run; only asked when the devnet is made.
	Validators, Oracles int
	// SnapshotInterval is how many blocks lie between two snapshots for state sync, zero: as many as fogd's configuration says; only
	// asked when the devnet is made.
	SnapshotInterval uint64
	// Gateway puts a gateway, which keeps secrets of jobs, in the place of the registry; only asked when the devnet is made. Agents and
	// oracles reach it with certificates of its authority only.
	Gateway bool
	// Vault is where gateway, oracles and agent of a new devnet with a gateway keep their secrets, in files of their homes without one. It
	// lets them log in whenever they are started.
	Vault *setup.Admin
	// NodesParams, JobsParams and OracleParams change the genesis of a new devnet further than tune does; nil: not at all.
	NodesParams  func(*nodestypes.Params)
	JobsParams   func(*jobstypes.Params)
	OracleParams func(*oracletypes.Params)
	// OracleArgs makes further arguments of the oracles, once the registry serves; nil: those that it made last.
	OracleArgs func(ctx context.Context, d *Devnet) ([]string, error)
	// GatewayArgs are further arguments of the gateway; nil: those of the last time.
	GatewayArgs []string
	// Fogd and Fog are the programs.
	Fogd, Fog string
	// Step tells a person what is happening.
	Step func(format string, args ...any)
	Log  *slog.Logger
}

// Limits of a devnet.
const (
	maxValidators = 7
	maxOracles    = 7
)

// Devnet is a grid on this machine.
type Devnet struct {
	opts  Options
	state State
	log   *slog.Logger
}

// State is what has to be remembered between two commands.
type State struct {
	ChainID string `json:"chain_id"`
	// SnapshotInterval of every validator; zero if fogd's configuration says it.
	SnapshotInterval uint64 `json:"snapshot_interval,omitempty"`

	// OracleArgs are further arguments of every oracle.
	OracleArgs []string `json:"oracle_args,omitempty"`

	// GatewayArgs are further arguments of the gateway.
	GatewayArgs []string `json:"gateway_args,omitempty"`

	// Gateway says that Registry is a gateway with its embedded registry.
	Gateway bool `json:"gateway,omitempty"`
	// Machines is the address of the gateway's door for machines.
	Machines string `json:"machines,omitempty"`

	Validators []Validator `json:"validators"`
	Oracles    []Oracle    `json:"oracles"`
	Registry   Service     `json:"registry"`
	Agent      Service     `json:"agent"`
	// Developer and Provider are funded accounts (fog1…).
	Developer string `json:"developer"`
	Provider  string `json:"provider"`
}

// Service is one process.
type Service struct {
	Name string `json:"name"`
	// Address it listens on, host:port; empty if it does not listen.
	Address string `json:"address,omitempty"`
	// PID of the process, zero if it does not run.
	PID int `json:"pid,omitempty"`
}

// Validator is one node of the chain.
type Validator struct {
	Service
	Home string `json:"home"`
	// Address of the service is its RPC.
	P2P    string `json:"p2p"`
	GRPC   string `json:"grpc"`
	API    string `json:"api"`
	NodeID string `json:"node_id"`
}

// Oracle is one member of the oracle set.
type Oracle struct {
	Service
	Home     string `json:"home"`
	Operator string `json:"operator"`
	Feeder   string `json:"feeder"`
}

// New opens a devnet, which need not exist yet.
func New(opts Options) (*Devnet, error) {
	if opts.Validators < 1 || opts.Validators > maxValidators {
		return nil, fmt.Errorf("--validators is %d; it must be from 1 to %d", opts.Validators, maxValidators)
	}
	if opts.Oracles < 1 || opts.Oracles > maxOracles {
		return nil, fmt.Errorf("--oracles is %d; it must be from 1 to %d", opts.Oracles, maxOracles)
	}
	if opts.Step == nil {
		opts.Step = func(string, ...any) {}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	d := &Devnet{opts: opts, log: opts.Log}
	raw, err := os.ReadFile(d.path("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &d.state); err != nil {
		return nil, fmt.Errorf("%s: %w; run `fog devnet reset`", d.path("state.json"), err)
	}
	return d, nil
}

// Exists says whether the devnet has been made.
func (d *Devnet) Exists() bool { return d.state.ChainID != "" }

// State of the devnet as it was last saved.
func (d *Devnet) State() State { return d.state }

// DeveloperHome and ProviderHome are homes for `fog --home`.
func (d *Devnet) DeveloperHome() string { return d.path("developer") }

// ProviderHome is the home of the provider and its agent.
func (d *Devnet) ProviderHome() string { return d.path("provider") }

// GatewayHome is the home of the gateway.
func (d *Devnet) GatewayHome() string { return d.path("gateway") }

// RegistryURL of the devnet.
func (d *Devnet) RegistryURL() string { return "http://" + d.state.Registry.Address }

// MachinesURL is that of the gateway's door for machines; "" without.
func (d *Devnet) MachinesURL() string {
	if d.state.Machines == "" {
		return ""
	}
	return "https://" + d.state.Machines
}

// Dial connects to the first validator.
func (d *Devnet) Dial() (*chain.Client, error) {
	v := d.state.Validators[0]
	return chain.Dial(chain.Config{GRPC: v.GRPC, RPC: "http://" + v.Address, Logger: d.log})
}

func (d *Devnet) path(parts ...string) string {
	return filepath.Join(append([]string{d.opts.Home}, parts...)...)
}

func (d *Devnet) save() error {
	raw, err := json.MarshalIndent(d.state, "", "  ")
	if err != nil {
		return err
	}
	temp := d.path("state.json.new")
	if err := os.WriteFile(temp, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, d.path("state.json"))
}

// Program finds one of our programs: named by a variable, beside this one, or on PATH.
func Program(name, variable string) (string, error) {
	if p := os.Getenv(variable); p != "" {
		return p, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("the program %s is not beside fog and not on PATH; run `make build`, or name it in $%s", name, variable)
	}
	return p, nil
}

// freePorts finds n ports of the loopback interface that nobody uses now.
func freePorts(n int) ([]string, error) {
	out := make([]string, 0, n)
	var held []net.Listener
	defer func() {
		for _, l := range held {
			if err := l.Close(); err != nil {
				slog.Debug("closing a probe", "error", err)
			}
		}
	}()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("no free port on the loopback interface: %w", err)
		}
		held = append(held, l)
		out = append(out, l.Addr().String())
	}
	return out, nil
}
