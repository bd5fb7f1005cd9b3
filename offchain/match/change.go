package match

import (
	"fmt"
	"slices"
	"strings"
)

// Change is a change of a job that lets nodes in.
type Change struct {
	Reason Reason
	// Nodes that nothing else keeps out.
	Nodes uint32
	// Advice says what to write, for people.
	Advice string
}

// obstacle is a constraint that a node breaks, with what the node has to offer in its place: a number, or a text.
type obstacle struct {
	reason Reason
	number uint64
	text   string
}

// obstacles are all constraints that a node breaks.
func (s *state) obstacles(n *nodeState, p *Pending) []obstacle {
	var out []obstacle
	add := func(broken bool, o obstacle) {
		if broken {
			out = append(out, o)
		}
	}
	c := &p.Constraints
	add(n.Owner == p.Owner, obstacle{reason: ReasonOwnJob})
	add(slices.Contains(p.ExcludedNodes, n.ID), obstacle{reason: ReasonEarlierAttempt})
	add(slices.Contains(p.ExcludedOwners, n.Owner), obstacle{reason: ReasonExcludedOwner})
	add(!allows(c.Regions, n.Region), obstacle{reason: ReasonRegion, text: n.Region})
	add(!allows(c.Datacenters, n.Datacenter), obstacle{reason: ReasonDatacenter, text: n.Datacenter})
	add(!allows(c.Arch, n.Arch), obstacle{reason: ReasonArch, text: n.Arch})
	add(!allows(c.OS, n.OS), obstacle{reason: ReasonOS, text: n.OS})
	add(!n.Runtimes.has(p.Runtime), obstacle{reason: ReasonEngine, number: uint64(p.Runtime)})
	add(p.KeepsVolumes && !slices.Contains(n.Attributes, DiskVolumes), obstacle{reason: ReasonVolumes})
	add(!allows(c.Nodes, n.ID), obstacle{reason: ReasonNotListed})
	add(slices.Contains(c.ExcludeNodes, n.ID), obstacle{reason: ReasonExcluded})
	add(n.CPUSingle < c.MinCPUSingle, obstacle{reason: ReasonSpeed, number: n.CPUSingle})
	for _, want := range c.Attributes {
		add(!slices.Contains(n.Attributes, want), obstacle{reason: ReasonAttribute, text: want.Key + " = " + want.Value})
	}
	add(gradeRank(n.Grade) < gradeRank(p.MinGrade), obstacle{reason: ReasonGrade, text: lackingGrade(n.Grade)})
	add(!n.leaving.stays(p), obstacle{reason: ReasonHours, number: n.leaving.longest(p)})
	_, free := n.ports.take(p.Ports)
	add(!free, obstacle{reason: ReasonPorts})
	price, ok := TaskHourPrice(n.Prices, p.Task)
	if !ok {
		price = ^uint64(0)
	}
	add(price > p.PriceCap, obstacle{reason: ReasonPrice, number: price})
	t, ok := s.params.termsOf(price, p)
	add(!ok || t.need > p.TaskBudget, obstacle{reason: ReasonBudget, number: t.need})
	if where := s.where(p.Where); p.Where != "" {
		facts := s.facts(n, p, price)
		if where.program == nil {
			add(true, obstacle{reason: ReasonWhere, text: where.err.Error()})
		} else {
			for _, part := range where.program.Parts() {
				add(!part.Holds(facts), obstacle{reason: ReasonWhere, text: part.String()})
			}
		}
	}
	add(n.Free.CPUMilli < p.Task.CPUMilli, obstacle{reason: ReasonCPU, number: n.Free.CPUMilli})
	add(n.Free.MemoryMiB < p.Task.MemoryMiB, obstacle{reason: ReasonMemory, number: n.Free.MemoryMiB})
	add(n.Free.StorageMiB < p.Task.StorageMiB, obstacle{reason: ReasonStorage, number: n.Free.StorageMiB})
	add(n.Free.GPUs < p.Task.GPUs, obstacle{reason: ReasonGPU, number: n.Free.GPUs})
	add(n.Probation && n.Running > 0, obstacle{reason: ReasonProbation})
	available := uint64(0)
	if n.funds >= 0 {
		available = s.funds[n.funds].Available
	}
	add(t.collateral > available, obstacle{reason: ReasonCollateral})
	return out
}

func lackingGrade(grade byte) string {
	if grade == 0 {
		return "networks that were not measured"
	}
	return "network grade " + string(grade)
}

// changes finds what would let nodes in that only one constraint keeps out; the change that lets in the most comes first.
func (s *state) changes(p *Pending) []Change {
	type key struct {
		reason Reason
		text   string
	}
	var found []Change
	index := map[key]int{}
	best := map[key]uint64{}
	for i := range s.nodes {
		broken := s.obstacles(&s.nodes[i], p)
		if len(broken) != 1 {
			continue
		}
		o := broken[0]
		k := key{o.reason, o.text}
		at, known := index[k]
		if !known {
			at = len(found)
			index[k], best[k] = at, o.number
			found = append(found, Change{Reason: o.reason})
		}
		found[at].Nodes++
		if o.reason == ReasonPrice || o.reason == ReasonBudget {
			best[k] = min(best[k], o.number)
		} else {
			best[k] = max(best[k], o.number)
		}
		found[at].Advice = advice(o.reason, o.text, best[k])
	}
	slices.SortStableFunc(found, func(a, b Change) int {
		if a.Nodes != b.Nodes {
			return int(b.Nodes) - int(a.Nodes)
		}
		if a.Reason != b.Reason {
			return int(a.Reason) - int(b.Reason)
		}
		return strings.Compare(a.Advice, b.Advice)
	})
	return found
}

// advice says what to change. Of numbers it names the one that lets in the nearest node.
func advice(r Reason, text string, number uint64) string {
	switch r {
	case ReasonRegion:
		return fmt.Sprintf("allow region %q", text)
	case ReasonDatacenter:
		return fmt.Sprintf("allow datacenter %q", text)
	case ReasonArch:
		return fmt.Sprintf("allow architecture %s", text)
	case ReasonOS:
		return fmt.Sprintf("allow operating system %s", text)
	case ReasonEngine:
		if Runtime(number) == RuntimeDocker {
			return "build the program as a WebAssembly module (engine: wasm)"
		}
		return "build the program as a container image (engine: docker)"
	case ReasonVolumes:
		return "say keep_volumes: false, if each revision may begin with empty volumes"
	case ReasonNotListed:
		return "name more nodes, or none"
	case ReasonExcluded:
		return "exclude fewer nodes"
	case ReasonAttribute:
		return fmt.Sprintf("do not ask for %s", text)
	case ReasonSpeed:
		return fmt.Sprintf("lower min_cpu_single to %d", number)
	case ReasonGrade:
		return fmt.Sprintf("be content with %s", text)
	case ReasonHours:
		if number == 0 {
			return "wait: the nodes are announced to be offline soon, or for much of the week"
		}
		return fmt.Sprintf("lower max_duration to %d s: the nodes are announced to be offline afterwards", number)
	case ReasonPorts:
		return "ask for fewer ports, or for any in the place of static ones"
	case ReasonPrice:
		return fmt.Sprintf("raise the price cap to %d ufog per task-hour", number)
	case ReasonBudget:
		return fmt.Sprintf("a task needs %d ufog: submit it with a higher price cap or a longer max_duration", number)
	case ReasonCPU:
		return fmt.Sprintf("ask for at most %d thousandths of a vCPU", number)
	case ReasonMemory:
		return fmt.Sprintf("ask for at most %d MiB of memory", number)
	case ReasonStorage:
		return fmt.Sprintf("ask for at most %d MiB of storage", number)
	case ReasonGPU:
		return fmt.Sprintf("ask for at most %d GPUs", number)
	case ReasonWhere:
		return fmt.Sprintf("drop the condition %s", text)
	case ReasonProbation:
		return "wait: the nodes are new and take one task at a time"
	case ReasonCollateral:
		return "wait: the nodes' owners must deposit collateral"
	}
	return "nothing: the job itself rules the nodes out"
}
