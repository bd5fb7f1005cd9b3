package sim

import (
	"math"
	"slices"
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

	bins  []bin
	drift drift
}

// bin is a part of the jobs, for plots.
type bin struct {
	n, compared  int
	loss, regret float64
	ends, fails  int
}

const binCount = 40

func newTally(w *world, jobs int) *tally {
	warmup := int(w.scenario.Warmup * float64(jobs))
	t := &tally{w: w, jobs: jobs, warmup: warmup, quarter: warmup + (jobs-warmup)*3/4, took: make([]uint32, 0, jobs), bins: make([]bin, binCount)}
	t.drift = newDrift(w)
	return t
}

func (t *tally) counts(j *Job) bool { return j.ID >= t.warmup }

func (t *tally) bin(j *Job) *bin {
	return &t.bins[(j.ID-t.warmup)*binCount/max(t.jobs-t.warmup, 1)]
}

// decided counts a decision: its true loss, the least one there was (not a number if that is not known), and the time it took.
func (t *tally) decided(j *Job, node int, loss, best float64, nanos int64) {
	t.drift.last = j.At
	t.drift.decided(node, loss, best)
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

// ended counts an outcome of a run that began at start.
func (t *tally) ended(j *Job, node int, start int64, paid uint64, ok, lost bool) {
	t.drift.ended(node, start)
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

// percentile of the sorted or unsorted times; it sorts them.
func (t *tally) percentile(q float64) float64 {
	if len(t.took) == 0 {
		return 0
	}
	slices.Sort(t.took)
	return float64(t.took[min(int(q*float64(len(t.took))), len(t.took)-1)])
}
