package match

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// state is what is left while a batch grows. Only reserve changes it.
type state struct {
	params Params
	nodes  []nodeState // by id
	funds  []Funds     // by owner
	shapes map[Resources]*shape
	// conditions by source; what does not compile is kept as an error.
	conditions map[string]condition
}

type nodeState struct {
	Node
	funds int // index into state.funds, -1 if the owner has none
	ports Ports
	// leaving is the zero value with the greatest In for nodes that stay.
	leaving Leaving
	// reliability is the expected share of successes in thousandths, where it is known.
	reliability int64
}

// shape is what the nodes ask for tasks that take the same resources; jobs have few shapes.
type shape struct {
	quotes []quote // one a node
}

// quote is the price of a task-hour; ok is false if there is no such number.
type quote struct {
	price uint64
	ok    bool
}

// shapeOf prices a task on all nodes, once for each shape.
func (s *state) shapeOf(task Resources) *shape {
	if known := s.shapes[task]; known != nil {
		return known
	}
	sh := &shape{quotes: make([]quote, len(s.nodes))}
	for i := range s.nodes {
		n := &s.nodes[i]
		price, ok := TaskHourPrice(n.Prices, task)
		sh.quotes[i] = quote{price: price, ok: ok}
	}
	s.shapes[task] = sh
	return sh
}

// newState copies and sorts the snapshot's nodes, funds and ports, so that their order does not matter.
func newState(s Snapshot) (*state, error) {
	if s.Params.MaxItems == 0 || s.Params.MaxSliceTasks == 0 {
		return nil, fmt.Errorf("match: at most %d items of %d tasks; both must be above zero", s.Params.MaxItems, s.Params.MaxSliceTasks)
	}
	st := &state{
		params: s.Params, funds: slices.Clone(s.Funds), nodes: make([]nodeState, len(s.Nodes)), shapes: map[Resources]*shape{},
		conditions: map[string]condition{},
	}
	slices.SortFunc(st.funds, func(a, b Funds) int { return compareIDs(a.Owner, b.Owner) })
	for i := 1; i < len(st.funds); i++ {
		if st.funds[i].Owner == st.funds[i-1].Owner {
			return nil, fmt.Errorf("match: the funds of owner %s are given twice", st.funds[i].Owner)
		}
	}
	ports, err := sortPorts(s.Ports)
	if err != nil {
		return nil, err
	}
	leaving, err := sortLeaving(s.Leaving)
	if err != nil {
		return nil, err
	}
	for i, n := range s.Nodes {
		at, found := slices.BinarySearchFunc(st.funds, n.Owner, func(f Funds, owner ID) int { return compareIDs(f.Owner, owner) })
		if !found {
			at = -1
		}
		st.nodes[i] = nodeState{Node: n, funds: at, ports: portsOf(ports, n.ID), leaving: leavingOf(leaving, n.ID)}
	}
	slices.SortFunc(st.nodes, func(a, b nodeState) int { return compareIDs(a.ID, b.ID) })
	for i := 1; i < len(st.nodes); i++ {
		if st.nodes[i].ID == st.nodes[i-1].ID {
			return nil, fmt.Errorf("match: node %s is given twice", st.nodes[i].ID)
		}
	}
	return st, nil
}

// queue returns the pending slices in the order in which they are served: first come first served, then by id.
func queue(pending []Pending) ([]Pending, error) {
	q := slices.Clone(pending)
	slices.SortFunc(q, func(a, b Pending) int {
		return cmp.Or(cmp.Compare(a.Height, b.Height), compareIDs(a.Job, b.Job), cmp.Compare(a.Slice, b.Slice))
	})
	type key struct {
		job   ID
		slice uint32
	}
	seen := make(map[key]bool, len(q))
	for _, p := range q {
		k := key{p.Job, p.Slice}
		switch {
		case seen[k]:
			return nil, fmt.Errorf("match: slice %d of job %s is given twice", p.Slice, p.Job)
		case p.Count == 0 || p.First > ^uint32(0)-p.Count:
			return nil, fmt.Errorf("match: slice %d of job %s has %d tasks from %d", p.Slice, p.Job, p.Count, p.First)
		}
		seen[k] = true
	}
	return q, nil
}

func compareIDs(a, b ID) int { return bytes.Compare(a[:], b[:]) }
