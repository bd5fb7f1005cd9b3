package match

import "slices"

// Learned is the learning policy: the engine's expected loss over what the chain says of the nodes' outcomes.
type Learned struct {
	Config Config
}

// Match computes the batch.
func (l Learned) Match(snapshot Snapshot, seed Seed) (Batch, error) {
	r, err := l.begin(snapshot, seed)
	if err != nil {
		return Batch{}, err
	}
	return r.run(nil), nil
}

// round is a batch in progress.
type round struct {
	*state
	engine   *Engine
	seed     Seed
	queue    []Pending
	median   uint64 // CPUSingle of the median node
	presence presence
	batch    Batch
	decision Decision
	// partitions are each node's part in a scope, and parts how many there are; made when a job asks for them.
	partitions [ScopeRegion + 1][]int32
	parts      [ScopeRegion + 1]int
	// witness, if set, sees the choice of each item before it is carried out.
	witness func(p *Pending, q *Query, d *Decision, at int)
	// opening, if set, sees each slice before the first of its tasks is placed.
	opening func(p *Pending)
}

// begin puts the snapshot's nodes into an engine: refs are indexes into the state's nodes.
func (l Learned) begin(snapshot Snapshot, seed Seed) (*round, error) {
	st, err := newState(snapshot)
	if err != nil {
		return nil, err
	}
	q, err := queue(snapshot.Pending)
	if err != nil {
		return nil, err
	}
	r := &round{state: st, engine: NewEngine(l.Config), seed: seed, queue: q}
	speeds := make([]uint64, 0, len(st.nodes))
	l.probation(st)
	for i := range st.nodes {
		if _, err := r.engine.Add(st.nodes[i].Node); err != nil {
			return nil, err
		}
		speeds = append(speeds, max(st.nodes[i].CPUSingle, 1))
	}
	r.engine.Epoch(snapshot.Time)
	for i := range st.nodes {
		st.nodes[i].reliability = int64(r.engine.Chance(Ref(i)) * 1000 >> 32)
	}
	slices.Sort(speeds)
	if len(speeds) > 0 {
		r.median = speeds[len(speeds)/2]
	}
	r.presence.settle(st, snapshot.Residents)
	return r, nil
}

// probation gives nodes without an outcome one task at a time, if the policy does.
func (l Learned) probation(st *state) {
	if !l.Config.TryOne {
		return
	}
	for i := range st.nodes {
		st.nodes[i].Probation = st.nodes[i].Probation || st.nodes[i].Stats.untried()
	}
}

// run serves the queue; it stops behind a slice for which until returns true.
func (r *round) run(until func(p *Pending) bool) Batch {
	most := int(r.params.MaxItems)
	for i := range r.queue {
		p := &r.queue[i]
		full := len(r.batch.Items) >= most
		left, reason := p.Count, Reason(0)
		if !full {
			if r.opening != nil {
				r.opening(p)
			}
			left, reason, full = r.place(p)
		}
		if left > 0 {
			u := Unmatched{Job: p.Job, Slice: p.Slice, Tasks: left, Full: full}
			if !u.Full {
				u.Reasons = r.explain(p, reason)
			}
			r.batch.Unmatched = append(r.batch.Unmatched, u)
		}
		if until != nil && until(p) {
			break
		}
	}
	return r.batch
}

// query is what a slice asks of the engine.
func (r *round) query(p *Pending) *Query {
	w := &p.Wishes
	q := &Query{
		Job: p.Job, Number: p.First, Task: p.Task, Work: w.Work, FailureCost: w.FailureCost, LatencyPrice: w.LatencyPrice,
		Place: w.Place, Runners: runnersUp, needs: r.needs(p),
	}
	if q.Work == 0 {
		q.Work = mulDiv(min(p.MaxDuration, 1<<31), min(r.median, 1<<31), 2)
	}
	if q.FailureCost == 0 {
		q.FailureCost = p.TaskBudget
	}
	return q
}

const (
	// runnersUp are kept of each item: exploration draws from them, and people are shown them.
	runnersUp = explored
	// atOnce is how many nodes one decision fills where nothing but capacity depends on the nodes before.
	atOnce = 32
)

// runners is how many runners-up the next decision keeps.
func (r *round) runners(p *Pending, left uint32) int {
	if !p.independent() {
		return runnersUp
	}
	return runnersUp + int(min(left, atOnce)) - 1
}

// independent reports whether a task of the slice on one node makes no difference to the loss of other nodes.
func (p *Pending) independent() bool {
	w := &p.Wishes
	return (w.Spread == ScopeNone || w.Spread == ScopeNode) && w.PerOwner == 0 && len(w.Affinity) == 0
}

// next moves on to the choice behind the one at, which the last item took, and draws from there for the task with the
// given number. It returns false if a new decision might find something else: when the choices run out, when exploration
// has jumped ahead, or when a node is not as full or as free as it should be.
func (r *round) next(p *Pending, q *Query, l *layout, at int, number uint32) bool {
	d := &r.decision
	complete := len(d.Choices) <= q.Runners
	if d.Taken != at || !p.independent() || at+1 >= len(d.Choices) || (at+1+runnersUp >= len(d.Choices) && !complete) ||
		len(r.batch.Items) == int(r.params.MaxItems) || !r.full(p, l, d.Choices[at].Ref) {
		return false
	}
	if r.engine.cfg.Mode == ModeThompson {
		d.Taken = at + 1
	} else {
		d.explore(r.engine.cfg, newKey(r.seed, p.Job, number), at+1)
	}
	for _, c := range d.Choices[at+1 : min(at+2+runnersUp, len(d.Choices))] {
		if r.full(p, l, c.Ref) { // its owner's balance went to another node
			return false
		}
	}
	return true
}

// full reports whether a node that was among the choices takes no more tasks of the slice.
func (r *round) full(p *Pending, l *layout, ref Ref) bool {
	n := &r.nodes[ref]
	o, _ := r.offer(n, p)
	room, _ := r.room(n, p.Task, o)
	return room == 0 || l.allowance(ref) == 0
}

// place gives the tasks of one slice to nodes and returns how many are left, why if the slice as a whole forbids what was
// found, and whether the batch was full before all nodes were tried.
func (r *round) place(p *Pending) (left uint32, reason Reason, full bool) {
	l := r.newLayout(p)
	q := r.query(p)
	q.Accept = func(ref Ref, _ *Node) bool { return l.accepts(ref) }
	if l.soft() {
		q.Penalty = func(ref Ref, _ *Node) uint64 { return l.penalty(ref) }
	}
	from, first := len(r.batch.Items), p.First
	left = p.Count
	for left > 0 && len(r.batch.Items) < int(r.params.MaxItems) {
		q.Number = first
		q.Runners = r.runners(p, left)
		if !r.engine.Decide(q, r.seed, &r.decision) {
			if l.relax() {
				continue
			}
			break
		}
		for at := 0; ; at++ {
			ref := r.decision.Best().Ref
			n := &r.nodes[ref]
			o, _ := r.offer(n, p)
			room, _ := r.room(n, p.Task, o)
			count := uint32(min(room, uint64(left), uint64(r.params.MaxSliceTasks), uint64(l.allowance(ref))))
			if r.witness != nil {
				r.witness(p, q, &r.decision, at)
			}
			r.give(p, ref, o, first, count)
			l.placed(ref)
			first += count
			left -= count
			if left == 0 || !r.next(p, q, l, at, first) {
				break
			}
		}
	}
	l.done()
	full = left > 0 && len(r.batch.Items) == int(r.params.MaxItems)
	if left > 0 && p.Wishes.Gang {
		r.takeBack(p, from)
		return p.Count, ReasonGang, full
	}
	return left, 0, full
}

// offer is what a node asks for a task of p, or the first lasting reason against it.
func (r *round) offer(n *nodeState, p *Pending) (offer, Reason) {
	price, ok := TaskHourPrice(n.Prices, p.Task)
	return r.rules(n, p, quote{price: price, ok: ok})
}

// give adds an item and reserves what it takes.
func (r *round) give(p *Pending, ref Ref, o offer, first, count uint32) {
	n := &r.nodes[ref]
	item := Item{Job: p.Job, Slice: p.Slice, First: first, Count: count, Node: n.ID, NodeIndex: n.Index, Price: o.price}
	for _, c := range r.decision.Choices {
		if c.Ref != ref {
			item.Runners = append(item.Runners, r.nodes[c.Ref].Index)
		}
	}
	r.batch.Items = append(r.batch.Items, item)
	r.reserve(n, p.Task, o, count)
	n.ports, _ = n.ports.take(p.Ports) // one task: a slice with ports is a replica, and no part of a gang
	r.engine.SetFree(ref, n.Free, n.Running)
	r.presence.add(p.Job, ref, n.Owner, count)
}

// takeBack undoes the items of a slice from the given one on.
func (r *round) takeBack(p *Pending, from int) {
	for _, item := range r.batch.Items[from:] {
		ref, _ := r.engine.Find(item.Node)
		n := &r.nodes[ref]
		o, _ := r.offer(n, p)
		n.Free = n.Free.plus(p.Task, item.Count)
		n.Running -= item.Count
		if o.collateral > 0 {
			r.funds[n.funds].Available += o.collateral * uint64(item.Count)
		}
		r.engine.SetFree(ref, n.Free, n.Running)
		r.presence.drop(p.Job, ref, n.Owner, item.Count)
	}
	r.batch.Items = r.batch.Items[:from]
}

// explain counts the nodes by the reason why they do not take a task of p now; reason, if not zero, is that of the slice
// as a whole and holds for the nodes that would.
func (r *round) explain(p *Pending, reason Reason) []ReasonCount {
	l := r.newLayout(p)
	var counts [len(reasonTexts)]uint32
	for i := range r.nodes {
		why := l.reject(Ref(i))
		if why == 0 {
			why = reason
		}
		counts[why]++
	}
	return listed(counts[:])
}
