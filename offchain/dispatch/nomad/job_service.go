package nomad

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// The networks of services: bridges of the client's Docker Engine without traffic between containers, the closed one also without answers to
// connections that a service opens. Who runs the client makes them (docs/nomad.md); without them no service starts there.
const (
	ClosedNetwork = "fog-closed"
	OpenNetwork   = "fog-open"
)

const (
	// A container of a service that ends although the runner never does, as with the Docker Engine, is started again by Nomad.
	restartInterval = 10 * time.Minute
	restartAttempts = 60
	restartDelay    = 5 * time.Second
	// One that cannot be started at all is placed anew, on the same node: job and node are pinned.
	placeDelay    = 5 * time.Second
	maxPlaceDelay = time.Minute

	// discovery is Nomad's own.
	discovery = "nomad"
	// maxName is the longest name of an entry there.
	maxName = 63

	checkName = "health"
	// minCheck is the shortest time that Nomad takes.
	minCheck = time.Second
)

// serve makes the group of an image's task that of a service: with ports, an entry for discovery, checks, and starts again.
func serve(g *api.TaskGroup, a dispatch.Assignment) error {
	s := *a.Service
	g.RestartPolicy = &api.RestartPolicy{
		Attempts: new(restartAttempts), Interval: new(restartInterval), Delay: new(restartDelay), Mode: new("delay"),
	}
	g.ReschedulePolicy = &api.ReschedulePolicy{
		Unlimited: new(true), Delay: new(placeDelay), DelayFunction: new("exponential"), MaxDelay: new(maxPlaceDelay),
	}
	task := g.Tasks[len(g.Tasks)-1]
	task.Config["network_mode"] = ClosedNetwork
	if s.Outbound {
		task.Config["network_mode"] = OpenNetwork
	}
	network := &api.NetworkResource{}
	labels := map[uint16]dispatch.Port{} // the engine publishes each number for both protocols
	names := []string{}
	for _, p := range s.Ports {
		label := p.Name
		switch q, taken := labels[p.Host]; {
		case taken && q.Container != p.Container:
			return fmt.Errorf("%w: ports %s and %s share the node's port %d and lead to two of the container's", dispatch.ErrInvalidAssignment, q.Name, p.Name, p.Host)
		case taken:
			label = q.Name
		default:
			labels[p.Host], names = p, append(names, p.Name)
			network.ReservedPorts = append(network.ReservedPorts, api.Port{Label: p.Name, Value: int(p.Host), To: int(p.Container)})
		}
		g.Services = append(g.Services, entry(a.ID.Job, p, label, s.Health))
	}
	if len(names) > 0 {
		task.Config["ports"] = names
		g.Networks = []*api.NetworkResource{network}
	}
	return nil
}

// entry is a port in Nomad's own service discovery, where others in the namespace find it as JOB-PORT, or by the tags if that is cut.
func entry(job string, p dispatch.Port, label string, h dispatch.Health) *api.Service {
	name := job + "-" + p.Name
	if len(name) > maxName {
		name = strings.TrimRight(name[:maxName], "-")
	}
	e := &api.Service{Provider: discovery, Name: name, PortLabel: label, Tags: []string{job, p.Name, p.Protocol}}
	if h.Kind != dispatch.HealthNone && h.Port == p.Name {
		e.Checks = []api.ServiceCheck{{
			Name: checkName, Type: h.Kind, Path: h.Path, Interval: max(h.Interval, minCheck), Timeout: max(h.Timeout, minCheck),
		}}
	}
	return e
}
