package agent

import (
	"github.com/foggrid/fogd/offchain/handover"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// served is who runs a node's attempts. Nothing is started before the chain has said so.
type served int

const (
	unknown served = iota
	byAgent
	byNomad
	byNobody
)

// notePlace takes from the node's registration who runs its attempts, and complains if this agent was set up otherwise.
func (a *Agent) notePlace(n nodestypes.Node) {
	place, onNomad := handover.NomadPlace(n)
	now := byAgent
	switch {
	case onNomad:
		now = byNomad
	case a.cfg.Dispatcher == nil:
		now = byNobody
	}
	if now == a.served {
		return
	}
	a.served = now
	switch {
	case now == byNobody:
		a.log.Error("nobody runs this node's tasks: it is not registered for Nomad; run the agent with --dispatcher direct, or set the node's attribute " +
			handover.AttributeRegion)
	case now == byNomad && a.cfg.Dispatcher != nil:
		a.log.Error("this agent starts nothing: the node is registered for Nomad, where the oracles run its tasks; run the agent with --dispatcher nomad",
			"region", place.Region)
	case now == byNomad:
		a.log.Info("the oracles run this node's tasks on Nomad", "region", place.Region)
	}
}
