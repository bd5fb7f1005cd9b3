package cmd

import (
	"context"
	"runtime"
	"strings"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/registry/client"
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

// devnetNomad makes the arguments of oracles that use Nomad: it pushes the runner to the devnet's registry and names it.
func (a *app) devnetNomad(f devnetFlags) (func(context.Context, string) ([]string, error), error) {
	region, err := f.devnetRegion()
	if err != nil {
		return nil, err
	}
	program, err := devnet.Program("fog-runner", "FOG_RUNNER")
	if err != nil {
		return nil, hint(err, "make it with `make runner`")
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
	return func(ctx context.Context, at string) ([]string, error) {
		registry, err := client.New(at)
		if err != nil {
			return nil, err
		}
		name, err := pushImage(ctx, registry, at, program, runtime.GOARCH)
		if err != nil {
			return nil, err
		}
		a.say("runner %s is in the registry", name[strings.LastIndexByte(name, '/')+1:])
		return append(args[:len(args):len(args)], "--nomad-runner", name), nil
	}, nil
}
