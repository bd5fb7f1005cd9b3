package sim

import (
	"slices"

	"github.com/foggrid/fogd/offchain/match"
)

// drift follows the nodes that go bad, and as many twins of them that do not.
type drift struct {
	nodes map[int]*drifting
	last  int64 // when the last job came
}

// drifting is what became of a node.
type drifting struct {
	twin  bool
	phase uint8
	since int64 // when the phase began
	// before and after are its jobs before it went bad and since it recovered, wanted is how many jobs there were since then for which it was the
	// best node.
	before, after, wanted int
	// heard is how many outcomes of its jobs since it went bad are known; wasted is what heard was at each job that it got although there was
	// a better node.
	heard  int
	wasted []int
}

// phases of a node that goes bad.
const (
	beforeBad = iota
	whileBad
	recovered
)

// fate of a node under drift.
const (
	staysWell = iota
	goesBad
	isTwin // stays well, and is followed through the same phases
)

// fate draws what drift does to node i; the stream that follows says when.
func (w *world) fate(i int) (int, *Rand) {
	r := NewRand(w.seed, streamDrift, uint64(i))
	share := w.scenario.Drift.Share
	switch u := r.Float(); {
	case u < share:
		return goesBad, r
	case u >= 1-share:
		return isTwin, r
	}
	return staysWell, r
}

// phaseOf a disturbance is the one that it begins.
func phaseOf(kind uint8) uint8 {
	if kind == nodeBad || kind == twinBegins {
		return whileBad
	}
	return recovered
}

func newDrift(w *world) drift {
	d := drift{nodes: map[int]*drifting{}}
	if w.scenario.Drift.Share > 0 {
		for i := range w.Len() {
			if fate, _ := w.fate(i); fate != staysWell {
				d.nodes[i] = &drifting{twin: fate == isTwin}
			}
		}
	}
	return d
}

// decided counts a job that a node got, with its true loss and the least one there was (not a number if that is not known).
func (d *drift) decided(node int, loss, best float64) {
	n, follows := d.nodes[node]
	switch {
	case !follows:
	case n.phase == beforeBad:
		n.before++
	case n.phase == recovered:
		n.after++
	case !(loss <= best): // for a few jobs a bad node may be the best there is
		n.wasted = append(n.wasted, n.heard)
	}
}

// wants counts a job by the node that was the best for it; −1 if that is not known.
func (d *drift) wants(node int) {
	if n, follows := d.nodes[node]; follows && n.phase == recovered {
		n.wanted++
	}
}

// ended counts an outcome of a run that began at start.
func (d *drift) ended(node int, start int64) {
	if n, follows := d.nodes[node]; follows && n.phase == whileBad && start >= n.since {
		n.heard++
	}
}

func (d *drift) replaced(node int) { delete(d.nodes, node) }

func (d *drift) enters(node int, phase uint8, at int64) {
	if n, follows := d.nodes[node]; follows {
		n.phase, n.since = phase, at
	}
}

// usedNode has had this many jobs before it goes bad; of others nothing can be learnt.
const usedNode = 5

// result is what became of nodes that were used and then went bad.
func (d *drift) result() (r DriftResult) {
	var until []int
	for _, n := range d.nodes {
		if n.phase == beforeBad || n.before < usedNode {
			continue
		}
		if !n.twin {
			jobs := 0
			if w := n.wasted; len(w) > 0 {
				jobs = w[len(w)*9/10] // heard never falls, so they are in order; one in ten may be exploration
			}
			until = append(until, jobs)
			if jobs <= 50 {
				r.AvoidedWithin50++
			}
		}
		if n.phase == recovered {
			r.returned(n, d.last-n.since >= 1000*match.LongestRetry())
		}
	}
	if r.Nodes = len(until); r.Nodes > 0 {
		slices.Sort(until)
		r.JobsP50, r.JobsP90, r.JobsMax = until[r.Nodes/2], until[r.Nodes*9/10], until[r.Nodes-1]
	}
	return r
}

// returned counts a node that recovered; due is one that had the time to be tried.
func (r *DriftResult) returned(n *drifting, due bool) {
	used, wanted := n.after > 0, n.wanted >= usedNode
	if n.twin {
		count(&r.TwinsDue, wanted && due)
		count(&r.TwinsDueUsedAgain, wanted && due && used)
		return
	}
	r.Recovered++
	count(&r.UsedAgain, used)
	count(&r.Wanted, wanted)
	count(&r.WantedUsedAgain, wanted && used)
	count(&r.Due, wanted && due)
	count(&r.DueUsedAgain, wanted && due && used)
}

func count(n *int, yes bool) {
	if yes {
		*n++
	}
}
