package match

import (
	"cmp"
	"slices"
)

const (
	blockSize = 128
	superSize = 64
	// filled is how many places of a block are taken when a sequence is built: the rest is for nodes that come.
	filled = 120
	// nowhere is the position of a node that is in no sequence, and the ref of an empty place.
	nowhere = ^uint32(0)
)

// sequence holds the nodes in one order, cut into blocks of 128 places and super-blocks of 64 blocks, each with the best
// of each column of its nodes.
type sequence struct {
	slots     []slot
	blocks    []bound
	supers    []bound
	envelopes []envelope // of blocks
	around    []envelope // of super-blocks
	upkeep    []upkeep
	rho       int      // of the envelopes
	which     int      // the order, as in record.at
	behind    []Ref    // nodes that changed since
	starts    []uint64 // the least key of each sorted block when the sequence was built
	vacant    []uint8  // empty places of each sorted block
	loose     int      // nodes behind the sorted blocks
	stale     int      // nodes whose key rose and that stayed where they were
	empty     []uint32 // places behind the sorted blocks that were left
}

// slot is what a decision reads of every node of a block: half a cache line. A column array each would be read a little
// faster, but a change of one node would touch ten lines instead of one.
type slot struct {
	cpuRate, memoryRate uint64
	cpu, memory         uint32 // free
	odds                uint32 // with the most hopeful noise
	ref                 uint32
}

// vacancy is an empty place: the rates are those that no bound takes.
var vacancy = slot{cpuRate: maxColumn, memoryRate: maxColumn, odds: 1<<32 - 1, ref: nowhere}

func (h *column) slot(r Ref) slot {
	return slot{
		cpuRate: h.rates[colCPU], memoryRate: h.rates[colMemory], cpu: h.free[colCPU], memory: h.free[colMemory],
		odds: h.bestOdds, ref: uint32(r),
	}
}

type keyed struct {
	key uint64
	ref Ref
}

// build lays nodes out by key.
func (o *sequence) build(all []record, nodes []keyed) {
	for _, r := range o.behind {
		all[r].waits &^= 1 << o.which
	}
	slices.SortFunc(nodes, func(a, b keyed) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.ref, b.ref)) })
	*o = sequence{which: o.which, slots: o.slots[:0], behind: o.behind[:0], envelopes: o.envelopes[:0], around: o.around[:0]}
	if len(nodes) > 0 {
		o.rho = rhoOf(&all[nodes[len(nodes)/2].ref].hot)
	}
	for from := 0; from < len(nodes); from += filled {
		part := nodes[from:min(from+filled, len(nodes))]
		o.starts = append(o.starts, part[0].key)
		o.vacant = append(o.vacant, uint8(blockSize-len(part)))
		at := o.grow()
		for i, n := range part {
			o.write(at+uint32(i), n.ref, &all[n.ref])
		}
	}
	for b := range o.blocks {
		o.tightenBlock(all, b)
	}
	for s := range o.supers {
		o.tightenSuper(s)
	}
}

// grow adds an empty block and returns its first position.
func (o *sequence) grow() uint32 {
	at := uint32(len(o.slots))
	for range blockSize {
		o.slots = append(o.slots, vacancy)
	}
	if len(o.blocks)%superSize == 0 {
		o.supers = append(o.supers, nothing)
		o.upkeep = append(o.upkeep, upkeep{unknown: every, apart: every})
	}
	o.blocks = append(o.blocks, nothing)
	return at
}

func (o *sequence) write(at uint32, r Ref, n *record) {
	o.slots[at], n.at[o.which] = n.hot.slot(r), at
}

// insert finds a place for a node near its key.
func (o *sequence) insert(r Ref, n *record) {
	at, found := o.near(n.hot.sortKey(o.which))
	if !found {
		if last := len(o.empty) - 1; last >= 0 {
			at = o.empty[last]
			o.empty = o.empty[:last]
		} else {
			at = o.grow()
			for i := uint32(blockSize - 1); i > 0; i-- {
				o.empty = append(o.empty, at+i)
			}
		}
		o.loose++
	}
	o.write(at, r, n)
	b := int(at / blockSize)
	block := &o.blocks[b]
	o.changed(b)
	if !block.holds(n) {
		block.take(n)
		o.supers[b/superSize].take(n)
	}
}

// target is the sorted block where a key belongs.
func (o *sequence) target(key uint64) int {
	at := 0
	for n := len(o.starts); n > 1; { // a binary search whose steps are moves, not branches
		half := n / 2
		next := at
		if o.starts[at+half] <= key {
			next = at + half
		}
		at = next
		n -= half
	}
	return at
}

// near is an empty place of the key's block or of one of its neighbours.
func (o *sequence) near(key uint64) (at uint32, found bool) {
	if len(o.starts) == 0 {
		return 0, false
	}
	b := o.target(key)
	for _, step := range [...]int{0, 1, -1, 2, -2} {
		if c := b + step; c >= 0 && c < len(o.starts) && o.vacant[c] > 0 {
			o.vacant[c]--
			at = uint32((c+1)*blockSize - 1) // a block is built with its empty places at the end
			for o.slots[at].ref != nowhere {
				at--
			}
			return at, true
		}
	}
	return 0, false
}

// remove takes a node out. The bound of its block keeps what it had from it alone until a query comes by; that of the distance for good.
func (o *sequence) remove(n *record) {
	at := n.at[o.which]
	block := &o.blocks[at/blockSize]
	block.slack, block.vague = block.slack || block.loses(&o.slots[at], &vacancy), true
	o.changed(int(at / blockSize))
	o.slots[at], n.at[o.which] = vacancy, nowhere
	if b := int(at / blockSize); b < len(o.starts) {
		o.vacant[b]++
	} else {
		o.loose--
		o.empty = append(o.empty, at)
	}
}

// tightenBlock computes a block's bound anew.
func (o *sequence) tightenBlock(all []record, b int) {
	out := nothing
	for at := b * blockSize; at < (b+1)*blockSize; at++ {
		if r := o.slots[at].ref; r != nowhere {
			out.take(&all[r])
		}
	}
	o.blocks[b] = out
}

func (o *sequence) tightenSuper(s int) {
	out := nothing
	for i := s * superSize; i < min((s+1)*superSize, len(o.blocks)); i++ {
		out.merge(&o.blocks[i])
	}
	o.supers[s] = out
}
