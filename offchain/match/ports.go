package match

import (
	"fmt"
	"slices"
)

// NodePorts are the ports of one node.
type NodePorts struct {
	Node  ID
	Ports Ports
}

// Ports are the host ports of a node, From 0 if it has none. Which number the chain gives for a port that may be any is not known before, so
// such ports are only counted: a static one that comes behind in the batch may then be refused there, and waits for the next.
type Ports struct {
	From, To uint32
	// Used are those that something holds, in increasing order.
	Used []uint32
	// any is how many more the batch has given without a number.
	any uint32
}

// take is the ports without those wanted, zero for any; false if they are not free.
func (p Ports) take(wanted []uint32) (Ports, bool) {
	if len(wanted) == 0 {
		return p, true
	}
	if p.From == 0 || uint64(len(wanted))+uint64(len(p.Used))+uint64(p.any) > uint64(p.To-p.From)+1 {
		return p, false
	}
	cloned := false
	for _, port := range wanted {
		if port == 0 {
			p.any++
			continue
		}
		at, used := slices.BinarySearch(p.Used, port)
		if used || port < p.From || port > p.To {
			return p, false
		}
		if !cloned {
			p.Used, cloned = slices.Clone(p.Used), true
		}
		p.Used = slices.Insert(p.Used, at, port)
	}
	return p, true
}

// sortPorts copies and sorts the ports of a snapshot's nodes.
func sortPorts(ports []NodePorts) ([]NodePorts, error) {
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, func(a, b NodePorts) int { return compareIDs(a.Node, b.Node) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Node == sorted[i-1].Node {
			return nil, fmt.Errorf("match: the ports of node %s are given twice", sorted[i].Node)
		}
	}
	return sorted, nil
}

// portsOf are those of a node among sorted ones; the zero value if there are none.
func portsOf(sorted []NodePorts, node ID) Ports {
	at, found := slices.BinarySearchFunc(sorted, node, func(p NodePorts, id ID) int { return compareIDs(p.Node, id) })
	if !found {
		return Ports{}
	}
	return sorted[at].Ports
}

// gradeRank orders the grades of networks; zero is none.
func gradeRank(grade byte) int {
	switch grade {
	case 'A':
		return 3
	case 'B':
		return 2
	case 'C':
		return 1
	}
	return 0
}
