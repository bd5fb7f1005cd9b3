package match

import "slices"

// search is a decision in progress.
type search struct {
	e    *Engine
	q    *Query
	w    weights
	want demand
	heap []entry
	most int    // how many choices to keep
	ties uint64 // key of the order of equal losses
	d    *Decision
}

// Decide finds the nodes of least loss for a query. It returns false if no node can take the task.
func (e *Engine) Decide(q *Query, seed Seed, d *Decision) bool {
	return e.decide(q, seed, d, func(s *search) { s.walk(e.pick(&s.w)) })
}

func (e *Engine) decide(q *Query, seed Seed, d *Decision, visit func(*search)) bool {
	d.Choices, d.Taken, d.Blocks = d.Choices[:0], 0, 0
	w, ok := q.weigh()
	if !ok {
		return false
	}
	e.ready()
	k := newKey(seed, q.Job, q.Number)
	s := search{e: e, q: q, w: w, most: 1 + max(q.Runners, 0), d: d, ties: k[2]}
	s.w.noise, s.w.thomp = k[0], e.cfg.Mode == ModeThompson
	d.Shift = w.shift
	visit(&s)
	if len(d.Choices) == 0 {
		return false
	}
	d.explore(e.cfg, k, 0)
	return true
}

// scan is Decide by a look at every node, for tests and measurements.
func (e *Engine) scan(q *Query, seed Seed, d *Decision) bool {
	return e.decide(q, seed, d, func(s *search) {
		for r := range e.nodes {
			if e.nodes[r].alive {
				s.consider(Ref(r), &e.nodes[r].hot)
			}
		}
	})
}

// limit is the loss above which a node cannot be among the choices.
func (s *search) limit() uint64 {
	if len(s.d.Choices) < s.most {
		return ^uint64(0)
	}
	return s.d.Choices[s.most-1].Loss
}

// consider looks at one node and keeps it if it is among the best.
func (s *search) consider(r Ref, h *column) {
	for i, need := range s.w.floor {
		if h.free[i] < need {
			return
		}
	}
	limit := s.limit()
	c := Choice{Ref: r, Run: s.w.runCost(&h.rates)}
	if c.Run > limit {
		return
	}
	odds := h.bestOdds
	if c.Loss = c.Run + s.w.failCost(odds); c.Loss > limit {
		return
	}
	rtt := h.rtt
	if s.w.placed {
		rtt = RTT(rtt, h.place, s.w.place)
	}
	c.Latency = s.w.latencyCost(rtt)
	if c.Loss+c.Latency > limit {
		return
	}
	c.P = uint64(h.p)
	if s.w.thomp {
		c.P = noisy(h.p, h.sigma, draw(s.w.noise, h.key))
		c.Failure = s.w.failCost(oddsOf(c.P))
	} else {
		c.Failure = s.w.failCost(h.odds)
	}
	if c.Loss = c.Run + c.Failure + c.Latency; c.Loss > limit {
		return
	}
	n := &s.e.nodes[r].Node
	if s.q.Accept != nil && !s.q.Accept(r, n) {
		return
	}
	if s.q.Penalty != nil {
		c.Penalty = shiftUp(s.q.Penalty(r, n), s.w.shift)
		if c.Loss += c.Penalty; c.Loss > limit {
			return
		}
	}
	s.keep(c)
}

// shiftUp is v·2^by, at most 2^62.
func shiftUp(v uint64, by int) uint64 {
	if by < 0 {
		return v >> -by
	}
	if v > 1<<62>>by {
		return 1 << 62
	}
	return v << by
}

// keep puts a choice in its place among those kept.
func (s *search) keep(c Choice) {
	kept := s.d.Choices
	at := len(kept)
	for at > 0 && s.before(&c, &kept[at-1]) {
		at--
	}
	if at == s.most {
		return
	}
	if len(kept) == s.most {
		kept = kept[:s.most-1]
	}
	s.d.Choices = slices.Insert(kept, at, c)
}

// before orders by loss. Equal losses go by a mix of the node's id with SHA-256(seed ‖ job ‖ task): in a fleet of equal
// machines a hash for each would cost more than the rest of the decision.
func (s *search) before(a, b *Choice) bool {
	if a.Loss != b.Loss {
		return a.Loss < b.Loss
	}
	if x, y := mix(s.ties^s.e.nodes[a.Ref].hot.key), mix(s.ties^s.e.nodes[b.Ref].hot.key); x != y {
		return x < y
	}
	return compareIDs(s.e.nodes[a.Ref].ID, s.e.nodes[b.Ref].ID) < 0
}

// explored is how many runners-up exploration draws from.
const explored = 3

// explore draws which of the choices from one on is taken.
func (d *Decision) explore(cfg Config, k key, from int) {
	d.Taken = from
	if cfg.Mode == ModeThompson {
		return
	}
	window := d.Choices[from:min(from+1+explored, len(d.Choices))]
	n := uint64(len(window))
	each := uint64(0)
	if cfg.Mode == ModeGreedy && n > 1 {
		each = uint64(cfg.Explore) * oneP / 10_000 / (n - 1)
	}
	window[0].Propensity = oneP - each*(n-1)
	for i := 1; i < len(window); i++ {
		window[i].Propensity = each
	}
	if each > 0 {
		if coin := k[1] >> 32; coin < each*(n-1) {
			d.Taken = from + 1 + int(coin/each)
		}
	}
}

// Evaluate is what a query would find of one node, whatever the node has free and whatever the query accepts. It returns
// false if no node could take the task.
func (e *Engine) Evaluate(q *Query, seed Seed, r Ref) (c Choice, shift int, ok bool) {
	w, ok := q.weigh()
	if !ok {
		return Choice{}, 0, false
	}
	h := &e.nodes[r].hot
	c = Choice{Ref: r, Run: w.runCost(&h.rates), P: uint64(h.p), Failure: w.failCost(h.odds)}
	rtt := h.rtt
	if w.placed {
		rtt = RTT(rtt, h.place, w.place)
	}
	c.Latency = w.latencyCost(rtt)
	if e.cfg.Mode == ModeThompson {
		c.P = noisy(h.p, h.sigma, draw(newKey(seed, q.Job, q.Number)[0], h.key))
		c.Failure = w.failCost(oddsOf(c.P))
	}
	if q.Penalty != nil {
		c.Penalty = shiftUp(q.Penalty(r, &e.nodes[r].Node), w.shift)
	}
	c.Loss = c.Run + c.Failure + c.Latency + c.Penalty
	return c, w.shift, true
}
