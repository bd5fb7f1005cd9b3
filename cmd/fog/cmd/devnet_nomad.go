package cmd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// devnetRegion is the one Nomad region of a devnet; nil without.
func (f devnetFlags) devnetRegion() (*nomad.Region, error) {
	if f.dispatcher != dispatcherNomad {
		return nil, nil
	}
	regions, err := f.nomad.regions()
	if err != nil {
		return nil, err
	}
	if len(regions) != 1 {
		return nil, usagef("a devnet has one Nomad region; give one --nomad-addr, such as http://127.0.0.1:4646 for `nomad agent -dev`, or $%s", nomad.EnvAddress)
	}
	return &regions[0], nil
}

// devnetWorkloads are the arguments of a gateway that lends secrets to tasks in the devnet's region.
func (f devnetFlags) devnetWorkloads() ([]string, error) {
	region, err := f.devnetRegion()
	if err != nil {
		return nil, err
	}
	args := []string{"--nomad-jwks", region.Name + "=" + region.Address}
	for _, given := range []struct {
		flag, value string
	}{{"--nomad-jwks-ca", region.CACert}, {"--nomad-jwks-cert", region.ClientCert}, {"--nomad-jwks-key", region.ClientKey}} {
		if given.value != "" {
			args = append(args, given.flag, given.value)
		}
	}
	return args, nil
}

// devnetNomad makes the arguments of oracles that use Nomad: it pushes the runner to the devnet's registry, as its developer, and names it.
func (a *app) devnetNomad(f devnetFlags) (func(context.Context, *devnet.Devnet) ([]string, error), error) {
	region, err := f.devnetRegion()
	if err != nil {
		return nil, err
	}
	program, err := devnet.Program("fog-runner", "FOG_RUNNER")
	if err != nil {
		return nil, hint(err, "make it with `make runner`")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"--dispatcher", dispatcherNomad, "--nomad-addr", region.Name + "=" + region.Address}
	for _, given := range []struct {
		flag, value string
	}{{"--nomad-ca", region.CACert}, {"--nomad-cert", region.ClientCert}, {"--nomad-key", region.ClientKey}} {
		if given.value != "" {
			args = append(args, given.flag, given.value)
		}
	}
	for _, file := range f.nomad.access.TokenFiles { // the token itself would be seen in the list of processes
		args = append(args, "--nomad-token-file", file)
	}
	return func(ctx context.Context, d *devnet.Devnet) ([]string, error) {
		push := exec.CommandContext(ctx, self, "--home", d.DeveloperHome(), "--output", "text", "oracle", "push-runner", program) //nolint:gosec // this very program, with arguments that are lists
		push.Stderr = a.stderr
		out, err := push.Output()
		if err != nil {
			return nil, fmt.Errorf("push the runner: %w", err)
		}
		name := strings.TrimSpace(string(out))
		a.say("runner %s is in the registry", name[strings.LastIndexByte(name, '/')+1:])
		return append(args[:len(args):len(args)], "--nomad-runner", name), nil
	}, nil
}
