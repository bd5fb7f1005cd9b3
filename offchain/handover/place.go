package handover

import (
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Attributes of nodes whose attempts the oracles run on Nomad. A node with a region is served by Nomad, any other by its agent; the rest say
// where in the region its client is.
const (
	AttributeRegion     = "nomad.region"
	AttributeNamespace  = "nomad.namespace"
	AttributeDatacenter = "nomad.datacenter"
	AttributePool       = "nomad.pool"
	AttributeClass      = "nomad.class"
)

// Place is where in Nomad a node is served. Empty fields but Region constrain nothing.
type Place struct{ Region, Namespace, Datacenter, Pool, Class string }

// NomadPlace reports whether a node is served by Nomad, and where. It depends on nothing but the node's registration, so that all oracles, and
// the node's agent, come to the same answer.
func NomadPlace(n nodestypes.Node) (Place, bool) {
	var p Place
	for _, a := range n.Attributes {
		switch a.Key {
		case AttributeRegion:
			p.Region = a.Value
		case AttributeNamespace:
			p.Namespace = a.Value
		case AttributeDatacenter:
			p.Datacenter = a.Value
		case AttributePool:
			p.Pool = a.Value
		case AttributeClass:
			p.Class = a.Value
		}
	}
	return p, p.Region != ""
}

// Attributes are what a node is registered with to be served there.
func (p Place) Attributes() map[string]string {
	all := map[string]string{}
	for key, value := range map[string]string{
		AttributeRegion: p.Region, AttributeNamespace: p.Namespace, AttributeDatacenter: p.Datacenter, AttributePool: p.Pool,
		AttributeClass: p.Class,
	} {
		if value != "" {
			all[key] = value
		}
	}
	return all
}
