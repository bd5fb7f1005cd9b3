package oracle

import (
	"math"
	"slices"
	"time"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	// keptTrips are the newest round trips that tell round trip and jitter, keptPings the newest pings that tell loss.
	keptTrips, keptPings = 20, 100
	// leastTrips and leastPings are needed before anything is said.
	leastTrips, leastPings = 5, 10
)

// network is how one oracle sees the network of a node: its newest pings. They go over the agent's stream, so what is lost on the way
// shows as a long round trip first, and as a lost ping once it takes longer than the limit.
type network struct {
	trips []time.Duration // oldest first
	lost  []bool          // oldest first
}

// note adds a ping; a round trip of zero is one that was not answered.
func (n *network) note(trip time.Duration) {
	n.lost = keep(append(n.lost, trip == 0), keptPings)
	if trip > 0 {
		n.trips = keep(append(n.trips, trip), keptTrips)
	}
}

// keep drops the oldest of a list beyond most.
func keep[T any](list []T, most int) []T {
	if len(list) > most {
		return slices.Delete(list, 0, len(list)-most)
	}
	return list
}

// view is the median round trip, the mean difference from one round trip to the next (as in RFC 3550, without its smoothing) and the share of
// lost pings; ok is false while too little is known.
func (n *network) view() (v nodestypes.Network, ok bool) {
	if len(n.trips) < leastTrips || len(n.lost) < leastPings {
		return v, false
	}
	var sum time.Duration
	for i := 1; i < len(n.trips); i++ {
		sum += (n.trips[i] - n.trips[i-1]).Abs()
	}
	lost := 0
	for _, l := range n.lost {
		if l {
			lost++
		}
	}
	sorted := slices.Sorted(slices.Values(n.trips))
	v.RttUs = max(micros(sorted[len(sorted)/2]), 1)
	v.JitterUs = micros(sum / time.Duration(len(n.trips)-1))
	v.LossPpm = uint32(lost * 1_000_000 / len(n.lost))
	return v, true
}

func micros(d time.Duration) uint32 { return uint32(min(max(d.Microseconds(), 0), math.MaxInt32)) }

// networks are the nodes, by index, whose network this oracle sees otherwise than the chain does; if there are very many, each round
// begins with others.
func (w *Worker) networks(round uint64, nodes []nodestypes.Node) []nodestypes.NetworkObservation {
	var out []nodestypes.NetworkObservation
	for _, n := range nodes {
		v, known := w.pulse.network(n.Id)
		if !known || !watched(n) || n.Owner == w.cfg.Operator || !v.Differs(n.Network) {
			continue
		}
		out = append(out, nodestypes.NetworkObservation{Index: n.Index, RttUs: v.RttUs, JitterUs: v.JitterUs, LossPpm: v.LossPpm})
	}
	if most := nodestypes.MaxNetworkNodes; len(out) > most {
		from := int(round % uint64(len(out)/most+1) * uint64(most))
		out = out[min(from, len(out)-most):][:most]
	}
	return out
}
