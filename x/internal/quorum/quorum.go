// Package quorum counts what observers name in merge rounds: an item that a quorum named is a fact, whatever the others named.
package quorum

import "slices"

// Groups sorts items in place, keeping the order of equal ones, and returns those runs of equal items that have at least quorum members,
// in order. An observer names an item at most once, which the form of its vote ensures; a quorum of zero counts as one.
func Groups[T any](quorum uint32, items []T, compare func(a, b T) int) [][]T {
	slices.SortStableFunc(items, compare)
	var out [][]T
	for len(items) > 0 {
		n := 1
		for n < len(items) && compare(items[n], items[0]) == 0 {
			n++
		}
		if n >= int(quorum) {
			out = append(out, items[:n:n])
		}
		items = items[n:]
	}
	return out
}

// Named sorts items in place and returns, in order, one of each that is there at least quorum times.
func Named[T any](quorum uint32, items []T, compare func(a, b T) int) []T {
	groups := Groups(quorum, items, compare)
	out := make([]T, len(groups))
	for i, g := range groups {
		out[i] = g[0]
	}
	return out
}
