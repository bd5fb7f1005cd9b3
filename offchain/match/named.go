package match

import (
	"fmt"
	"slices"
)

// named are the policies that a chain can ask for by their version. A version never changes its meaning: what is improved gets a new
// number, so that a round can be replayed, and a chain go back.
var named = []namedPolicy{
	{"lowest-cost", Learned{Config: Config{Mode: ModeLowestCost}}},
	{"greedy/1", Learned{Config: DefaultConfig()}},
	{"thompson/1", Learned{Config: Config{Mode: ModeThompson, Noise: 50, TryOne: true}}},
}

type namedPolicy struct {
	version string
	policy  Learned
}

// DefaultConfig is what ships: of the ways to explore, the one that lost least in the simulator.
func DefaultConfig() Config {
	return Config{Mode: ModeGreedy, Explore: 200, Optimism: 200, Caution: 50, Hope: 12, TryOne: true}
}

// Named returns the policy of a version; ok is false for one that this release does not know.
func Named(version string) (policy Learned, ok bool) {
	i := slices.IndexFunc(named, func(n namedPolicy) bool { return n.version == version })
	if i < 0 {
		return Learned{}, false
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

// Version names the policy: what it decides depends on the version, the snapshot and the seed alone. Settings that have no
// version of their own are spelt out; Named does not know those.
func (l Learned) Version() string {
	for _, n := range named {
		if n.policy == l {
			return n.version
		}
	}
	c := l.Config
	text := fmt.Sprintf("%s explore=%d noise=%d optimism=%d caution=%d hope=%d try-one=%t", c.Mode, c.Explore, c.Noise, c.Optimism, c.Caution, c.Hope, c.TryOne)
	if c.Level {
		text += " level"
	}
	return text
}
