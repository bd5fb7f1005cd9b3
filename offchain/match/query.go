package match

// Mode is how the engine explores.
type Mode uint8

// The modes.
const (
	// ModeGreedy takes the node of least expected loss, and in Explore of 10,000 decisions one of the runners-up, each
	// with the same chance: so the propensity of each choice is known exactly.
	ModeGreedy Mode = iota
	// ModeThompson draws each node's chance of success from its posterior, once a decision.
	ModeThompson
	// ModeLowestCost knows nothing: all nodes have the same chance and the speed they claim. The off switch.
	ModeLowestCost
)

// String names the mode.
func (m Mode) String() string {
	switch m {
	case ModeGreedy:
		return "greedy"
	case ModeThompson:
		return "thompson"
	default:
		return "lowest-cost"
	}
}

// Query asks for a node for one task.
type Query struct {
	// Job and Number of the task: what randomness and ties are drawn from, with the seed.
	Job    ID
	Number uint32
	// Task is what it takes.
	Task Resources
	// Work is the run time in seconds on a core of CPUSingle 1: run time · CPUSingle.
	Work uint64
	// FailureCost Φ is what a lost attempt costs in ufog; LatencyPrice λ is ufog for a second of round trip to Place.
	FailureCost  uint64
	LatencyPrice uint64
	Place        Place
	// needs are what Accept asks of a node's words, so that blocks which have none of them are passed over.
	needs []signature
	// Accept, if set, holds the hard constraints beyond capacity. It is called for few nodes.
	Accept func(Ref, *Node) bool
	// Penalty, if set, is what soft preferences add to the loss, in ufog.
	Penalty func(Ref, *Node) uint64
	// Runners is how many runners-up to find besides the best; in ModeGreedy they are also what exploration draws from.
	Runners int
}

// Choice is a node with its expected loss. The terms are in units of 1/65536 ufog or, where a query is too large for
// that, of 2^-Shift ufog of the decision.
type Choice struct {
	Ref Ref
	// Loss is the sum of Run = price·time/s, Failure = Φ·(1−p)/p, Latency = λ·RTT and Penalty.
	Loss, Run, Failure, Latency, Penalty uint64
	// P is the chance of success that was used, in Q32: with noise under ModeThompson.
	P uint64
	// Propensity is the probability in Q32 with which ModeGreedy takes this node; zero under ModeThompson, where it is
	// found by drawing again.
	Propensity uint64
}

// Decision is the answer to a query. It may be used again for the next one.
type Decision struct {
	// Choices are the nodes of least loss, the best first.
	Choices []Choice
	// Taken is the index of the choice: zero unless the decision explores.
	Taken int
	// Shift is the binary point of the losses.
	Shift int
	// Blocks of the index whose nodes were looked at.
	Blocks int
}

// Best is the choice that was taken.
func (d *Decision) Best() *Choice { return &d.Choices[d.Taken] }

// Ref names a node within an engine; it stays the same until the node is removed, and may then be given to another.
type Ref uint32
