package match

// presence is which jobs run where. Its maps are only looked up, never walked, so their order decides nothing.
type presence struct {
	nodes  map[jobNode]uint32
	owners map[jobOwner]uint32
}

type jobNode struct {
	job ID
	ref Ref
}

type jobOwner struct{ job, owner ID }

// settle takes the residents in; nodes that are not in the snapshot count for nothing.
func (x *presence) settle(s *state, residents []Resident) {
	x.nodes, x.owners = map[jobNode]uint32{}, map[jobOwner]uint32{}
	if len(residents) == 0 {
		return
	}
	refs := make(map[ID]Ref, len(s.nodes))
	for i := range s.nodes {
		refs[s.nodes[i].ID] = Ref(i)
	}
	for _, r := range residents {
		if ref, found := refs[r.Node]; found {
			x.add(r.Job, ref, s.nodes[ref].Owner, r.Tasks)
		}
	}
}

func (x *presence) add(job ID, ref Ref, owner ID, tasks uint32) {
	x.nodes[jobNode{job, ref}] += tasks
	x.owners[jobOwner{job, owner}] += tasks
}

func (x *presence) drop(job ID, ref Ref, owner ID, tasks uint32) {
	x.nodes[jobNode{job, ref}] -= tasks
	x.owners[jobOwner{job, owner}] -= tasks
}

// layout is how the tasks of one slice lie: limits, affinities, spread.
type layout struct {
	r *round
	p *Pending
	// level is the number of tasks of the job that each part may have while tasks are spread.
	level uint32
	// next is the least number of tasks of a part that was refused because of the level.
	next uint32
	// of is each node's part and parts the tasks of the job in each, when tasks are spread wider than over nodes.
	of    []int32
	parts []uint32
	// shut are nodes that have reached the level: closed in the index until it rises.
	shut []Ref
	// barred has a bit for each node that the slice's rules keep out for as long as it is placed: of many tasks, each asks again.
	barred []uint64
}

func (r *round) newLayout(p *Pending) *layout {
	l := &layout{r: r, p: p, level: 1, next: ^uint32(0)}
	if scope := p.Wishes.Spread; scope > ScopeNode && scope <= ScopeRegion {
		l.of, l.parts = r.partition(scope)
		for i := range r.nodes {
			l.parts[l.of[i]] += r.presence.nodes[jobNode{p.Job, Ref(i)}]
		}
	}
	return l
}

// partition numbers the parts of the grid and returns each node's, and a count for each part.
func (r *round) partition(scope Scope) (of []int32, counts []uint32) {
	if r.partitions[scope] == nil {
		numbers := map[string]int32{}
		of = make([]int32, len(r.nodes))
		for i := range r.nodes {
			n := &r.nodes[i]
			name := n.Region
			switch scope {
			case ScopeOwner:
				name = string(n.Owner[:])
			case ScopeDatacenter:
				name = n.Region + "\x00" + n.Datacenter
			}
			number, known := numbers[name]
			if !known {
				number = int32(len(numbers))
				numbers[name] = number
			}
			of[i] = number
		}
		r.partitions[scope], r.parts[scope] = of, len(numbers)
	}
	return r.partitions[scope], make([]uint32, r.parts[scope])
}

// here is the number of tasks of the job in a node's part.
func (l *layout) here(ref Ref) uint32 {
	if l.parts != nil {
		return l.parts[l.of[ref]]
	}
	return l.r.presence.nodes[jobNode{l.p.Job, ref}]
}

// limit is how many more tasks of the job a node may have.
func (l *layout) limit(ref Ref) uint32 {
	most := ^uint32(0)
	w := &l.p.Wishes
	if w.PerNode > 0 {
		most = w.PerNode - min(w.PerNode, l.r.presence.nodes[jobNode{l.p.Job, ref}])
	}
	if w.PerOwner > 0 {
		most = min(most, w.PerOwner-min(w.PerOwner, l.r.presence.owners[jobOwner{l.p.Job, l.r.nodes[ref].Owner}]))
	}
	return most
}

// allowance is how many tasks a node may take in one decision.
func (l *layout) allowance(ref Ref) uint32 {
	most := l.limit(ref)
	if l.p.Wishes.Spread != ScopeNone {
		most = min(most, l.level-l.here(ref))
	}
	return most
}

// reject is the first reason why a node takes no task of the slice, whatever the spread.
func (l *layout) reject(ref Ref) Reason {
	n := &l.r.nodes[ref]
	o, reason := l.r.offer(n, l.p)
	if reason != 0 {
		return reason
	}
	if _, reason = l.r.room(n, l.p.Task, o); reason != 0 {
		return reason
	}
	return l.unwanted(ref)
}

// unwanted is why the job's wishes keep a node out.
func (l *layout) unwanted(ref Ref) Reason {
	for _, a := range l.p.Wishes.Affinity {
		if a.Weight == 0 && l.wrongSide(a, ref) {
			return ReasonAffinity
		}
	}
	if l.limit(ref) == 0 {
		return ReasonLimit
	}
	return 0
}

func (l *layout) wrongSide(a Affinity, ref Ref) bool {
	return (l.r.presence.nodes[jobNode{a.Job, ref}] > 0) == a.Apart
}

// accepts reports whether a node may take a task in this decision. The spread comes first: most nodes that a decision
// looks at fail it.
func (l *layout) accepts(ref Ref) bool {
	if l.p.Wishes.Spread != ScopeNone {
		if here := l.here(ref); here >= l.level {
			l.next = min(l.next, here)
			return false
		}
	}
	if l.barred != nil && l.barred[ref/64]>>(ref%64)&1 == 1 {
		return false
	}
	reason := l.reject(ref)
	if reason > 0 && reason <= ReasonBudget && l.p.Count > manyTasks {
		if l.barred == nil {
			l.barred = make([]uint64, (len(l.r.nodes)+63)/64)
		}
		l.barred[ref/64] |= 1 << (ref % 64)
	}
	return reason == 0
}

// manyTasks are worth a list of the nodes that are barred.
const manyTasks = 16

// relax raises the level to where a refused node might take a task; it returns false if none was refused.
func (l *layout) relax() bool {
	for _, ref := range l.shut {
		l.next = min(l.next, l.here(ref))
	}
	l.done()
	if l.next == ^uint32(0) {
		return false
	}
	l.level, l.next = l.next+1, ^uint32(0)
	return true
}

// placed follows an item: a node that has reached the level leaves the index until the level rises, so that it is not
// looked at again and again.
func (l *layout) placed(ref Ref) {
	w := &l.p.Wishes
	if l.parts != nil {
		items := l.r.batch.Items
		l.parts[l.of[ref]] += items[len(items)-1].Count
	}
	if w.Spread == ScopeNode && l.here(ref) >= l.level || w.Spread == ScopeNone && l.limit(ref) == 0 {
		l.r.engine.SetOpen(ref, false)
		l.shut = append(l.shut, ref)
	}
}

// done opens the nodes that placed has closed.
func (l *layout) done() {
	for _, ref := range l.shut {
		l.r.engine.SetOpen(ref, true)
	}
	l.shut = l.shut[:0]
}

// soft reports whether the slice has anything that penalty looks at.
func (l *layout) soft() bool {
	w := &l.p.Wishes
	if w.Pack > 0 || len(w.Prefer) > 0 {
		return true
	}
	for _, a := range w.Affinity {
		if a.Weight > 0 {
			return true
		}
	}
	return false
}

// penalty is what a node must be better by in ufog, for the wishes that it does not meet.
func (l *layout) penalty(ref Ref) uint64 {
	n := &l.r.nodes[ref]
	w := &l.p.Wishes
	var sum uint64
	add := func(v uint64) { sum += min(v, ^uint64(0)-sum) }
	if w.Pack > 0 && n.Running == 0 {
		add(w.Pack)
	}
	for _, a := range w.Affinity {
		if a.Weight > 0 && l.wrongSide(a, ref) {
			add(a.Weight)
		}
	}
	if len(w.Prefer) > 0 {
		price, _ := TaskHourPrice(n.Prices, l.p.Task)
		facts := l.r.facts(n, l.p, price)
		for _, preference := range w.Prefer {
			if !l.r.where(preference.Where).holds(facts) {
				add(preference.Weight)
			}
		}
	}
	return sum
}
