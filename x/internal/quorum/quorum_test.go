package quorum_test

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/x/internal/quorum"
)

func TestNamed(t *testing.T) {
	for name, c := range map[string]struct {
		quorum uint32
		items  []int
		want   []int
	}{
		"nothing":         {3, nil, []int{}},
		"too few":         {3, []int{1, 2, 1}, []int{}},
		"just enough":     {3, []int{2, 1, 2, 1, 2}, []int{2}},
		"more, in order":  {2, []int{9, 4, 9, 4, 9, 1}, []int{4, 9}},
		"one is a quorum": {1, []int{3, 1, 3}, []int{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, quorum.Named(c.quorum, c.items, cmp.Compare))
		})
	}
}

func TestGroupsKeepTheOrderOfVotes(t *testing.T) {
	type seen struct{ node, figure int }
	items := []seen{{2, 30}, {1, 7}, {2, 10}, {3, 1}, {2, 20}, {1, 5}}
	groups := quorum.Groups(2, items, func(a, b seen) int { return cmp.Compare(a.node, b.node) })
	require.Equal(t, [][]seen{{{1, 7}, {1, 5}}, {{2, 30}, {2, 10}, {2, 20}}}, groups)
}

func TestNamedIsACount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.IntRange(0, 5)).Draw(t, "items")
		q := rapid.Uint32Range(0, 6).Draw(t, "quorum")
		want := []int{}
		for v := range 6 {
			count := 0
			for _, item := range items {
				if item == v {
					count++
				}
			}
			if count > 0 && count >= int(q) {
				want = append(want, v)
			}
		}
		require.Equal(t, want, quorum.Named(q, slices.Clone(items), cmp.Compare))
	})
}
