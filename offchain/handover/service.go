package handover

import (
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/link"
)

// Progress is what oracles make of a service's state. A service that ended by its own fault and starts again is unhealthy, at its developer's cost; one
// that the node cannot run is down, at the provider's.
func Progress(s dispatch.ServiceState) link.ProgressState {
	switch s.Phase {
	case dispatch.ServiceHealthy:
		return link.ProgressServing
	case dispatch.ServiceRunning:
		return link.ProgressRunning
	case dispatch.ServiceUnhealthy:
		return link.ProgressUnhealthy
	case dispatch.ServiceRestarting, dispatch.ServiceStopped:
		if s.Reason != dispatch.ReasonNode && s.Reason != dispatch.ReasonStopped {
			return link.ProgressUnhealthy
		}
	}
	return link.ProgressDown
}

// Stats are figures as owners are told them.
func Stats(d dispatch.Stats) link.Stats {
	return link.Stats{
		At: d.At, Started: d.Started, Running: d.Running, Measured: d.Measured, CPUNanos: d.CPUNanos, Memory: d.Memory,
		MemoryLimit: d.MemoryLimit, Processes: d.Processes, Received: d.Received, Sent: d.Sent,
	}
}
