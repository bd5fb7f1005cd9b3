package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/foggrid/fogd/offchain/agent/inventory"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/firewall"
)

// Whether services are kept from the owner's network and from the machine.
const (
	firewallAuto    = "auto"
	firewallRequire = "require"
	firewallOff     = "off"

	firewallUsage = "keep services from this machine and its networks by rules of iptables, which needs root: auto where that works, require, or off"
)

// guard is the firewall of services; nil if there is none.
func (a *app) guard(ctx context.Context, mode, of string) (docker.Firewall, error) {
	serviceNet, err := firewall.ParseRange(of)
	if err != nil {
		return nil, usagef("--service-net: %w", err)
	}
	switch mode {
	case firewallOff:
		return nil, nil
	case firewallAuto, firewallRequire:
	default:
		return nil, usagef("--firewall is %q; it must be %s, %s or %s", mode, firewallAuto, firewallRequire, firewallOff)
	}
	g, err := firewall.New(ctx, serviceNet)
	if err == nil {
		return g, nil
	}
	if mode == firewallRequire {
		return nil, hint(fmt.Errorf("services cannot be kept from this machine: %w", err), "mend that, or use --firewall "+firewallOff)
	}
	a.log.Warn("services that may open connections reach this machine and its networks", "reason", err)
	return nil, nil
}

// Which GPUs tasks are given.
const (
	gpusAuto = "auto"
	gpusNone = "none"

	gpusUsage = "ids of the NVIDIA GPUs that tasks are given, with commas between (GPU-…, as in fog agent inventory); auto is all, none is none"
)

// gpus are the ids of those that tasks are given.
func (a *app) gpus(ctx context.Context, f agentFlags) ([]string, error) {
	if f.gpus == gpusNone {
		return nil, nil
	}
	inv, err := inventory.Collect(ctx, a.agentDir(f))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, g := range inv.GPUs {
		if g.ID != "" {
			all = append(all, g.ID)
		}
	}
	if f.gpus == gpusAuto {
		return all, nil
	}
	given := strings.Split(f.gpus, ",")
	for i, id := range given {
		if !slices.Contains(all, id) || slices.Contains(given[:i], id) {
			return nil, usagef("--gpus: %q is none of this machine's NVIDIA GPUs, or given twice; see `fog agent inventory`", id)
		}
	}
	return given, nil
}
