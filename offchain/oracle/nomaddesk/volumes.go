package nomaddesk

import (
	"context"
	"errors"
	"fmt"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch"
)

// Holding is what the chain has on a node.
type Holding struct {
	// Height is one that the chain had reached when it was asked.
	Height   int64
	Replicas map[dispatch.Replica]bool
}

// wipeVolumes wipes the volumes of replicas that the chain has on their node no more. An update leaves a replica on its node, and so its volumes. Volumes
// of nodes that the chain does not know are another grid's, and those that were asked for at a height that it has not reached may be wanted.
func (d *Desk) wipeVolumes(ctx context.Context) error {
	kept, failed := d.nomad.KeptVolumes(ctx)
	holdings := map[string]Holding{}
	for _, v := range kept {
		held, asked := holdings[v.Node]
		if !asked {
			var err error
			if held, err = d.opts.Chain.OnNode(ctx, v.Node); err != nil && !errors.Is(err, chain.ErrNotFound) {
				return errors.Join(failed, fmt.Errorf("what the chain has on node %s: %w", v.Node, err))
			}
			holdings[v.Node] = held
		}
		if held.Replicas == nil || held.Height < v.Height || held.Replicas[v.Replica] {
			continue
		}
		if err := d.nomad.WipeVolume(ctx, v); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		d.opts.Log.Info("volume wiped", "job", v.Replica.Job, "task", v.Replica.Task, "volume", v.Name, "node", v.Node)
	}
	return failed
}
