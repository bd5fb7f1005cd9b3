package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/oracle/nomaddesk"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// planFlags of `fog job plan`.
type planFlags struct {
	node  string
	nomad nomadFlags
}

func newJobPlanCmd(a *app) *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use: "plan [FILE]", Short: "Print the Nomad job that a job would become on a node that is served by Nomad", Args: cobra.MaximumNArgs(1),
		Long: `Print the Nomad job that a job would become on a node that is served by Nomad, as a job file of Nomad's (HCL), or with --output json also as Nomad's
API takes it. Nothing is pushed, submitted or registered; the real job has the id that the chain gives it, and a deadline.

With --nomad-addr the node's client is asked what it has, and Nomad what it would do with the job now. Without, the node's registration
stands in for its client.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.planJob(cmd.Context(), jobPath(args), f) },
	}
	cmd.Flags().StringVar(&f.node, "node", "", "id of the node (node1…)")
	f.nomad.addAccess(cmd)
	f.nomad.addRunner(cmd)
	return cmd
}

func (a *app) planJob(ctx context.Context, path string, f planFlags) error {
	if f.node == "" {
		return usagef("on which node? give --node node1…")
	}
	if _, err := nodestypes.ParseNodeID(f.node); err != nil {
		return usagef("--node %q is not the id of a node (node1…): %w", f.node, err)
	}
	regions, err := f.nomad.regions()
	if err != nil {
		return err
	}
	runner := nomad.Image{Ref: "fog-runner"}
	if f.nomad.runner != "" {
		if runner, err = f.nomad.image(); err != nil {
			return err
		}
	}
	file, err := jobfile.Load(path)
	if err != nil {
		return err
	}
	if file.Encrypt {
		return file.Problem("encrypt", errors.New("keeps a job off nodes that are served by Nomad; remove it to see a plan"))
	}
	return a.withPacked(ctx, file, func(p jobclient.Packed) error {
		node, err := a.plannedNode(ctx, f.node)
		if err != nil {
			return err
		}
		region, err := regionOf(node, regions)
		if err != nil {
			return err
		}
		machine := declared(node)
		if region != nil {
			if machine, err = nomad.MachineOf(ctx, *region, node.Id); err != nil {
				return err
			}
		}
		place, err := nomaddesk.Where(node)
		if err != nil {
			return err
		}
		owner, err := a.contentOwner(ctx)
		if err != nil {
			return err
		}
		content, err := nomaddesk.NewShelf(cmp.Or(f.nomad.registry, a.profile.Registry), owner)
		if err != nil {
			return err
		}
		plan, err := nomaddesk.Planned(p.Spec, p.Defaults(), place, machine, content, runner)
		if err != nil {
			return err
		}
		if region != nil {
			if err := plan.Ask(ctx, *region); err != nil {
				return err
			}
		}
		return a.print(plan, func(w io.Writer) error { return a.printPlan(w, plan) })
	})
}

func (a *app) plannedNode(ctx context.Context, id string) (nodestypes.Node, error) {
	c, err := a.chain(ctx)
	if err != nil {
		return nodestypes.Node{}, err
	}
	resp, err := nodestypes.NewQueryClient(c.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: id})
	if errors.Is(err, chain.ErrNotFound) {
		return nodestypes.Node{}, hint(fmt.Errorf("there is no node %s on this chain", id), "correct --node, --grpc and --rpc")
	}
	if err != nil {
		return nodestypes.Node{}, err
	}
	if _, served := handover.NomadPlace(resp.Node); !served {
		return nodestypes.Node{}, hint(fmt.Errorf("node %s is served by its agent, not by Nomad", id),
			"choose a node with the attribute %s, as `fog node status` shows it", handover.AttributeRegion)
	}
	return resp.Node, nil
}

// regionOf is the access to the node's region, nil if no region was given at all.
func regionOf(node nodestypes.Node, regions []nomad.Region) (*nomad.Region, error) {
	if len(regions) == 0 {
		return nil, nil
	}
	place, _ := handover.NomadPlace(node)
	i := slices.IndexFunc(regions, func(r nomad.Region) bool { return r.Name == place.Region })
	if i < 0 {
		return nil, usagef("node %s is in the Nomad region %q, which has no --nomad-addr; give %s=https://host:port", node.Id, place.Region, place.Region)
	}
	return &regions[i], nil
}

// declared is the machine that a node's registration speaks of.
func declared(n nodestypes.Node) nomad.Machine {
	cores := int64(n.Hardware.Cores)
	return nomad.Machine{Cores: cores, MHz: cores * int64(cmp.Or(n.Hardware.CpuMhzMax, 1000)), MemoryMiB: int64(min(n.Capacity.MemoryMib, 1<<40))}
}

func (a *app) printPlan(w io.Writer, p *nomad.Plan) error {
	if _, err := io.WriteString(w, p.HCL); err != nil {
		return err
	}
	if !p.Asked {
		return nil
	}
	if p.Warnings != "" {
		a.say("Nomad remarks: %s", p.Warnings)
	}
	for _, group := range slices.Sorted(maps.Keys(p.Failures)) {
		a.say("Nomad would not place it now: %s", p.Failures[group])
	}
	if len(p.Failures) == 0 {
		a.say("Nomad would place it now")
	}
	return nil
}
