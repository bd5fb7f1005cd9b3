package devnet

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/profile"
	"github.com/foggrid/fogd/offchain/secrets"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// startTimeout is how long each part may take to come up on a slow machine.
const startTimeout = 90 * time.Second

// Up makes the devnet if there is none and starts what does not run: chain, registry and oracles. The agent is started by StartAgent,
// once its node is registered.
func (d *Devnet) Up(ctx context.Context) error {
	if !d.Exists() {
		d.opts.Step("making keys and genesis for %d validator(s) and %d oracle(s)", d.opts.Validators, d.opts.Oracles)
		if err := d.create(ctx); err != nil {
			return fmt.Errorf("make the devnet in %s: %w", d.opts.Home, errors.Join(err, d.discard()))
		}
	}
	if d.opts.Gateway && !d.state.Gateway {
		return errors.New("this devnet was made without a gateway; remove it with `fog devnet reset`, or take another --dir")
	}
	if err := d.startChain(ctx); err != nil {
		return err
	}
	if err := d.startRegistry(ctx); err != nil {
		return err
	}
	if err := d.enrolOracles(ctx); err != nil {
		return err
	}
	return d.startOracles(ctx)
}

func (d *Devnet) startChain(ctx context.Context) error {
	for i := range d.state.Validators {
		if err := d.StartValidator(i); err != nil {
			return err
		}
	}
	c, err := d.Dial()
	if err != nil {
		return err
	}
	first := d.state.Validators[0].Service
	wait, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	go func() {
		for d.alive(first.PID) && wait.Err() == nil {
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
	}()
	height, err := c.WaitForHeight(wait, 1)
	if err = errors.Join(err, c.Close()); err != nil {
		return d.notUp(ctx, first, err)
	}
	d.opts.Step("chain %s makes blocks (height %d, RPC http://%s)", d.state.ChainID, height, d.state.Validators[0].Address)
	return nil
}

// StartValidator starts one validator if it does not run.
func (d *Devnet) StartValidator(i int) error {
	v := &d.state.Validators[i]
	if d.alive(v.PID) {
		return nil
	}
	var peers []string
	for _, other := range d.state.Validators {
		if other.Name != v.Name {
			peers = append(peers, other.NodeID+"@"+other.P2P)
		}
	}
	args := []string{
		"start", "--home", v.Home, "--log_level", "warn",
		"--rpc.laddr", "tcp://" + v.Address, "--p2p.laddr", "tcp://" + v.P2P, "--p2p.persistent_peers", strings.Join(peers, ","),
		"--rpc.pprof_laddr", "", "--grpc.address", v.GRPC, "--api.enable", "--api.address", "tcp://" + v.API,
		"--minimum-gas-prices", gasPrice, "--pruning", "nothing",
	}
	if n := d.state.SnapshotInterval; n > 0 {
		args = append(args, "--state-sync.snapshot-interval", strconv.FormatUint(n, 10))
	}
	pid, err := d.start(v.Name, d.opts.Fogd, args...)
	if err != nil {
		return err
	}
	v.PID = pid
	return d.save()
}

func (d *Devnet) startRegistry(ctx context.Context) error {
	r := &d.state.Registry
	if !d.alive(r.PID) {
		args := []string{"registry", "serve", "--home", d.path("registry"), "--listen", r.Address, "--data", d.path("registry", "data")}
		if d.state.Gateway {
			args = d.gatewayArgs()
			if err := d.Login(ctx, d.GatewayHome()); err != nil {
				return err
			}
			if d.opts.GatewayArgs != nil {
				d.state.GatewayArgs = d.opts.GatewayArgs
			}
			args = append(args, d.state.GatewayArgs...)
		}
		pid, err := d.start(r.Name, d.opts.Fog, args...)
		if err != nil {
			return err
		}
		r.PID = pid
		if err := d.save(); err != nil {
			return err
		}
	}
	if err := d.waitListening(ctx, *r); err != nil {
		return err
	}
	d.opts.Step("%s serves on %s", r.Name, d.RegistryURL())
	if !d.state.Gateway {
		return nil
	}
	if _, err := d.run(ctx, d.opts.Fog, "gateway", "login", "--home", d.DeveloperHome(), "--output", "json"); err != nil {
		return fmt.Errorf("log the developer in: %w", err)
	}
	d.opts.Step("the developer is logged in at the gateway, whose operator it is")
	return d.certify(ctx)
}

// enrolOracles bonds the operators that are not bonded yet and names their feeders.
func (d *Devnet) enrolOracles(ctx context.Context) error {
	c, err := d.Dial()
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, o := range d.state.Oracles {
		g.Go(func() error { return d.enrol(gctx, c, o) })
	}
	return errors.Join(g.Wait(), c.Close())
}

func (d *Devnet) enrol(ctx context.Context, c *chain.Client, o Oracle) error {
	queries := oracletypes.NewQueryClient(c.Latest())
	resp, err := queries.Oracle(ctx, &oracletypes.QueryOracleRequest{Operator: o.Operator})
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	params, err := queries.Params(ctx, &oracletypes.QueryParamsRequest{})
	if err != nil {
		return err
	}
	p, err := profile.Load(o.Home)
	if err != nil {
		return err
	}
	operator, err := p.OpenSecrets(o.Home, nil) // wherever the feeder's are
	if err != nil {
		return err
	}
	transport, err := d.transportKey(ctx, o.Home)
	if err != nil {
		return err
	}
	var msgs []sdk.Msg
	bond := max(devnetBond, params.Params.MinBond)
	if resp.Oracle.Bond < bond {
		msgs = append(msgs, &oracletypes.MsgBond{Operator: o.Operator, Amount: escrowtypes.Coin(bond - resp.Oracle.Bond)})
	}
	public := transport.Public().(ed25519.PublicKey)
	feeder := cmp.Or(resp.Oracle.Feeder, o.Feeder) // a feeder that was rotated stays
	if resp.Oracle.Feeder == "" || resp.Oracle.Endpoint != o.Address || !slices.Equal(resp.Oracle.TransportKey, []byte(public)) {
		msgs = append(msgs, &oracletypes.MsgSetFeeder{Operator: o.Operator, Feeder: feeder, Endpoint: o.Address, TransportKey: public})
	}
	if len(msgs) == 0 {
		return nil
	}
	b, err := p.Broadcaster(ctx, c, operator, KeyOperator)
	if err != nil {
		return err
	}
	if _, err := b.Send(ctx, msgs...); err != nil {
		return fmt.Errorf("bond of %s: %w", o.Name, err)
	}
	d.opts.Step("%s bonded %d FOG (%s)", o.Name, bond/1_000_000, o.Operator)
	return nil
}

func (d *Devnet) transportKey(ctx context.Context, home string) (key ed25519.PrivateKey, err error) {
	store, closeStore, err := d.OpenSecrets(ctx, home)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	return secrets.EnsureTransportKey(ctx, store, KeyTransport)
}

func (d *Devnet) startOracles(ctx context.Context) error {
	if d.opts.OracleArgs != nil {
		args, err := d.opts.OracleArgs(ctx, d)
		if err != nil {
			return err
		}
		d.state.OracleArgs = args
	}
	for i := range d.state.Oracles {
		if err := d.StartOracle(ctx, i); err != nil {
			return err
		}
	}
	for _, o := range d.state.Oracles {
		if err := d.waitListening(ctx, o.Service); err != nil {
			return err
		}
	}
	d.opts.Step("%d oracle(s) follow the chain", len(d.state.Oracles))
	return nil
}

// StartOracle starts one oracle, with arguments of its own besides, if it does not run.
func (d *Devnet) StartOracle(ctx context.Context, i int, more ...string) error {
	o := &d.state.Oracles[i]
	if d.alive(o.PID) {
		return nil
	}
	args := []string{"oracle", "run", "--home", o.Home, "--listen", o.Address, "--operator", o.Operator, "--ping-interval", "3s"}
	if d.state.Machines != "" {
		args = append(args, d.doorArgs()...)
		args = append(args, "--tls-cert", d.tlsPath(o.Name, "cert.pem"), "--tls-key", d.tlsPath(o.Name, "key.pem"))
	}
	if err := d.Login(ctx, o.Home); err != nil {
		return err
	}
	pid, err := d.start(o.Name, d.opts.Fog, slices.Concat(args, d.state.OracleArgs, more)...)
	if err != nil {
		return err
	}
	o.PID = pid
	return d.save()
}

// StartAgent starts the agent of the provider, with arguments of its own besides, if it does not run.
func (d *Devnet) StartAgent(ctx context.Context, args ...string) error {
	a := &d.state.Agent
	if d.alive(a.PID) {
		return nil
	}
	if d.state.Machines != "" {
		args = append(append(d.doorArgs(), "--enrol", d.RegistryURL()), args...)
	}
	if err := d.Login(ctx, d.ProviderHome()); err != nil {
		return err
	}
	pid, err := d.start(a.Name, d.opts.Fog, append([]string{"agent", "run", "--home", d.ProviderHome()}, args...)...)
	if err != nil {
		return err
	}
	a.PID = pid
	return d.save()
}

// StopAgent ends the agent; with kill it gets no chance to say goodbye.
func (d *Devnet) StopAgent(ctx context.Context, kill bool) error {
	return d.stopService(ctx, &d.state.Agent, kill)
}

// StopOracle ends one oracle.
func (d *Devnet) StopOracle(ctx context.Context, i int, kill bool) error {
	return d.stopService(ctx, &d.state.Oracles[i].Service, kill)
}

// StopValidator ends one validator.
func (d *Devnet) StopValidator(ctx context.Context, i int, kill bool) error {
	return d.stopService(ctx, &d.state.Validators[i].Service, kill)
}

func (d *Devnet) stopService(ctx context.Context, s *Service, kill bool) error {
	if kill && d.alive(s.PID) {
		p, err := os.FindProcess(s.PID)
		if err != nil {
			return err
		}
		if err := p.Kill(); err != nil {
			return err
		}
	}
	if err := d.stop(ctx, s.Name, s.PID); err != nil {
		return err
	}
	s.PID = 0
	return d.save()
}

// waitListening returns when the service takes connections.
func (d *Devnet) waitListening(ctx context.Context, s Service) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dialer := net.Dialer{Timeout: time.Second}
	for {
		conn, err := dialer.DialContext(ctx, "tcp", s.Address)
		if err == nil {
			return conn.Close()
		}
		if !d.alive(s.PID) {
			return d.notUp(ctx, s, errors.New("the process has ended"))
		}
		select {
		case <-ctx.Done():
			return d.notUp(ctx, s, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *Devnet) notUp(ctx context.Context, s Service, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Canceled
	}
	return fmt.Errorf("%s did not come up: %w; the end of its log %s:\n%s", s.Name, err, filepath.Join(d.opts.Home, "logs", s.Name+".log"), d.logTail(s.Name))
}

// ProcessStatus is one line of Status.
type ProcessStatus struct {
	Service
	Running bool `json:"running"`
}

// Status lists the processes of the devnet.
func (d *Devnet) Status() []ProcessStatus {
	var out []ProcessStatus
	d.each(func(s *Service) { out = append(out, ProcessStatus{Service: *s, Running: d.alive(s.PID)}) })
	return out
}

// each calls do for every service, in the order in which they can be stopped.
func (d *Devnet) each(do func(*Service)) {
	do(&d.state.Agent)
	for i := range d.state.Oracles {
		do(&d.state.Oracles[i].Service)
	}
	do(&d.state.Registry)
	for i := range d.state.Validators {
		do(&d.state.Validators[i].Service)
	}
}

// Down ends every process and leaves the state on disk.
func (d *Devnet) Down(ctx context.Context) error {
	if !d.Exists() {
		return nil
	}
	var g errgroup.Group
	d.each(func(s *Service) {
		g.Go(func() error {
			if err := d.stop(ctx, s.Name, s.PID); err != nil {
				return err
			}
			s.PID = 0
			return nil
		})
	})
	return errors.Join(g.Wait(), d.save())
}

// Reset ends every process and removes all state.
func (d *Devnet) Reset(ctx context.Context) error {
	if !d.Exists() {
		return nil
	}
	if err := d.Down(ctx); err != nil {
		return err
	}
	d.state = State{}
	return os.RemoveAll(d.opts.Home)
}
