package match

import (
	"fmt"
	"slices"
)

// stays reports whether a node is not announced to be offline before a task of p would be done with it.
func (l Leaving) stays(p *Pending) bool {
	return p.Stay <= l.In && !(p.Service && l.NoServices)
}

// longest is the longest MaxDuration of batch work, all else being as it is, that a node would stay for; zero for services.
func (l Leaving) longest(p *Pending) uint64 {
	if beside := p.Stay - min(p.Stay, p.MaxDuration); !p.Service && l.In > beside {
		return l.In - beside
	}
	return 0
}

// sortLeaving copies and sorts what a snapshot says of nodes that leave.
func sortLeaving(leaving []Leaving) ([]Leaving, error) {
	sorted := slices.Clone(leaving)
	slices.SortFunc(sorted, func(a, b Leaving) int { return compareIDs(a.Node, b.Node) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Node == sorted[i-1].Node {
			return nil, fmt.Errorf("match: node %s is announced to be offline twice", sorted[i].Node)
		}
	}
	return sorted, nil
}

func leavingOf(sorted []Leaving, node ID) Leaving {
	at, found := slices.BinarySearchFunc(sorted, node, func(l Leaving, id ID) int { return compareIDs(l.Node, id) })
	if !found {
		return Leaving{In: ^uint64(0)}
	}
	return sorted[at]
}
