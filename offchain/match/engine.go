package match

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Config of an engine.
type Config struct {
	Mode Mode
	// Explore is the number of decisions of 10,000 in which ModeGreedy takes a runner-up.
	Explore uint32
	// Noise is the part of the posterior's deviation that ModeThompson draws with, in hundredths. Zero is all of it, as
	// Thompson has it; less explores less.
	Noise uint32
	// Optimism, in hundredths, is how much faster than it claims a node is taken to be until it was timed: a tenth of the
	// speed over √(1+4t) after t timed runs. One run tells the speed, so this exploration costs little; without it a node
	// that was seen to be faster than it says is never left for one that nobody has tried.
	Optimism uint32
	// Caution, in hundredths, is how many deviations of the posterior ModeGreedy takes off the chance of success.
	Caution uint32
	// Hope is after how many idle hours caution is gone; after twice as many as much is added. The record of a node that is never used says the same
	// for ever, whatever the node has become. Zero is never.
	Hope uint32
	// TryOne lets a node without an outcome, or in doubt, take one task at a time, so that neither a claim nor a recovery is
	// worth more than one run before it is seen.
	TryOne bool
	// Level leaves out that the prior follows price and speed, to see what that is worth.
	Level bool
}

// Engine answers queries over a set of nodes that changes all the time. It is exact: Decide finds what a look at every
// node would find. It is not safe for concurrent use.
type Engine struct {
	cfg    Config
	learnt learner
	nodes  []record // by ref
	refs   map[ID]Ref
	unused []Ref
	index  index
}

// record is a node with what the engine knows of it, in eight cache lines of 64 bytes. A change touches the last four, from the end of Node on: among
// a million nodes the way to memory is what a change costs.
type record struct {
	x     features
	group int32
	words signature
	Node
	alive    bool
	closed   bool
	waits    uint8  // bit of each order that has yet to follow a change
	mean     uint32 // prior, frozen: chance of success in Q32
	strength uint32 // of the prior, in units of 1/One outcomes
	hot      column
	at       [orders]uint32 // place in each order
}

// column is what a decision reads of a node in the blocks that it looks at.
type column struct {
	rates    [priced]uint64 // price over effective speed
	free     [priced]uint32 // zero if the node takes nothing now
	place    Place
	rtt      uint32
	odds     uint32 // (1−p)/p of the mean
	bestOdds uint32 // of the mean and the largest noise
	p, sigma uint32 // in Q32
	key      uint64
}

// NewEngine returns an engine without nodes.
func NewEngine(cfg Config) *Engine {
	e := &Engine{cfg: cfg, learnt: newLearner(), refs: map[ID]Ref{}, index: index{byPlace: sequence{which: orderPlace}}}
	e.learnt.level = cfg.Level
	return e
}

// Config the engine was made with.
func (e *Engine) Config() Config { return e.cfg }

// Len is the number of nodes.
func (e *Engine) Len() int { return len(e.refs) }

// Find returns the node of an id.
func (e *Engine) Find(id ID) (Ref, bool) {
	r, ok := e.refs[id]
	return r, ok
}

// Node is the node of a ref with what is free and learnt at present; it must not be changed.
func (e *Engine) Node(r Ref) *Node { return &e.nodes[r].Node }

// Add takes a node in. The error is for an id that is in already.
func (e *Engine) Add(n Node) (Ref, error) {
	if _, found := e.refs[n.ID]; found {
		return 0, fmt.Errorf("match: node %s is given twice", n.ID)
	}
	var r Ref
	if last := len(e.unused) - 1; last >= 0 {
		r = e.unused[last]
		e.unused = e.unused[:last]
	} else {
		r = Ref(len(e.nodes))
		e.nodes = append(e.nodes, record{})
	}
	added := &e.nodes[r] // zero as yet
	added.Node, added.words, added.alive, added.at = n, n.signature(), true, [orders]uint32{nowhere, nowhere}
	added.group = e.learnt.join(n.Owner, n.Class)
	h := &added.hot
	h.place, h.rtt, h.key = n.Place, n.RTT, binary.BigEndian.Uint64(n.ID[:])^binary.BigEndian.Uint64(n.ID[12:])
	s := n.Stats.Idle(e.learnt.now)
	added.mean, added.strength = e.learnt.before(added.group, pool{}, featuresOf(&n, s))
	e.refs[n.ID] = r
	e.refreshRates(added, &s)
	e.refreshFree(added)
	e.refreshChance(added, &s)
	e.index.insert(e.nodes, r)
	return r, nil
}

// Remove forgets a node.
func (e *Engine) Remove(r Ref) {
	e.index.remove(&e.nodes[r])
	delete(e.refs, e.nodes[r].ID)
	e.learnt.leave(e.nodes[r].group)
	e.nodes[r] = record{}
	e.unused = append(e.unused, r)
}

// Reserve takes the capacity of count tasks. The error is for more than is free.
func (e *Engine) Reserve(r Ref, task Resources, count uint32) error {
	n := &e.nodes[r].Node
	most, reason := n.room(task)
	if e.single(&e.nodes[r]) {
		most = min(most, 1-uint64(min(n.Running, 1)))
		reason = max(reason, ReasonProbation)
	}
	if most < uint64(count) {
		return fmt.Errorf("match: node %s has room for %d of %d tasks: %s", n.ID, most, count, reason)
	}
	n.Free = n.Free.minus(task, count)
	n.Running += count
	e.freed(r)
	return nil
}

// Release gives the capacity of count tasks back.
func (e *Engine) Release(r Ref, task Resources, count uint32) {
	n := &e.nodes[r].Node
	n.Free = n.Free.plus(task, count)
	n.Running -= min(count, n.Running)
	e.freed(r)
}

// SetFree sets what is free and how many tasks run.
func (e *Engine) SetFree(r Ref, free Resources, running uint32) {
	n := &e.nodes[r].Node
	n.Free, n.Running = free, running
	e.freed(r)
}

// SetPrices changes what a node asks.
func (e *Engine) SetPrices(r Ref, p Prices) {
	e.nodes[r].Prices = p
	e.priced(r)
}

// SetOpen closes a node to new tasks, or opens it again.
func (e *Engine) SetOpen(r Ref, open bool) {
	e.nodes[r].closed = !open
	e.freed(r)
}

// SetProbation changes whether a node takes one task at a time.
func (e *Engine) SetProbation(r Ref, on bool) {
	e.nodes[r].Probation = on
	e.freed(r)
}

// Observe adds an outcome to what is known of a node.
func (e *Engine) Observe(r Ref, o Outcome) {
	e.nodes[r].Stats = e.nodes[r].Stats.Add(o)
	e.rated(r)
}

// SetStats sets what is known of a node.
func (e *Engine) SetStats(r Ref, s Stats) {
	e.nodes[r].Stats = s
	e.rated(r)
}

// Chance is the expected chance of success of a node, in Q32.
func (e *Engine) Chance(r Ref) uint64 {
	n := &e.nodes[r]
	s := n.Stats.Idle(e.learnt.now)
	return min(s.doubted(ratio(s.Successes, s.Trials, uint64(n.mean), uint64(n.strength))), oneP-1)
}

// Priors are those of the present epoch.
func (e *Engine) Priors() Priors { return e.learnt.priors }

// Epoch ages the counts to a Unix second, learns the priors anew from them and freezes them until the next call. What
// comes out depends on the nodes' counts alone, not on the epochs before.
func (e *Engine) Epoch(at int64) {
	l := &e.learnt
	l.now = at
	own := func(i int) sample {
		n := &e.nodes[i]
		if !n.alive {
			return sample{group: -1}
		}
		return sample{Stats: n.Stats.Idle(at), group: n.group, x: n.x}
	}
	for i := range e.nodes {
		if e.nodes[i].alive {
			e.nodes[i].x = featuresOf(&e.nodes[i].Node, e.nodes[i].Stats.Idle(at))
		}
	}
	l.fit(len(e.nodes), own)
	for i := range e.nodes {
		if s := own(i); s.group >= 0 {
			e.nodes[i].mean, e.nodes[i].strength = l.before(s.group, l.weigh(s.Stats), s.x)
			e.rated(Ref(i))
		}
	}
}

// freed follows a change of what a node has free or runs.
func (e *Engine) freed(r Ref) {
	n := &e.nodes[r]
	e.refreshFree(n)
	if e.cfg.Mode == ModeThompson || e.cfg.Caution > 0 {
		s := n.Stats.Idle(e.learnt.now)
		e.refreshChance(n, &s) // tasks that run narrow the deviation
	}
	e.index.changed(e.nodes, r)
}

// priced follows a change of a node's prices or speed.
func (e *Engine) priced(r Ref) {
	n := &e.nodes[r]
	s := n.Stats.Idle(e.learnt.now)
	e.refreshRates(n, &s)
	e.index.changed(e.nodes, r)
}

// rated follows a change of what is known of a node.
func (e *Engine) rated(r Ref) {
	n := &e.nodes[r]
	s := n.Stats.Idle(e.learnt.now)
	e.refreshChance(n, &s)
	e.refreshFree(n)
	e.refreshRates(n, &s)
	e.index.changed(e.nodes, r)
}

// refreshRates takes the node's counts as they weigh now.
func (e *Engine) refreshRates(n *record, s *Stats) {
	h := &n.hot
	speed := max(n.CPUSingle, 1)
	if e.cfg.Mode != ModeLowestCost {
		delivered := s.delivered()
		delivered += mulDiv(delivered, uint64(min(e.cfg.Optimism, 1000))*One/1000, isqrt((One+4*s.SpeedTrials)*One))
		speed = max(mulDiv(min(speed, 1<<40), delivered, One), 1)
	}
	for i, price := range n.Prices.columns() {
		if h.rates[i] = 0; price > 0 {
			h.rates[i] = rateOf(price, speed)
		}
	}
}

// single reports whether a node takes one task at a time.
func (e *Engine) single(n *record) bool {
	return n.Probation || e.cfg.TryOne && n.Stats.untried()
}

func (e *Engine) refreshFree(n *record) {
	h := &n.hot
	h.free = [priced]uint32{}
	if n.closed || (n.Running > 0 && e.single(n)) {
		return
	}
	for i, a := range n.Free.columns() {
		h.free[i] = uint32(min(a, 1<<32-1))
	}
}

// refreshChance computes p = (S + κ·m)/(n + κ), less what doubt takes, and σ = √(p(1−p)/(n + κ + f + 1)), with f tasks running. Noise is σ times
// √((κ + 1)/(n + κ + 1)): less of it for nodes that are known well, whose small differences are not worth a search.
func (e *Engine) refreshChance(n *record, s *Stats) {
	h := &n.hot
	if e.cfg.Mode == ModeLowestCost {
		h.p, h.sigma, h.odds, h.bestOdds = oneP-1, 0, 0, 0
		return
	}
	p := min(s.doubted(ratio(s.Successes, s.Trials, uint64(n.mean), uint64(n.strength))), oneP-1)
	h.sigma = 0
	if e.cfg.Mode == ModeThompson || e.cfg.Caution > 0 {
		spread := p * (oneP - p)
		seen := s.Trials + uint64(n.strength) + uint64(n.Running)*One + One
		v, _ := bits.Div64(spread>>48, spread<<16, seen)
		if e.cfg.Mode == ModeThompson {
			v = mulDiv(v, uint64(n.strength)+One, s.Trials+uint64(n.strength)+One)
		}
		h.sigma = uint32(isqrt(v))
	}
	if e.cfg.Mode == ModeThompson {
		if part := uint64(e.cfg.Noise); part > 0 {
			h.sigma = uint32(min(uint64(h.sigma)*part/100, 1<<32-1))
		}
		h.p, h.odds = uint32(p), oddsOf(p)
		h.bestOdds = oddsOf(noisy(h.p, h.sigma, zMax))
		return
	}
	p = e.hedged(p, uint64(h.sigma), n)
	h.p, h.sigma, h.odds = uint32(p), 0, oddsOf(p)
	h.bestOdds = h.odds
}

// hedged is a chance of success less the caution, or with the hope, that there is of it.
func (e *Engine) hedged(p, sigma uint64, n *record) uint64 {
	part, gone := uint64(e.cfg.Caution), uint64(0)
	if n.Stats.Trials > 0 && e.cfg.Hope > 0 {
		full := uint64(e.cfg.Hope) * 3600
		gone = part * min(uint64(max(e.learnt.now-n.Stats.Last, 0)), 2*full) / full
	}
	if gone > part {
		return min(p+sigma*(gone-part)/100, oneP-1)
	}
	return max(p-min(p, sigma*(part-gone)/100), minP)
}
