package match

// The engine keeps two orders of its nodes: by cost, and by geography with cost within each tile. A query goes through
// the one whose blocks its loss tells apart better.

// typical is the task by whose cost nodes are ordered.
var typical = [priced]uint64{1000, 2048, 10 * 1024, 0}

// The orders, as in record.at.
const (
	orderCost = iota
	orderPlace
	orders
)

// index is the orders of an engine. The one by place is made when a query first asks for it: where none does, it costs
// nothing to keep.
type index struct {
	byCost, byPlace sequence
	placed          bool
	built           int    // nodes in the orders when they were built; zero if they were not
	low, middle     column // of cost, at 1/64 and at one half of the nodes
	box             bound  // of all nodes when built
	heap            []entry
}

// costKey orders by the cost rate of the typical task; GPUs come at the end of equal ones.
func (h *column) costKey() uint64 {
	var sum uint64
	for c, amount := range typical {
		sum += upper(h.rates[c], amount<<44)
	}
	return sum
}

// tileBits a coordinate make tiles of about 200 km.
const tileBits = 6

// placeKey orders by tile, along a Morton curve, and within a tile by cost.
func (h *column) placeKey() uint64 {
	const offset, shift = 1 << 23, 24 - tileBits
	var tile uint64
	x, y, z := uint64(h.place.X+offset)>>shift, uint64(h.place.Y+offset)>>shift, uint64(h.place.Z+offset)>>shift
	for i := range tileBits {
		tile |= (x>>i&1)<<(3*i) | (y>>i&1)<<(3*i+1) | (z>>i&1)<<(3*i+2)
	}
	return tile<<(64-3*tileBits) | h.costKey()>>(3*tileBits)
}

func (h *column) sortKey(order int) uint64 {
	if order == orderPlace {
		return h.placeKey()
	}
	return h.costKey()
}

// ready builds the orders if too many nodes are out of place in them.
func (e *Engine) ready() {
	x := &e.index
	nodes := len(e.refs)
	loose, stale := max(x.byCost.loose, x.byPlace.loose), max(x.byCost.stale, x.byPlace.stale)
	if x.built > 0 && loose <= 2*blockSize+nodes/16 && stale <= 4*blockSize+nodes && nodes >= x.built/2 {
		return
	}
	if x.built == 0 && nodes == 0 {
		return
	}
	keys := make([]keyed, 0, nodes)
	for r := range e.nodes {
		if e.nodes[r].alive {
			keys = append(keys, keyed{e.nodes[r].hot.costKey(), Ref(r)})
		}
	}
	x.byCost.build(e.nodes, keys)
	x.built = nodes
	x.box = nothing
	for i := range x.byCost.supers {
		x.box.merge(&x.byCost.supers[i])
	}
	if nodes > 0 {
		x.low, x.middle = e.nodes[keys[nodes/64].ref].hot, e.nodes[keys[nodes/2].ref].hot
	}
	if x.placed {
		e.buildByPlace(keys)
	}
}

func (e *Engine) buildByPlace(keys []keyed) {
	for i := range keys {
		keys[i].key = e.nodes[keys[i].ref].hot.placeKey()
	}
	e.index.byPlace.build(e.nodes, keys)
}

// pick is the order in which a query is answered, up to date.
func (e *Engine) pick(w *weights) *sequence {
	x := &e.index
	if !x.nearFirst(w) {
		x.byCost.follow(e.nodes)
		return &x.byCost
	}
	if !x.placed {
		x.placed = true
		keys := make([]keyed, 0, len(e.refs))
		for r := range e.nodes {
			if e.nodes[r].alive {
				keys = append(keys, keyed{ref: Ref(r)})
			}
		}
		e.buildByPlace(keys)
	}
	x.byPlace.follow(e.nodes)
	return &x.byPlace
}

// insert takes a node in; before the orders are built there is nothing to do.
func (x *index) insert(nodes []record, r Ref) {
	if x.built == 0 {
		return
	}
	n := &nodes[r]
	x.byCost.insert(r, n)
	if x.placed {
		x.byPlace.insert(r, n)
	}
}

func (x *index) remove(n *record) {
	if x.built == 0 {
		return
	}
	x.byCost.remove(n)
	if x.placed {
		x.byPlace.remove(n)
	}
}

// changed notes a change of a node's columns for each order, which follows it when a query asks for the order.
func (x *index) changed(nodes []record, r Ref) {
	if x.built == 0 {
		return
	}
	x.byCost.note(nodes, r)
	if x.placed {
		x.byPlace.note(nodes, r)
	}
}

// nearFirst reports whether distances tell nodes apart: where λ·range is more than a sixteenth of what lies between a cheap node
// and the middle one. Within a tile the nodes lie by cost, so that little is lost where costs tell more.
func (x *index) nearFirst(w *weights) bool {
	if !w.placed || w.latency == 0 {
		return false
	}
	middle, low := w.runCost(&x.middle.rates), w.runCost(&x.low.rates)
	span := x.box.lo.Chord(x.box.hi)
	return 16*w.latencyCost(rttOver(0, span)) > middle-min(middle, low)
}
