package cmd

import (
	"context"
	"errors"
	"strings"

	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/jobfile"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const dockerHostUsage = "where the Docker Engine listens, or none (default: $DOCKER_HOST, else " + docker.DefaultHost + ")"

// engines are what a machine is registered with: what was asked for, or what is found. Containers that were asked for must work.
func (a *app) engines(ctx context.Context, f registerFlags) ([]nodestypes.Engine, error) {
	asked, err := parseEngines(f.engines)
	if f.nomad.place.Region != "" { // what the machine's Docker Engine can do is for its Nomad client to find out
		if len(asked) == 0 {
			asked = []nodestypes.Engine{nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER}
		}
		return asked, err
	}
	if err != nil || len(asked) == 1 && asked[0] == nodestypes.ENGINE_WASM {
		return asked, err
	}
	missing := probeDocker(ctx, f.dockerHost)
	switch {
	case len(asked) == 0 && missing == nil:
		return []nodestypes.Engine{nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER}, nil
	case len(asked) == 0:
		a.say("this machine will run WebAssembly only (%v)", missing)
		return []nodestypes.Engine{nodestypes.ENGINE_WASM}, nil
	case missing != nil:
		return nil, hint(missing, "start the Docker Engine and let this user reach its socket, or register with --engines wasm")
	}
	return asked, nil
}

func parseEngines(names []string) ([]nodestypes.Engine, error) {
	engines, err := jobfile.ParseEngines(names)
	if err != nil {
		return nil, usagef("--engines %s: %w", strings.Join(names, ","), err)
	}
	return engines, nil
}

// probeDocker says what keeps containers from running here.
func probeDocker(ctx context.Context, host string) error {
	e, err := docker.New(docker.Options{Host: host})
	if err != nil {
		return err
	}
	return errors.Join(e.Probe(ctx), e.Close())
}
