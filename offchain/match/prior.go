package match

// Priors are what is known of a node before it has an outcome of its own, frozen for an epoch.
type Priors struct {
	// Strength κ of the prior of a node, and of a class's mean within an owner's, in units of 1/One outcomes.
	Strength, OwnerStrength uint64
	// Mean over all nodes in Q32.
	Mean uint64
	// Handicap in Q32 is how far an unseen owner starts below its class.
	Handicap uint64

	classes map[uint32]tally
	owners  map[ownerClass]tally
}

type ownerClass struct {
	owner ID
	class uint32
}

type tally struct{ successes, trials uint64 }

const (
	minStrength     = 4 * One
	maxStrength     = 64 * One
	initialStrength = 12 * One
	// initialMean is the chance of success that is assumed before any outcome: 0.9.
	initialMean = oneP / 10 * 9
)

// DefaultPriors are those of an engine that has seen nothing.
func DefaultPriors() *Priors {
	return &Priors{Strength: initialStrength, OwnerStrength: initialStrength, Mean: initialMean, Handicap: oneP / 50}
}
