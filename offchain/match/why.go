package match

import "fmt"

// Why says how a policy came to what it did with a slice.
type Why struct {
	// Policy is the version that decided.
	Policy string
	// Decisions that gave tasks of the slice to nodes, in order.
	Decisions []WhyDecision
	// Waiting is nil if all tasks found a node.
	Waiting *WhyWaiting
}

// WhyDecision is one item with the nodes that were near.
type WhyDecision struct {
	Item Item
	// Considered are the node that was taken and the next best ones, the best first, then the nodes that were asked for.
	Considered []Considered
	// Explored is true if a runner-up was taken to learn about it.
	Explored bool
}

// Considered is a node with its expected loss in ufog, or with the reason why it was out of the question.
type Considered struct {
	Node ID
	// Reason is zero if the node could have taken the task.
	Reason Reason
	// Loss is Run + Failure + Latency + Penalty: what the run costs on a core of the speed that the node delivers, what
	// its failures cost, what its distance costs, and what the wishes that it does not meet weigh.
	Loss, Run, Failure, Latency, Penalty uint64
	// Reliability is the chance of success that was used, in thousandths.
	Reliability uint32
	// Propensity is the chance of the node to be taken in this decision, in millionths; zero where it is not known.
	Propensity uint32
}

// WhyWaiting says what keeps tasks from running.
type WhyWaiting struct {
	Unmatched
	// Conditions are the parts of the job's own condition with the number of nodes that do not meet them.
	Conditions []ConditionCount
	// Changes of the job that would each by itself let nodes in.
	Changes []Change
}

// ConditionCount is a part of a job's condition.
type ConditionCount struct {
	Condition string
	Nodes     uint32
}

// Why runs the policy again up to a slice of a job and tells how it came to what it did; of the nodes asked for it tells
// what kept each from being taken. The error is for a slice that is not pending, or a node that is not in the snapshot.
func (l Learned) Why(snapshot Snapshot, seed Seed, job ID, slice uint32, nodes ...ID) (Why, error) {
	r, err := l.begin(snapshot, seed)
	if err != nil {
		return Why{}, err
	}
	refs := make([]Ref, 0, len(nodes))
	for _, id := range nodes {
		ref, found := r.engine.Find(id)
		if !found {
			return Why{}, fmt.Errorf("match: node %s is not among the active nodes", id)
		}
		refs = append(refs, ref)
	}
	out := Why{Policy: l.Version()}
	is := func(p *Pending) bool { return p.Job == job && p.Slice == slice }
	r.witness = func(p *Pending, q *Query, d *Decision, at int) {
		if is(p) {
			out.Decisions = append(out.Decisions, r.tell(p, q, d, at, refs))
		}
	}
	found := false
	batch := r.run(func(p *Pending) bool {
		if is(p) {
			found = true
			out.Waiting = r.waiting(p, job, slice)
		}
		return found
	})
	if !found {
		return Why{}, fmt.Errorf("match: slice %d of job %s is not pending", slice, job)
	}
	// A gang that was taken back has decisions and no items.
	items := out.Decisions[:0]
	for _, item := range batch.Items {
		if item.Job == job && item.Slice == slice {
			d := out.Decisions[len(items)]
			d.Item = item
			items = append(items, d)
		}
	}
	out.Decisions = items
	return out, nil
}

// tell turns a decision into what people read.
func (r *round) tell(p *Pending, q *Query, d *Decision, at int, asked []Ref) WhyDecision {
	out := WhyDecision{Explored: d.Taken != at}
	for i := at; i < min(at+1+runnersUp, len(d.Choices)); i++ { // those before are full by now
		out.Considered = append(out.Considered, r.consideredOf(&d.Choices[i], d.Shift))
	}
	l := r.newLayout(p)
	for _, ref := range asked {
		if reason := l.reject(ref); reason != 0 {
			out.Considered = append(out.Considered, Considered{Node: r.nodes[ref].ID, Reason: reason})
			continue
		}
		if c, shift, ok := r.engine.Evaluate(q, r.seed, ref); ok {
			out.Considered = append(out.Considered, r.consideredOf(&c, shift))
		}
	}
	return out
}

func (r *round) consideredOf(c *Choice, shift int) Considered {
	ufog := func(v uint64) uint64 {
		if shift >= 0 {
			return v >> shift
		}
		return v << -shift
	}
	return Considered{
		Node: r.nodes[c.Ref].ID, Loss: ufog(c.Loss), Run: ufog(c.Run), Failure: ufog(c.Failure), Latency: ufog(c.Latency),
		Penalty: ufog(c.Penalty), Reliability: uint32(c.P * 1000 >> 32), Propensity: uint32(c.Propensity * 1_000_000 >> 32),
	}
}

// waiting is what keeps the rest of a slice from running, nil if nothing is left.
func (r *round) waiting(p *Pending, job ID, slice uint32) *WhyWaiting {
	last := len(r.batch.Unmatched) - 1
	if last < 0 || r.batch.Unmatched[last].Job != job || r.batch.Unmatched[last].Slice != slice {
		return nil
	}
	out := &WhyWaiting{Unmatched: r.batch.Unmatched[last]}
	out.Conditions, out.Changes = r.conditionCounts(p), r.changes(p)
	return out
}

// conditionCounts tells how many nodes fail each part of the job's condition.
func (s *state) conditionCounts(p *Pending) []ConditionCount {
	c := s.where(p.Where)
	if p.Where == "" || c.program == nil {
		return nil
	}
	parts := c.program.Parts()
	out := make([]ConditionCount, len(parts))
	for k, part := range parts {
		out[k].Condition = part.String()
		for i := range s.nodes {
			n := &s.nodes[i]
			price, _ := TaskHourPrice(n.Prices, p.Task)
			if !part.Holds(s.facts(n, p, price)) {
				out[k].Nodes++
			}
		}
	}
	return out
}
