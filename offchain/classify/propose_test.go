package classify

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func classes(p *Proposal) []uint32 {
	out := make([]uint32, len(p.Results))
	for i, r := range p.Results {
		out[i] = r.Class
	}
	return out
}

// A first model, then refits as machines change a little, come and go, and at last all double their speed.
func TestProposeOverTime(t *testing.T) {
	nodes, truth := fleet(1500, 9)
	src := SplitMix64(5)
	propose := func(nodes []Node, last *Last) *Proposal {
		p, err := Propose(context.Background(), Nodes(nodes), NodeFeatures(), last, ProposeOptions{Classes: Range{From: 3, To: 6}}, &src)
		require.NoError(t, err)
		return p
	}
	first := propose(nodes, nil)
	require.True(t, first.Fresh)
	class := map[int]uint32{}
	for i, r := range first.Results {
		if class[truth[i]] == 0 {
			class[truth[i]] = r.Class
		}
	}
	require.Len(t, class, 4)

	// An hour later: the first hundred are gone, a hundred are new, and prices have moved.
	more, _ := fleet(1600, 9)
	now := append([]Node(nil), more[100:]...)
	for i := range now {
		now[i].Price += now[i].Price / 200
	}
	before := slices.Concat(classes(first)[100:], make([]uint32, 100))
	second := propose(now, &Last{first.Model, before, first.Next})
	require.False(t, second.Fresh)
	require.Equal(t, first.Next, second.Next, "no class is new")
	same := 0
	for i, c := range classes(second) {
		if c == before[i] {
			same++
		}
	}
	require.Greater(t, same, 1380, "of 1400 that were there")
	v, err := Judge(context.Background(), second.Model, Nodes(now), NodeFeatures(), nil, &src)
	require.NoError(t, err)
	require.True(t, v.Accept, v.Reason)

	for i := range now {
		now[i].CPUSingle *= 2
	}
	third := propose(now, &Last{second.Model, classes(second), second.Next})
	require.True(t, third.Fresh, "the scaling of the last model serves no more")

	_, err = Propose(context.Background(), Nodes(now), NodeFeatures(), &Last{}, ProposeOptions{}, &src)
	require.ErrorContains(t, err, "those of 0 rows and the table has 1500")
}

// The first machines of a grid: few, and of which little is known.
func TestProposeForFewMachines(t *testing.T) {
	nodes, _ := fleet(5, 2)
	nodes[0] = Node{}
	src := SplitMix64(1)
	for n := 1; n <= len(nodes); n++ {
		p, err := Propose(context.Background(), Nodes(nodes[:n]), NodeFeatures(), nil, ProposeOptions{}, &src)
		require.NoError(t, err)
		require.Len(t, p.Results, n)
		again, err := Propose(context.Background(), Nodes(nodes[:n]), NodeFeatures(), &Last{p.Model, classes(p), p.Next}, ProposeOptions{}, &src)
		require.NoError(t, err)
		require.Equal(t, classes(p), classes(again))
		v, err := Judge(context.Background(), again.Model, Nodes(nodes[:n]), NodeFeatures(), nil, &src)
		require.NoError(t, err)
		require.True(t, v.Accept, v.Reason)
	}
}
