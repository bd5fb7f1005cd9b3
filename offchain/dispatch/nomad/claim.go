package nomad

import (
	"context"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// Claim has the only client of a region serve a node, unless it does already: for a Nomad of one machine. It needs node:write.
func Claim(ctx context.Context, r Region, node string) error {
	c, err := newClient(r)
	if err != nil {
		return err
	}
	if list, err := c.nodesOf(ctx, node); err != nil || len(list) > 0 {
		return err
	}
	all, _, err := c.api.Nodes().List(c.query(ctx, ""))
	if err != nil {
		return c.wrap("list the clients", err)
	}
	if len(all) != 1 {
		return fmt.Errorf("nomad region %q has %d clients and none serves node %s; give one of them meta %s = %q", r.Name, len(all), node, metaNode, node)
	}
	_, err = c.api.Nodes().Meta().Apply(&api.NodeMetaApplyRequest{NodeID: all[0].ID, Meta: map[string]*string{metaNode: &node}}, c.query(ctx, ""))
	return c.wrap("give the client its node", err)
}
