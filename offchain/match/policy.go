package match

import (
	"fmt"
	"strings"
)

// Versioned is a policy that can be named in a record and made again from the name.
type Versioned interface {
	Policy
	// Version names the policy: what it decides depends on the version, the snapshot and the seed alone.
	Version() string
}

var (
	_ Versioned = Learned{}
	_ Versioned = LowestCost{}
)

// lowestCostVersion is that of the plain policy.
const lowestCostVersion = "lowest-cost/1"

// learnedVersion changes whenever a batch could come out differently; older versions stay runnable.
const learnedVersion = "learned/1"

// Version of the plain policy.
func (LowestCost) Version() string { return lowestCostVersion }

// Version of the learning policy with its settings.
func (l Learned) Version() string {
	return fmt.Sprintf("%s %s explore=%d noise=%d", learnedVersion, l.Config.Mode, l.Config.Explore, l.Config.Noise)
}

// DefaultConfig is what ships: of the ways to explore, the one that lost least in the simulator.
func DefaultConfig() Config { return Config{Mode: ModeThompson, Noise: 50} }

// Default is the policy that ships.
func Default() Versioned { return Learned{DefaultConfig()} }

// Parse makes the policy that a version names, so that oracles can follow a vote for another one, or back to an older one.
// "learned/1 lowest-cost explore=0 noise=0" is the off switch: it keeps all constraints and uses nothing that was learnt.
func Parse(version string) (Versioned, error) {
	if version == lowestCostVersion {
		return LowestCost{}, nil
	}
	rest, found := strings.CutPrefix(version, learnedVersion+" ")
	if found {
		for _, mode := range []Mode{ModeGreedy, ModeThompson, ModeLowestCost} {
			l := Learned{Config{Mode: mode}}
			settings, found := strings.CutPrefix(rest, mode.String()+" ")
			if !found {
				continue
			}
			if _, err := fmt.Sscanf(settings, "explore=%d noise=%d", &l.Config.Explore, &l.Config.Noise); err == nil && l.Version() == version {
				return l, nil
			}
		}
	}
	return nil, fmt.Errorf("match: no policy is called %q; the one that ships is %q, the plainest is %q", version, Default().Version(), lowestCostVersion)
}

// Propensity is the share, in Q32, of draws other decisions of the same query that take the node: the probability with
// which the engine takes it, where that is not known from the decision itself.
func (e *Engine) Propensity(q *Query, seed Seed, r Ref, draws uint32) uint64 {
	if draws == 0 {
		return 0
	}
	var d Decision
	hits := uint64(0)
	for i := range draws {
		again := seed
		for k := range 4 {
			again[28+k] ^= byte((i + 1) >> (8 * k))
		}
		if e.Decide(q, again, &d) && d.Best().Ref == r {
			hits++
		}
	}
	return hits << 32 / uint64(draws)
}
