package match

// Offers are what the decisions of a batch were to one node. A decision is what the batch does with one pending slice, however many of
// its tasks are left and however many nodes they go to.
type Offers struct {
	Node   ID
	Class  uint32
	Prices Prices
	// Offered is in how many decisions the node was on offer: some task of the slice was placed, and before the first was, the node could
	// have taken one, by its filter and by what it and its owner had free.
	Offered uint32
	// Accepted is in how many of them the node got a task.
	Accepted uint32
	// Missed is in how many other decisions the node could have taken a task but for its price, or but for what it and its owner had
	// free while tasks ran there. Offered + Missed depends on the jobs alone, not on what the node asks, so that Accepted over it is
	// the demand at a price. A slice that found no node was missed by those that ask too much; it counts once, while it is new, as it
	// comes up again in every batch.
	Missed uint32
}

// standing is how a node stands to a slice.
type standing uint8

const (
	standsOut standing = iota
	standsIn
	standsTooDear
	standsBusy
)

// Offers runs the policy again and counts for each of the nodes what the batch offered to it; nodes that are not in the snapshot are left
// out. A slice that found no node is new if it was queued after the height since. It is no part of the claim path, and what it costs
// grows with slices times nodes.
func (l Learned) Offers(snapshot Snapshot, seed Seed, since int64, nodes []ID) ([]Offers, error) {
	r, err := l.begin(snapshot, seed)
	if err != nil {
		return nil, err
	}
	c := census{round: r, since: since, at: make(map[ID]int, len(nodes))}
	for _, id := range nodes {
		ref, found := r.engine.Find(id)
		if _, twice := c.at[id]; !found || twice {
			continue
		}
		n := &r.nodes[ref]
		c.at[id] = len(c.refs)
		c.refs = append(c.refs, ref)
		c.offers = append(c.offers, Offers{Node: id, Class: n.Class, Prices: n.Prices})
	}
	c.standings, c.taken = make([]standing, len(c.refs)), make([]bool, len(c.refs))
	r.opening = c.open
	r.run(c.close)
	return c.offers, nil
}

// census counts while a batch is made. Its map is only looked up.
type census struct {
	*round
	since  int64
	refs   []Ref
	at     map[ID]int
	offers []Offers

	from      int // the first item of the slice in hand
	opened    bool
	standings []standing
	taken     []bool
}

// open notes how the nodes stand before a slice is placed.
func (c *census) open(p *Pending) {
	c.from, c.opened = len(c.batch.Items), true
	l := c.newLayout(p)
	for i, ref := range c.refs {
		c.standings[i] = l.standing(ref)
	}
}

// close counts a slice that was placed, or was not.
func (c *census) close(p *Pending) bool {
	if !c.opened { // the batch was full before
		return false
	}
	c.opened = false
	items := c.batch.Items[c.from:]
	if len(items) == 0 && (p.Height <= c.since || c.batch.Unmatched[len(c.batch.Unmatched)-1].Full) {
		return false
	}
	clear(c.taken)
	for i := range items {
		if at, asked := c.at[items[i].Node]; asked {
			c.taken[at] = true
		}
	}
	for i, s := range c.standings {
		o := &c.offers[i]
		switch {
		case s == standsTooDear, s == standsBusy && len(items) > 0:
			o.Missed++
		case s == standsIn && len(items) > 0:
			o.Offered++
			if c.taken[i] {
				o.Accepted++
			}
		}
	}
	return false
}

// standing is how a node stands to the slice, whatever the spread, which only says in which order nodes are filled.
func (l *layout) standing(ref Ref) standing {
	out := standsBusy
	switch l.reject(ref) {
	case 0:
		return standsIn
	case ReasonPrice, ReasonBudget, ReasonWhere:
		out = standsTooDear
	case ReasonCPU, ReasonMemory, ReasonStorage, ReasonGPU, ReasonProbation, ReasonCollateral:
	default:
		return standsOut
	}
	n := &l.r.nodes[ref]
	_, never := l.r.rules(n, l.p, quote{ok: true}) // at a price of zero
	if _, full := n.room(l.p.Task); full != 0 && n.Running == 0 {
		never = full
	}
	if never != 0 || l.unwanted(ref) != 0 {
		return standsOut
	}
	return out
}
