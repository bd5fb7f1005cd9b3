package match

import (
	"fmt"
	"slices"
)

// Reason is why a node does not take a task: the first constraint that it breaks, in the order of this list.
type Reason uint8

// The reasons. Those up to ReasonBudget, ReasonWhere, ReasonEngine, ReasonGrade and ReasonVolumes do not pass while job and node stay as they are.
const (
	ReasonOwnJob         Reason = iota + 1 // the node belongs to the job's owner
	ReasonEarlierAttempt                   // the node had an earlier attempt
	ReasonExcludedOwner                    // the node's owner ran the tasks before
	ReasonRegion
	ReasonDatacenter
	ReasonArch
	ReasonOS
	ReasonNotListed // the job names other nodes
	ReasonExcluded  // the job excludes the node
	ReasonAttribute
	ReasonSpeed
	ReasonPrice
	ReasonBudget // the locked budget is too small at this price
	ReasonCPU
	ReasonMemory
	ReasonStorage
	ReasonGPU
	ReasonProbation  // the node takes one task at a time and has one
	ReasonCollateral // the owner's free balance is too small
	ReasonWhere      // breaks the job's own condition; checked after ReasonBudget
	ReasonAffinity   // runs, or does not run, another job
	ReasonLimit      // the most tasks of the job on the node or its owner's nodes are reached
	ReasonGang       // not all tasks of the gang would run at once
	ReasonEngine     // does not run the job's engine; lasting, and checked after ReasonOS
	ReasonGrade      // the network's grade is too low; lasting, and checked before ReasonAttribute
	ReasonPorts      // ports are not free; checked before ReasonPrice
	ReasonHours      // announced to be offline before the task would be done; checked after ReasonGrade
	ReasonVolumes    // has no disk for volumes that must outlive updates; lasting, and checked after ReasonEngine
)

var reasonTexts = [...]string{
	ReasonOwnJob:         "belongs to the job's owner",
	ReasonEarlierAttempt: "had an earlier attempt",
	ReasonExcludedOwner:  "its owner ran the tasks before",
	ReasonRegion:         "region not asked for",
	ReasonDatacenter:     "datacenter not asked for",
	ReasonArch:           "architecture not asked for",
	ReasonOS:             "operating system not asked for",
	ReasonNotListed:      "not among the nodes named",
	ReasonExcluded:       "excluded by the job",
	ReasonAttribute:      "lacks an attribute",
	ReasonSpeed:          "slower than min_cpu_single",
	ReasonPrice:          "asks more than the price cap",
	ReasonBudget:         "costs more than the budget left",
	ReasonCPU:            "too little CPU free",
	ReasonMemory:         "too little memory free",
	ReasonStorage:        "too little storage free",
	ReasonGPU:            "too few GPUs free",
	ReasonProbation:      "new, takes one task at a time",
	ReasonCollateral:     "its owner's balance does not cover the collateral",
	ReasonWhere:          "breaks the job's condition",
	ReasonAffinity:       "runs, or does not run, the job of an affinity",
	ReasonLimit:          "has as many tasks of the job as the job allows",
	ReasonGang:           "has no room for the whole gang",
	ReasonEngine:         "does not run the job's engine",
	ReasonGrade:          "network not good enough",
	ReasonPorts:          "ports not free",
	ReasonHours:          "announced to be offline before it would be done",
	ReasonVolumes:        "has no disk for volumes",
}

// String says the reason of a node.
func (r Reason) String() string {
	if int(r) < len(reasonTexts) && r > 0 {
		return reasonTexts[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// offer is what a node asks for one task.
type offer struct {
	price      uint64
	collateral uint64
}

// rules returns what the node asks, or the first lasting reason against it.
func (s *state) rules(n *nodeState, p *Pending, q quote) (offer, Reason) {
	c := &p.Constraints
	switch {
	case n.Owner == p.Owner:
		return offer{}, ReasonOwnJob
	case slices.Contains(p.ExcludedNodes, n.ID):
		return offer{}, ReasonEarlierAttempt
	case slices.Contains(p.ExcludedOwners, n.Owner):
		return offer{}, ReasonExcludedOwner
	case !allows(c.Regions, n.Region):
		return offer{}, ReasonRegion
	case !allows(c.Datacenters, n.Datacenter):
		return offer{}, ReasonDatacenter
	case !allows(c.Arch, n.Arch):
		return offer{}, ReasonArch
	case !allows(c.OS, n.OS):
		return offer{}, ReasonOS
	case !n.Runtimes.has(p.Runtime):
		return offer{}, ReasonEngine
	case p.KeepsVolumes && !slices.Contains(n.Attributes, DiskVolumes):
		return offer{}, ReasonVolumes
	case !allows(c.Nodes, n.ID):
		return offer{}, ReasonNotListed
	case slices.Contains(c.ExcludeNodes, n.ID):
		return offer{}, ReasonExcluded
	case n.CPUSingle < c.MinCPUSingle:
		return offer{}, ReasonSpeed
	case gradeRank(n.Grade) < gradeRank(p.MinGrade):
		return offer{}, ReasonGrade
	case !n.leaving.stays(p):
		return offer{}, ReasonHours
	}
	for _, want := range c.Attributes {
		if !slices.Contains(n.Attributes, want) {
			return offer{}, ReasonAttribute
		}
	}
	if _, free := n.ports.take(p.Ports); !free {
		return offer{}, ReasonPorts
	}
	if !q.ok || q.price > p.PriceCap {
		return offer{}, ReasonPrice
	}
	t, ok := s.params.termsOf(q.price, p)
	if !ok || t.need > p.TaskBudget {
		return offer{}, ReasonBudget
	}
	if p.Where != "" && !s.where(p.Where).holds(s.facts(n, p, q.price)) {
		return offer{}, ReasonWhere
	}
	return offer{price: q.price, collateral: t.collateral}, 0
}

// allows reports whether a list of the job allows a value of the node.
func allows[T comparable](list []T, value T) bool {
	return len(list) == 0 || slices.Contains(list, value)
}

// room is how many tasks fit in what the node has free, or the first reason against one.
func (n *Node) room(task Resources) (uint64, Reason) {
	most := ^uint64(0)
	for _, r := range [...]struct {
		free, need uint64
		reason     Reason
	}{
		{n.Free.CPUMilli, task.CPUMilli, ReasonCPU},
		{n.Free.MemoryMiB, task.MemoryMiB, ReasonMemory},
		{n.Free.StorageMiB, task.StorageMiB, ReasonStorage},
		{n.Free.GPUs, task.GPUs, ReasonGPU},
	} {
		if r.need > r.free {
			return 0, r.reason
		}
		if r.need > 0 {
			most = min(most, r.free/r.need)
		}
	}
	if n.Probation {
		if n.Running > 0 {
			return 0, ReasonProbation
		}
		most = min(most, 1)
	}
	return most, 0
}

// room is how many tasks the node can take and its owner can cover now, or the first reason against one.
func (s *state) room(n *nodeState, task Resources, o offer) (uint64, Reason) {
	most, reason := n.room(task)
	if reason != 0 {
		return 0, reason
	}
	if o.collateral > 0 {
		available := uint64(0)
		if n.funds >= 0 {
			available = s.funds[n.funds].Available
		}
		if o.collateral > available {
			return 0, ReasonCollateral
		}
		most = min(most, available/o.collateral)
	}
	return most, 0
}

// minus is r without the amounts of count tasks.
func (r Resources) minus(task Resources, count uint32) Resources {
	tasks := uint64(count)
	return Resources{
		CPUMilli: r.CPUMilli - task.CPUMilli*tasks, MemoryMiB: r.MemoryMiB - task.MemoryMiB*tasks,
		StorageMiB: r.StorageMiB - task.StorageMiB*tasks, GPUs: r.GPUs - task.GPUs*tasks,
	}
}

// plus is r with the amounts of count tasks.
func (r Resources) plus(task Resources, count uint32) Resources {
	tasks := uint64(count)
	return Resources{
		CPUMilli: r.CPUMilli + task.CPUMilli*tasks, MemoryMiB: r.MemoryMiB + task.MemoryMiB*tasks,
		StorageMiB: r.StorageMiB + task.StorageMiB*tasks, GPUs: r.GPUs + task.GPUs*tasks,
	}
}

// reserve takes count tasks, at most what room said, out of what is free.
func (s *state) reserve(n *nodeState, task Resources, o offer, count uint32) {
	n.Free = n.Free.minus(task, count)
	n.Running += count
	if o.collateral > 0 {
		s.funds[n.funds].Available -= o.collateral * uint64(count)
	}
}

// explain counts the nodes by the reason why they do not take a task of p now.
func (s *state) explain(p *Pending) []ReasonCount {
	var counts [len(reasonTexts)]uint32
	quotes := s.shapeOf(p.Task).quotes
	for i := range s.nodes {
		n := &s.nodes[i]
		o, reason := s.rules(n, p, quotes[i])
		if reason == 0 {
			_, reason = s.room(n, p.Task, o)
		}
		counts[reason]++
	}
	return listed(counts[:])
}

// listed are the counts above zero, by reason.
func listed(counts []uint32) []ReasonCount {
	var found []ReasonCount
	for reason, nodes := range counts[1:] {
		if nodes > 0 {
			found = append(found, ReasonCount{Reason: Reason(reason + 1), Nodes: nodes})
		}
	}
	return found
}

// Explain counts the snapshot's nodes by the reason why the policy would not give them a task of p, whatever else is pending.
func (l Learned) Explain(s Snapshot, p Pending) ([]ReasonCount, error) {
	st, err := newState(s)
	if err != nil {
		return nil, err
	}
	l.probation(st)
	return st.explain(&p), nil
}
