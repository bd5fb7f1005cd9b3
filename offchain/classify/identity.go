package classify

import (
	"math"

	"github.com/foggrid/fogd/offchain/classify/quant"
)

// KeepIdentity is the least Jaccard index (members of both over members of either) at which a component of a new model is the same class as one of the old.
const KeepIdentity = 0.5

// Identities gives the k components of a new model their class ids. before holds each node's class under the last model, 0 if it had none, after its
// component under the new one. Components and old classes are paired so that the sum of their Jaccard indexes is the greatest (the Hungarian
// method); a pair of at least KeepIdentity keeps the id, all other components get new ones from next on, which has never been used. It returns the ids
// and the next id after them.
func Identities(before []uint32, after []int32, k int, next uint32) ([]uint32, uint32) {
	next = max(1, next)
	var old []uint32
	column := map[uint32]int{}
	for _, id := range before {
		if _, seen := column[id]; id != 0 && !seen {
			column[id] = len(old)
			old = append(old, id)
			next = max(next, id+1)
		}
	}
	n := max(k, len(old))
	both := make([]int64, n*n)
	rows, columns := make([]int64, n), make([]int64, n)
	for i, c := range after {
		rows[c]++
		if id := before[i]; id != 0 {
			columns[column[id]]++
			both[int(c)*n+column[id]]++
		}
	}
	const one = 1 << 32
	cost := make([]int64, n*n)
	for r := range n {
		for c := range n {
			if x := both[r*n+c]; x > 0 {
				cost[r*n+c] = -x * one / (rows[r] + columns[c] - x)
			}
		}
	}
	ids := make([]uint32, k)
	for r, c := range assign(cost, n) {
		if r >= k {
			continue
		}
		if float64(-cost[r*n+c]) >= KeepIdentity*one {
			ids[r] = old[c]
			continue
		}
		ids[r] = next
		next++
	}
	return ids, next
}

// assign returns, for each row of the n×n costs, its column in the assignment of least cost (Kuhn's Hungarian method with potentials, O(n³)).
func assign(cost []int64, n int) []int {
	u, v := make([]int64, n+1), make([]int64, n+1)
	row := make([]int, n+1) // of each column, from 1; 0 is none
	way := make([]int, n+1)
	for r := 1; r <= n; r++ {
		row[0] = r
		at := 0
		least := make([]int64, n+1)
		used := make([]bool, n+1)
		for c := range least {
			least[c] = math.MaxInt64
		}
		for row[at] != 0 {
			used[at] = true
			from, delta, to := row[at], int64(math.MaxInt64), 0
			for c := 1; c <= n; c++ {
				if used[c] {
					continue
				}
				if x := cost[(from-1)*n+c-1] - u[from] - v[c]; x < least[c] {
					least[c], way[c] = x, at
				}
				if least[c] < delta {
					delta, to = least[c], c
				}
			}
			for c := range n + 1 {
				if used[c] {
					u[row[c]] += delta
					v[c] -= delta
				} else {
					least[c] -= delta
				}
			}
			at = to
		}
		for at != 0 {
			row[at] = row[way[at]]
			at = way[at]
		}
	}
	out := make([]int, n)
	for c := 1; c <= n; c++ {
		out[row[c]-1] = c - 1
	}
	return out
}

// Membership is a node's class, and the other one that the last model would have had it in, if any.
type Membership struct {
	Class, Candidate uint32
}

// ChangeMargin is how much likelier another class must be for a node to move there, in Q32 nats: odds of nine to one.
const ChangeMargin = 9437007702

// Next is the membership under a new model, in which the node comes out as r. The node moves to another class when two models running put it there by at least
// ChangeMargin, or at once when it had none or when exists says that its class is no more.
func (m Membership) Next(r quant.Result, exists func(class uint32) bool) Membership {
	switch {
	case r.Class == m.Class:
		return Membership{Class: m.Class}
	case m.Class == 0 || !exists(m.Class):
		return Membership{Class: r.Class}
	case r.Margin < ChangeMargin:
		return Membership{Class: m.Class}
	case r.Class == m.Candidate:
		return Membership{Class: r.Class}
	}
	return Membership{Class: m.Class, Candidate: r.Class}
}
