package match

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A node that meets constraints and condition is never passed over for its words, nor is a block that holds it.
func TestNeedsFollowFromConstraints(t *testing.T) {
	wheres := []string{
		"", `region in ["r1", "r2"]`, `gpu_model == "g3" && cpu_single > 0`, `attr.k1 && arch == "a1"`, `attr.k1 == false || os == "o1"`,
		`"o2" == os && attr.k2 == "v"`, `attr.k1 == false && !(region == "r1")`,
	}
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		word := func(kind string, most int) string { return kind + strconv.Itoa(rng.IntN(most)) }
		p := Pending{PriceCap: 1 << 40, TaskBudget: 1 << 40, MaxDuration: 60, Where: rapid.SampledFrom(wheres).Draw(t, "where")}
		c := &p.Constraints
		if rng.IntN(2) == 0 {
			c.Regions = []string{word("r", 4), word("r", 4)}
		}
		if rng.IntN(2) == 0 {
			c.Arch, c.OS = []string{word("a", 3)}, []string{word("o", 3)}
		}
		if rng.IntN(2) == 0 {
			c.Attributes = []Attribute{{"k2", "v"}}
		}
		p.KeepsVolumes = rng.IntN(2) == 0
		s := &state{conditions: map[string]condition{}}
		needs := s.needs(&p)
		for range 100 {
			n := nodeState{Node: Node{Owner: ID{1}, Region: word("r", 4), Arch: word("a", 3), OS: word("o", 3), GPUModel: word("g", 5), CPUSingle: 1}}
			if rng.IntN(2) == 0 {
				n.Attributes = append(n.Attributes, Attribute{"k1", []string{"true", "false"}[rng.IntN(2)]})
			}
			if rng.IntN(2) == 0 {
				n.Attributes = append(n.Attributes, Attribute{"k2", "v"})
			}
			if rng.IntN(2) == 0 {
				n.Attributes = append(n.Attributes, DiskVolumes)
			}
			if _, reason := s.rules(&n, &p, quote{ok: true}); reason != 0 {
				continue
			}
			words := n.signature()
			require.True(t, words.meets(needs))
			block := signature{rng.Uint64(), rng.Uint64()}
			block.add(words)
			require.True(t, block.meets(needs))
		}
	})
}

// What no node has is told without a look at a block.
func TestNeedsPassBlocksOver(t *testing.T) {
	e := engineOf(t, DefaultConfig(), population(t, 2000))
	q := queries(rand.New(rand.NewPCG(1, 1)), 1, 0)[0]
	var d Decision
	require.True(t, e.Decide(&q, Seed{}, &d))
	q.needs = (&state{}).needs(&Pending{Constraints: Constraints{Attributes: []Attribute{{"kind", "rare"}}}})
	require.False(t, e.Decide(&q, Seed{}, &d))
	require.Zero(t, d.Blocks)
}
