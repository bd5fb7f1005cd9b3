package sim

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// run is a job on a node.
type run struct {
	job        *Job
	node       int32
	prev, next int32 // of the runs on the node, −1 at the ends
	serial     uint32
	start      int64
	ok         bool
	speed      float64
	terms      terms
}

// ending is when a run ends, unless its node goes away before.
type ending struct {
	at     int64
	run    int32
	serial uint32
}

type engine struct {
	*world
	policy  Policy
	runs    []run
	unused  []int32
	first   []int32 // run of each node, −1 if none
	endings []ending
	waiting []*Job
	books   books
	tally   *tally
	ticker  Ticker
	next    int64 // epoch
	clock   func() int64
	fault   error
	regrets int // one decision in this many is compared with the oracle's
}

const epoch = 60_000

// simulate runs jobs through a world with one policy.
func simulate(ctx context.Context, w *world, p Policy, jobs int, clock func() int64, progress func(done int)) (*tally, error) {
	e := &engine{
		world: w, policy: p, first: make([]int32, w.Len()), next: epoch, clock: clock, tally: newTally(w, jobs),
		regrets: 1 + w.Len()/20_000*20,
	}
	fill32(e.first, -1)
	if watcher, ok := p.(Watcher); ok {
		w.changed = watcher.Changed
	}
	e.ticker, _ = p.(Ticker)
	arrivals := &stream{w: w, rand: NewRand(w.seed, streamJob)}
	hours := float64(jobs)/(w.scenario.Load*float64(w.Len()))*1.2 + 1
	events := w.disturbances(hours)
	for k := range jobs {
		j := arrivals.job()
		events = e.until(j.At, events)
		if e.place(j); e.fault != nil {
			return nil, e.fault
		}
		if k&1023 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			progress(k)
		}
	}
	for len(e.endings) > 0 { // what still runs is heard of, so that the money is complete
		e.end(e.pop())
	}
	e.tally.unplaced = len(e.waiting)
	if err := e.books.check(); err != nil {
		return nil, err
	}
	e.tally.books = e.books
	progress(jobs)
	return e.tally, nil
}

func fill32(v []int32, x int32) {
	for i := range v {
		v[i] = x
	}
}

// until lets everything happen that comes before the time, in order: ends of runs, then disturbances, then the epoch.
func (e *engine) until(at int64, events []disturbance) []disturbance {
	for {
		end, event := int64(math.MaxInt64), int64(math.MaxInt64)
		if len(e.endings) > 0 {
			end = e.endings[0].at
		}
		if len(events) > 0 {
			event = events[0].at
		}
		switch first := min(end, event, e.next); {
		case first > at:
			return events
		case first == end:
			e.end(e.pop())
		case first == event:
			e.disturb(events[0])
			events = events[1:]
		default:
			e.tick()
		}
	}
}

func (e *engine) tick() {
	if e.ticker != nil {
		e.ticker.Tick(e.next)
	}
	waiting := e.waiting
	e.waiting = nil
	for _, j := range waiting {
		j.At = e.next
		e.place(j)
	}
	e.next += epoch
}

// place asks the policy and begins the run; a job that finds no room waits for the next epoch.
func (e *engine) place(j *Job) {
	for _, i := range j.Excluded {
		e.hide(int(i))
	}
	began := e.clock()
	i := e.policy.Choose(j)
	took := e.clock() - began
	if i < 0 {
		e.show(j.Excluded)
		e.waiting = append(e.waiting, j)
		return
	}
	if i >= e.Len() || !e.fits(j, i) {
		e.fault = fmt.Errorf("sim: the policy gave job %d to node %d, which has no room for it", j.ID, i)
		return
	}
	wanted, best := -1, math.NaN()
	if e.tally.counts(j) && j.ID%e.regrets == 0 {
		wanted, best = e.best(j, e.truth)
	}
	e.show(j.Excluded)
	e.tally.drift.wants(wanted)
	e.tally.decided(j, i, e.loss(j, i), best, took)
	e.begin(j, i)
}

func (e *engine) hide(i int) {
	e.FreeCPU[i] = 0
	e.changed(i)
}

func (e *engine) show(nodes []int32) {
	for _, i := range nodes {
		e.open(int(i))
	}
}

func (e *engine) begin(j *Job, i int) {
	e.take(j, i)
	luck := NewRand(e.seed, streamRun, uint64(j.ID), uint64(j.Attempt))
	fails, noise, part := luck.Float(), math.Exp(e.scenario.Hidden.RunSigma*luck.Norm()), luck.Float()
	declared := j.Work * ReferenceSpeed / e.Speed[i]
	hours := min(declared/e.s[i]*noise, declared*overtime)
	r := run{job: j, node: int32(i), prev: -1, next: e.first[i], start: j.At, ok: fails < e.p[i], speed: declared / hours}
	if !r.ok {
		hours, r.speed = hours*part, 0
	}
	r.terms = e.books.match(e.Hourly(j, i), declared)
	k := int32(len(e.runs))
	if last := len(e.unused) - 1; last >= 0 {
		k, e.unused = e.unused[last], e.unused[:last]
		r.serial = e.runs[k].serial
		e.runs[k] = r
	} else {
		e.runs = append(e.runs, r)
	}
	if r.next >= 0 {
		e.runs[r.next].prev = k
	}
	e.first[i] = k
	e.push(ending{at: j.At + max(int64(hours*hour), 1), run: k, serial: r.serial})
}

// end is the end of a run, unless it was lost before.
func (e *engine) end(x ending) {
	r := &e.runs[x.run]
	if r.serial != x.serial {
		return
	}
	e.finish(x.run, x.at, r.ok, false)
}

func (e *engine) finish(k int32, at int64, ok, lost bool) {
	r := e.runs[k]
	if r.prev >= 0 {
		e.runs[r.prev].next = r.next
	} else {
		e.first[r.node] = r.next
	}
	if r.next >= 0 {
		e.runs[r.next].prev = r.prev
	}
	e.runs[k].serial++
	e.runs[k].job = nil
	e.unused = append(e.unused, k)
	e.release(r.job, int(r.node))
	if !ok {
		r.speed = 0
	}
	paid := e.books.settle(r.terms, at-r.start, ok, lost)
	e.tally.ended(r.job, int(r.node), r.start, paid, ok, lost)
	e.policy.Observe(Outcome{Job: r.job, Node: int(r.node), At: at, OK: ok, Lost: lost, Speed: r.speed})
	if !ok && r.job.Attempt+1 < e.scenario.Attempts {
		again := *r.job
		again.Attempt++
		again.At = at
		again.Excluded = append(slices.Clone(again.Excluded), r.node)
		e.waiting = append(e.waiting, &again)
	}
}

// lose ends all runs of a node that went away.
func (e *engine) lose(i int, at int64) {
	for e.first[i] >= 0 {
		e.finish(e.first[i], at, false, true)
	}
}

func (e *engine) disturb(d disturbance) {
	i := int(d.what)
	switch d.kind {
	case nodeReplaced:
		e.lose(i, d.at)
		e.Generation[i]++
		e.create(i)
		e.tally.drift.replaced(i)
		if s, ok := e.policy.(Successor); ok {
			s.Replaced(i)
		}
	case nodeBad, nodeRecovered:
		e.bad[i] = d.kind == nodeBad
		e.reveal(i)
		e.tally.drift.enters(i, phaseOf(d.kind), d.at)
	case twinBegins, twinEnds:
		e.tally.drift.enters(i, phaseOf(d.kind), d.at)
	case nodeLead:
		e.close(i, closedLead)
	case nodeOffline:
		e.close(i, closedOffline)
		e.lose(i, d.at)
	case nodeOnline:
		e.reopen(i, closedOffline|closedLead)
	case outageBegin, outageEnd:
		for i, p := range e.Place {
			if p != uint8(d.what) {
				continue
			}
			if d.kind == outageEnd {
				e.reopen(i, closedOutage)
				continue
			}
			e.close(i, closedOutage)
			e.lose(i, d.at)
		}
	}
}

func (e *engine) close(i int, why uint8) {
	e.closed[i] |= why
	e.open(i)
}

func (e *engine) reopen(i int, why uint8) {
	e.closed[i] &^= why
	e.open(i)
}

// push and pop keep endings as a heap by time; equal times go by number of the run.

func earlier(a, b ending) bool { return a.at < b.at || a.at == b.at && a.run < b.run }

func (e *engine) push(x ending) {
	e.endings = append(e.endings, x)
	h := e.endings
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !earlier(x, h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = x
}

func (e *engine) pop() ending {
	h := e.endings
	top, x := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	for i := 0; len(h) > 0; {
		child := 2*i + 1
		if child < len(h)-1 && earlier(h[child+1], h[child]) {
			child++
		}
		if child >= len(h) || !earlier(h[child], x) {
			h[i] = x
			break
		}
		h[i] = h[child]
		i = child
	}
	e.endings = h
	return top
}
