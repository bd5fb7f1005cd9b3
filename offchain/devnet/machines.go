package devnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/foggrid/fogd/offchain/profile"
)

// devnetSession is how long the developer of a devnet with a gateway is logged in.
const devnetSession = 30 * 24 * time.Hour

func (d *Devnet) gatewayArgs() []string {
	args := []string{
		"gateway", "run", "--home", d.GatewayHome(), "--listen", d.state.Registry.Address, "--registry-data", d.path("registry", "data"),
		"--operator", d.state.Developer, "--job-secrets", "--session", devnetSession.String(),
	}
	if d.state.Machines != "" {
		args = append(args, "--enrol", "--machines", d.state.Machines, "--identity", "fog://"+roleGateway+"/"+d.state.ChainID)
	}
	return args
}

// doorArgs have a worker reach gateway and registry by the machines' door.
func (d *Devnet) doorArgs() []string {
	return []string{"--gateway", d.MachinesURL(), "--registry", d.MachinesURL(), "--tls-ca", d.tlsPath("ca.pem")}
}

func (d *Devnet) tlsPath(parts ...string) string { return d.path(append([]string{"tls"}, parts...)...) }

// certify writes the authority of the gateway and a certificate of three days for each oracle. Who keeps a devnet longer calls Up again: what
// runs reads the files for each connection.
func (d *Devnet) certify(ctx context.Context) error {
	if d.state.Machines == "" { // made before there was such a door
		return nil
	}
	if err := d.waitListening(ctx, Service{Name: d.state.Registry.Name, Address: d.state.Machines, PID: d.state.Registry.PID}); err != nil {
		return err
	}
	if err := d.cert(ctx, d.GatewayHome(), "trust", "--out", d.tlsPath()); err != nil {
		return err
	}
	for i, o := range d.state.Oracles {
		host, _, err := net.SplitHostPort(o.Address)
		if err != nil {
			return err
		}
		authority := d.GatewayHome()
		if p, err := profile.Load(o.Home); err != nil {
			return err
		} else if p.Secrets == profile.SecretsVault {
			authority = o.Home // in Vault each server may have its own signed
		}
		identity := "fog://" + roleOracle + "/" + oracleName(d.state.ChainID, i)
		if err := d.cert(ctx, authority, "server", "--identity", identity, "--host", host, "--out", d.tlsPath(o.Name)); err != nil {
			return fmt.Errorf("certificate of %s: %w", o.Name, err)
		}
	}
	return nil
}

// cert runs a command of fog cert, whose last argument is the folder for what it writes.
func (d *Devnet) cert(ctx context.Context, home string, args ...string) error {
	if err := os.MkdirAll(args[len(args)-1], 0o700); err != nil {
		return err
	}
	if err := d.Login(ctx, home); err != nil {
		return err
	}
	_, err := d.run(ctx, d.opts.Fog, append([]string{"cert", "--home", home}, args...)...)
	return err
}
