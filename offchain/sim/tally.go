package sim

import (
	"math"
	"slices"

	"github.com/foggrid/fogd/offchain/match"
)

// tally counts what a policy did.
type tally struct {
	w       *world
	jobs    int
	warmup  int
	quarter int // the first job of the last quarter

	decisions int
	loss      float64
	took      []uint32

	lastDecisions, lastCompared, lastLiars int
	lastRegret                             float64

	ends, fails, losses int
	paid                uint64
	unplaced            int
	books               books

	bins []bin
	drift
}

// bin is a part of the jobs, for plots.
type bin struct {
	n, compared  int
	loss, regret float64
	ends, fails  int
}

const binCount = 40

// drift follows the nodes that go bad.
type drift struct {
	phase         map[int]uint8
	before, after map[int]int
	since         map[int]int64
	// heard is how many outcomes of its jobs since it went bad are known; wasted is what heard was at each job that it got although there was
	// a better node.
	heard  map[int]int
	wasted map[int][]int
	// wanted is how many jobs there were since it recovered for which it was the best node.
	wanted map[int]int
	last   int64 // when the last job came
}

func newTally(w *world, jobs int) *tally {
	warmup := int(w.scenario.Warmup * float64(jobs))
	t := &tally{w: w, jobs: jobs, warmup: warmup, quarter: warmup + (jobs-warmup)*3/4, took: make([]uint32, 0, jobs), bins: make([]bin, binCount)}
	t.drift = drift{
		phase: map[int]uint8{}, before: map[int]int{}, after: map[int]int{}, since: map[int]int64{}, heard: map[int]int{}, wasted: map[int][]int{},
		wanted: map[int]int{},
	}
	if w.scenario.Drift.Share > 0 {
		for i := range w.Len() {
			if NewRand(w.seed, streamDrift, uint64(i)).Float() < w.scenario.Drift.Share {
				t.phase[i] = 0
			}
		}
	}
	return t
}

func (t *tally) counts(j *Job) bool { return j.ID >= t.warmup }

func (t *tally) bin(j *Job) *bin {
	return &t.bins[(j.ID-t.warmup)*binCount/max(t.jobs-t.warmup, 1)]
}

// decided counts a decision: its true loss, the least one there was (not a number if that is not known), and the time it took.
func (t *tally) decided(j *Job, node int, loss, best float64, nanos int64) {
	t.last = j.At
	if phase, follows := t.phase[node]; follows {
		switch {
		case phase == beforeBad:
			t.before[node]++
		case phase == recovered:
			t.after[node]++
		case !(loss <= best): // for a few jobs a bad node may be the best there is
			t.wasted[node] = append(t.wasted[node], t.heard[node])
		}
	}
	if !t.counts(j) {
		return
	}
	t.decisions++
	t.loss += loss
	t.took = append(t.took, uint32(min(nanos, math.MaxUint32)))
	b := t.bin(j)
	b.n++
	b.loss += loss
	compared := !math.IsNaN(best)
	if compared {
		b.compared++
		b.regret += loss - best
	}
	if j.ID >= t.quarter {
		t.lastDecisions++
		if compared {
			t.lastCompared++
			t.lastRegret += loss - best
		}
		if t.w.liar[node] {
			t.lastLiars++
		}
	}
}

// wants counts a job by the node that was the best for it; −1 if that is not known.
func (t *tally) wants(node int) {
	if phase, follows := t.phase[node]; follows && phase == recovered {
		t.wanted[node]++
	}
}

// phases of a node that goes bad.
const (
	beforeBad = iota
	whileBad
	recovered
)

// ended counts an outcome of a run that began at start.
func (t *tally) ended(j *Job, node int, start int64, paid uint64, ok, lost bool) {
	if t.phase[node] == whileBad && start >= t.since[node] {
		t.heard[node]++
	}
	if !t.counts(j) {
		return
	}
	b := t.bin(j)
	t.ends++
	b.ends++
	t.paid += paid
	if !ok {
		t.fails++
		b.fails++
	}
	if lost {
		t.losses++
	}
}

func (t *tally) replaced(node int) { delete(t.phase, node) }

func (t *tally) drifted(node int, bad bool, at int64) {
	if _, follows := t.phase[node]; !follows {
		return
	}
	t.phase[node], t.since[node] = recovered, at
	if bad {
		t.phase[node] = whileBad
	}
}

// usedNode has had this many jobs before it goes bad; of others nothing can be learnt.
const usedNode = 5

// driftResult is what became of nodes that were used and then went bad.
func (t *tally) driftResult() (d DriftResult) {
	var until []int
	for node, phase := range t.phase {
		if phase == beforeBad || t.before[node] < usedNode {
			continue
		}
		d.Nodes++
		n := 0
		if w := t.wasted[node]; len(w) > 0 {
			n = w[len(w)*9/10] // heard never falls, so they are in order; one in ten may be exploration
		}
		until = append(until, n)
		if n <= 50 {
			d.AvoidedWithin50++
		}
		if phase == recovered {
			d.Recovered++
			if t.after[node] > 0 {
				d.UsedAgain++
			}
			if t.wanted[node] >= usedNode {
				d.wanted(t.after[node] > 0, t.last-t.since[node] >= 1000*match.LongestRetry())
			}
		}
	}
	if d.Nodes > 0 {
		slices.Sort(until)
		d.JobsP50, d.JobsP90, d.JobsMax = until[d.Nodes/2], until[d.Nodes*9/10], until[d.Nodes-1]
	}
	return d
}

// wanted counts a node that was wanted since it recovered; due is one that had the time to be tried.
func (d *DriftResult) wanted(used, due bool) {
	d.Wanted++
	if due {
		d.Due++
	}
	if !used {
		return
	}
	d.WantedUsedAgain++
	if due {
		d.DueUsedAgain++
	}
}

// percentile of the sorted or unsorted times; it sorts them.
func (t *tally) percentile(q float64) float64 {
	if len(t.took) == 0 {
		return 0
	}
	slices.Sort(t.took)
	return float64(t.took[min(int(q*float64(len(t.took))), len(t.took)-1)])
}
