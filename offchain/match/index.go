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

// entry is a block or super-block that waits to be looked at.
type entry struct {
	bound uint64
	at    uint32 // block, or super-block + superMark
}

const superMark = 1 << 31

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

// nearFirst reports whether distances tell nodes apart better than costs do: where λ·range is more than four times what
// lies between a cheap node and the middle one.
func (x *index) nearFirst(w *weights) bool {
	if !w.placed || w.latency == 0 {
		return false
	}
	middle, low := w.runCost(&x.middle.rates), w.runCost(&x.low.rates)
	span := x.box.lo.Chord(x.box.hi)
	return w.latencyCost(rttOver(0, span)) > 4*(middle-min(middle, low))
}

// lower is a bound of the loss of all nodes under b, and whether any of them might take the task.
func (s *search) lower(b *bound) (loss uint64, ok bool) {
	if !b.words.meets(s.q.needs) {
		return 0, false
	}
	loss, _, ok = s.w.lower(b)
	return loss, ok
}

// lower is a bound of the loss of all nodes under b, and whether any of them has room for the task. latency is the part of
// the bound that a node of the block adds at least.
func (w *weights) lower(b *bound) (loss, latency uint64, ok bool) {
	for c, need := range w.floor {
		if b.free[c] < need {
			return 0, 0, false
		}
	}
	rtt := b.rtt
	if w.placed && w.latency > 0 {
		rtt = rttOver(rtt, b.nearest(w.place))
	}
	latency = w.latencyCost(rtt)
	return w.leastCost(&b.mixes) + w.failCost(b.odds) + latency, latency, true
}

// walk looks at the blocks of an order, the lowest bound first, until no bound is below the limit.
func (s *search) walk(o *sequence) {
	heap := s.e.index.heap[:0]
	for i := range o.supers {
		if loss, ok := s.lower(&o.supers[i]); ok {
			heap = push(heap, entry{loss, uint32(i) | superMark})
		}
	}
	for len(heap) > 0 {
		top := heap[0]
		if top.bound > s.limit() {
			break
		}
		heap = pop(heap)
		if top.at&superMark != 0 {
			heap = s.open(o, int(top.at&^superMark), heap)
			continue
		}
		b := int(top.at)
		if o.blocks[b].slack {
			o.tighten(b)
			if loss, ok := s.lower(&o.blocks[b]); !ok || loss > top.bound {
				if ok {
					heap = push(heap, entry{loss, top.at})
				}
				continue
			}
		}
		s.d.Blocks++
		s.look(o, b)
	}
	s.e.index.heap = heap
}

// open puts the blocks of a super-block on the heap.
func (s *search) open(o *sequence, super int, heap []entry) []entry {
	limit := s.limit()
	first := super * superSize
	for i := first; i < min(first+superSize, len(o.blocks)); i++ {
		if loss, ok := s.lower(&o.blocks[i]); ok && loss <= limit {
			heap = push(heap, entry{loss, uint32(i)})
		}
	}
	if o.supers[super].slack {
		o.retightenSuper(super)
	}
	return heap
}

// look goes through the nodes of a block.
func (s *search) look(o *sequence, b int) {
	w := &s.w
	_, latency, _ := w.lower(&o.blocks[b])
	limit := s.limit()
	cpu, memory := w.floor[colCPU], w.floor[colMemory]
	storage, gpus := w.floor[colStorage], w.floor[colGPU]
	slots := o.slots[b*blockSize : (b+1)*blockSize]
	missed, fits := false, false
	for i := range slots {
		n := &slots[i]
		if n.cpu < cpu || n.memory < memory {
			continue
		}
		loss := latency + upper(w.run[colCPU], n.cpuRate) + upper(w.run[colMemory], n.memoryRate) + w.failCost(n.odds)
		if loss > limit || n.ref == nowhere {
			continue
		}
		h := &s.e.nodes[n.ref].hot
		if h.free[colStorage] < storage || h.free[colGPU] < gpus {
			missed = true
			continue
		}
		fits = true
		s.consider(Ref(n.ref), h)
		limit = s.limit()
	}
	if missed && !fits && o.blocks[b].vague {
		o.tightenBlock(s.e.nodes, b)
		o.tightenSuper(b / superSize)
	}
}

func push(heap []entry, v entry) []entry {
	heap = append(heap, v)
	i := len(heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if heap[up].bound <= v.bound {
			break
		}
		heap[i] = heap[up]
		i = up
	}
	heap[i] = v
	return heap
}

func pop(heap []entry) []entry {
	last := len(heap) - 1
	v := heap[last]
	heap = heap[:last]
	if last == 0 {
		return heap
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && heap[down+1].bound < heap[down].bound {
			down++
		}
		if heap[down].bound >= v.bound {
			break
		}
		heap[i] = heap[down]
		i = down
	}
	heap[i] = v
	return heap
}
