package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/foggrid/fogd/offchain/match"
)

// Policy gives jobs to nodes. It sees the fleet and what it is told, and nothing else.
type Policy interface {
	// Choose returns a node with room for the job, or −1 if there is none.
	Choose(j *Job) int
	// Observe tells how a run ended, when it ends.
	Observe(o Outcome)
}

// Watcher is a policy that keeps an index of its own over the fleet.
type Watcher interface {
	// Changed tells that what is free on the node is another amount.
	Changed(node int)
}

// Successor is a policy that keeps something of each node, which ends with the machine.
type Successor interface {
	// Replaced tells that the index now is of another machine.
	Replaced(node int)
}

// Ticker is a policy that does something once an epoch, a simulated minute.
type Ticker interface {
	Tick(now int64)
}

// maker builds a policy; the world is for the oracle.
type maker struct {
	name, about string
	build       func(w *world, r *Rand) (Policy, error)
}

// makers in the order in which they are shown.
var makers = []maker{
	{"fog", "the engine that the oracles run, as it is shipped", newFog(fogOptions{config: match.DefaultConfig()})},
	{"fog-greedy", "fog without noise; a runner-up for 2 % of the jobs", newFog(fogOptions{config: match.Config{Mode: match.ModeGreedy, Explore: 200}})},
	{"fog-thompson", "fog with draws from the whole posterior", newFog(fogOptions{config: match.Config{Mode: match.ModeThompson}})},
	{"fog-noclass", "fog with one class for all", newFog(fogOptions{config: match.DefaultConfig(), noClass: true})},
	{"fog-noowner", "fog with one owner for all", newFog(fogOptions{config: match.DefaultConfig(), oneOwner: true})},
	{"fog-noregression", "fog with a prior that does not follow price and speed", newFog(fogOptions{config: level(match.DefaultConfig())})},
	{"oracle", "knows the true reliability and speed; takes the best node for the job at hand", newOracle},
	{"random", "any node with room", newRandom},
	{"nearest", "the node with the shortest round trip", newNearest},
	{"cheapest", "the lowest price of an hour", newCheapest},
	{"greedy", "the lowest expected loss by what nodes declare", newGreedy},
	{"bin-packing", "the fullest of log₂ N nodes with room", newBinPacking},
	{"flat", "the lowest expected loss by each node's own record (flat empirical greedy)", newFlat},
	{"epsilon-greedy", "the same, and any node for 5 % of the jobs", newEpsilonGreedy},
	{"ucb1", "the same with an upper confidence bound of reliability", newUCB1},
	{"linucb", "ridge regression on what nodes show, with an upper confidence bound", newLinUCB},
	{"thompson", "a draw from each node's posterior", newThompson},
}

func level(c match.Config) match.Config {
	c.Level = true
	return c
}

// Policies names all policies, with a line on each.
func Policies() (names, about []string) {
	for _, m := range makers {
		names, about = append(names, m.name), append(about, m.about)
	}
	return names, about
}

func findMaker(name string) (maker, error) {
	i := slices.IndexFunc(makers, func(m maker) bool { return m.name == name })
	if i < 0 {
		names, _ := Policies()
		return maker{}, fmt.Errorf("there is no policy %q; there are %s", name, strings.Join(names, ", "))
	}
	return makers[i], nil
}
