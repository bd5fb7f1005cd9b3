package match

import "slices"

// named are the policies that a chain can ask for by their version. A version never changes its meaning: what is improved gets a new
// number, so that a round can be replayed, and a chain go back.
var named = []namedPolicy{
	{"lowest-cost", LowestCost{}},
	{"greedy/1", Learned{Config: Config{Mode: ModeGreedy, Explore: 200}}},
	{"thompson/1", Learned{Config: Config{Mode: ModeThompson}}},
}

type namedPolicy struct {
	version string
	policy  Policy
}

// Named returns the policy of a version; ok is false for one that this release does not know.
func Named(version string) (policy Policy, ok bool) {
	i := slices.IndexFunc(named, func(n namedPolicy) bool { return n.version == version })
	if i < 0 {
		return nil, false
	}
	return named[i].policy, true
}

// Versions are those that Named knows.
func Versions() []string {
	var out []string
	for _, n := range named {
		out = append(out, n.version)
	}
	return out
}
