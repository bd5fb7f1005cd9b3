package classify

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/classify/quant"
)

// cheapest tries all assignments.
func cheapest(cost []int64, n, row int, used []bool) int64 {
	if row == n {
		return 0
	}
	var best int64
	first := true
	for c := range n {
		if used[c] {
			continue
		}
		used[c] = true
		if sum := cost[row*n+c] + cheapest(cost, n, row+1, used); first || sum < best {
			best, first = sum, false
		}
		used[c] = false
	}
	return best
}

func TestAssignIsOptimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		cost := rapid.SliceOfN(rapid.Int64Range(-20, 20), n*n, n*n).Draw(t, "cost")
		var sum int64
		seen := map[int]bool{}
		for r, c := range assign(cost, n) {
			sum += cost[r*n+c]
			require.False(t, seen[c])
			seen[c] = true
		}
		require.Equal(t, cheapest(cost, n, 0, make([]bool, n)), sum)
	})
}

func TestIdentities(t *testing.T) {
	for _, c := range []struct {
		name   string
		before []uint32
		after  []int32
		k      int
		next   uint32
		want   []uint32
		then   uint32
	}{
		{"the first model", []uint32{0, 0, 0}, []int32{1, 0, 1}, 2, 0, []uint32{1, 2}, 3},
		{"labels exchanged", []uint32{1, 1, 2, 2}, []int32{1, 1, 0, 0}, 2, 3, []uint32{2, 1}, 3},
		{"half of either is enough", []uint32{7, 7, 7, 7}, []int32{0, 0, 1, 1}, 2, 8, []uint32{7, 8}, 9},
		{"less is another class", []uint32{7, 7, 7, 7, 7}, []int32{0, 0, 1, 1, 2}, 3, 8, []uint32{8, 9, 10}, 11},
		{"a class that went is not used again", []uint32{1, 1, 2, 2}, []int32{0, 0, 0, 0}, 1, 3, []uint32{1}, 3},
		{"an empty component", []uint32{4, 4}, []int32{1, 1}, 2, 9, []uint32{9, 4}, 10},
		{"newcomers count", []uint32{5, 0, 0}, []int32{0, 0, 0}, 1, 6, []uint32{6}, 7},
		{"next is above all that are in use", []uint32{50, 0}, []int32{0, 1}, 2, 1, []uint32{50, 51}, 52},
	} {
		ids, next := Identities(c.before, c.after, c.k, c.next)
		require.Equal(t, c.want, ids, c.name)
		require.Equal(t, c.then, next, c.name)
	}
}

// Whatever the models, an id is given to one component only and a new one was never used.
func TestIdsAreNeverReused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 12
		before := make([]uint32, n)
		next := uint32(1)
		ever := map[uint32]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "refits") {
			k := rapid.IntRange(1, 5).Draw(t, "k")
			after := rapid.SliceOfN(rapid.Int32Range(0, int32(k-1)), n, n).Draw(t, "labels")
			ids, then := Identities(before, after, k, next)
			old, now := map[uint32]bool{}, map[uint32]bool{}
			for _, id := range before {
				old[id] = true
			}
			for _, id := range ids {
				require.NotZero(t, id)
				require.False(t, now[id], "twice")
				now[id] = true
				if !old[id] {
					require.False(t, ever[id], "used before")
				}
				ever[id] = true
				require.Less(t, id, then)
			}
			next = then
			for i, l := range after {
				before[i] = ids[l]
			}
		}
	})
}

func TestMembership(t *testing.T) {
	exists := func(class uint32) bool { return class != 99 }
	sure, unsure := int64(ChangeMargin), int64(ChangeMargin-1)
	for _, c := range []struct {
		name string
		m    Membership
		r    quant.Result
		want Membership
	}{
		{"new node", Membership{}, quant.Result{Class: 3, Margin: 0}, Membership{Class: 3}},
		{"stays", Membership{Class: 3, Candidate: 4}, quant.Result{Class: 3}, Membership{Class: 3}},
		{"first sign", Membership{Class: 3}, quant.Result{Class: 4, Margin: sure}, Membership{Class: 3, Candidate: 4}},
		{"second sign", Membership{Class: 3, Candidate: 4}, quant.Result{Class: 4, Margin: sure}, Membership{Class: 4}},
		{"too near", Membership{Class: 3, Candidate: 4}, quant.Result{Class: 4, Margin: unsure}, Membership{Class: 3}},
		{"another sign", Membership{Class: 3, Candidate: 4}, quant.Result{Class: 5, Margin: sure}, Membership{Class: 3, Candidate: 5}},
		{"its class is no more", Membership{Class: 99}, quant.Result{Class: 5, Margin: unsure}, Membership{Class: 5}},
	} {
		require.Equal(t, c.want, c.m.Next(c.r, exists), c.name)
	}
}
