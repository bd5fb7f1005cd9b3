package match

import (
	"cmp"
	"slices"
)

const (
	blockSize = 128
	superSize = 64
	// filled is how many places of a block are taken when an order is built: the rest is for nodes that come.
	filled = 120
	// nowhere is the position of a node that is in no order, and the ref of an empty place.
	nowhere = ^uint32(0)
)

// sequence holds the nodes in one sequence, cut into blocks of 128 places and super-blocks of 64 blocks, each with the best
// of each column of its nodes. What a decision reads of every node of a block lies in columns of its own.
type sequence struct {
	rates    [priced][]uint64
	free     [priced][]uint32
	odds     []uint32 // with the most hopeful noise
	refs     []uint32
	blocks   []bound
	supers   []bound
	position []uint32 // by ref
	starts   []uint64 // the least key of each sorted block when the order was built
	vacant   []uint8  // empty places of each sorted block
	loose    int      // nodes behind the sorted blocks
	stale    int      // nodes whose key rose and that stayed where they were
	empty    []uint32 // places behind the sorted blocks that were left
}

// Costs of CPU and memory go along mixes: a bound by the least rate of each would join the CPU of one node with the memory
// of another. The least cost of a few mixes of a vCPU with k GiB bounds every task: it is a sum of its two neighbours.
const (
	mixCPU    = iota // a vCPU alone
	mix1             // with 1 GiB
	mix2             // with 2 GiB
	mix4             // with 4 GiB
	mix8             // with 8 GiB
	mixMemory        // a GiB alone
	mixStorage
	mixGPU
	mixes
)

// mixed are the costs of the mixes.
func mixed(rates *[priced]uint64) [mixes]uint64 {
	c, m := rates[colCPU], rates[colMemory]
	return [mixes]uint64{c, c + m, c + 2*m, c + 4*m, c + 8*m, m, rates[colStorage], rates[colGPU]}
}

// bound is the best of each column over a block or super-block.
type bound struct {
	mixes  [mixes]uint64
	free   [priced]uint32
	odds   uint32
	rtt    uint32
	lo, hi Place
	placed bool // all nodes have a place: the box bounds their distance
}

// nothing is the bound of no node.
var nothing = bound{
	mixes: [mixes]uint64{maxMix, maxMix, maxMix, maxMix, maxMix, maxMix, maxMix, maxMix}, odds: 1<<32 - 1, rtt: 1<<32 - 1,
	lo: Place{1<<31 - 1, 1<<31 - 1, 1<<31 - 1}, hi: Place{-1 << 31, -1 << 31, -1 << 31}, placed: true,
}

type keyed struct {
	key uint64
	ref Ref
}

// build lays the nodes out by key.
func (o *sequence) build(hot []column, nodes []keyed) {
	slices.SortFunc(nodes, func(a, b keyed) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.ref, b.ref)) })
	*o = sequence{position: slices.Grow(o.position[:0], len(hot))[:len(hot)]}
	for i := range o.position {
		o.position[i] = nowhere
	}
	for from := 0; from < len(nodes); from += filled {
		part := nodes[from:min(from+filled, len(nodes))]
		o.starts = append(o.starts, part[0].key)
		o.vacant = append(o.vacant, uint8(blockSize-len(part)))
		at := o.grow()
		for i, n := range part {
			o.write(at+uint32(i), n.ref, &hot[n.ref])
		}
	}
	for b := range o.blocks {
		o.tightenBlock(hot, b)
	}
	for s := range o.supers {
		o.tightenSuper(s)
	}
}

// grow adds an empty block and returns its first position.
func (o *sequence) grow() uint32 {
	at := uint32(len(o.refs))
	for c := range priced {
		o.rates[c] = append(o.rates[c], make([]uint64, blockSize)...)
		o.free[c] = append(o.free[c], make([]uint32, blockSize)...)
	}
	o.odds = append(o.odds, make([]uint32, blockSize)...)
	for range blockSize {
		o.refs = append(o.refs, nowhere)
	}
	for i := at; i < at+blockSize; i++ {
		for c := range priced {
			o.rates[c][i] = worst.rates[c]
		}
		o.odds[i] = worst.bestOdds
	}
	if len(o.blocks)%superSize == 0 {
		o.supers = append(o.supers, nothing)
	}
	o.blocks = append(o.blocks, nothing)
	return at
}

func (o *sequence) write(at uint32, r Ref, h *column) {
	for c := range priced {
		o.rates[c][at], o.free[c][at] = h.rates[c], h.free[c]
	}
	o.odds[at], o.refs[at] = h.bestOdds, uint32(r)
	o.position[r] = at
}

// insert finds a place for a node near its key.
func (o *sequence) insert(r Ref, h *column, key uint64) {
	for int(r) >= len(o.position) {
		o.position = append(o.position, nowhere)
	}
	at, found := o.near(key)
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
	o.write(at, r, h)
	o.widen(int(at/blockSize), h)
}

// target is the sorted block where a key belongs.
func (o *sequence) target(key uint64) int {
	i, found := slices.BinarySearch(o.starts, key)
	if !found && i > 0 {
		i--
	}
	return i
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
			return uint32(c*blockSize + slices.Index(o.refs[c*blockSize:(c+1)*blockSize], nowhere)), true
		}
	}
	return 0, false
}

// worst are the columns of an empty place: a query that takes anything takes none of it.
var worst = column{rates: [priced]uint64{maxColumn, maxColumn, maxColumn, maxColumn}, bestOdds: 1<<32 - 1}

// remove takes a node out. The bounds of distance stay as they were, which is no tighter than they could be.
func (o *sequence) remove(r Ref) {
	at := o.position[r]
	o.refs[at] = nowhere
	o.setFree(r, &worst.free)
	o.setOdds(r, worst.bestOdds)
	o.setRates(r, &worst.rates)
	o.position[r] = nowhere
	if b := int(at / blockSize); b < len(o.starts) {
		o.vacant[b]++
	} else {
		o.loose--
		o.empty = append(o.empty, at)
	}
}

// reprice writes a node's rates. It moves if it would lower the bound of a block of dearer nodes; one whose key rose
// harms nobody where it stands.
func (o *sequence) reprice(h *column, r Ref, key uint64, move bool) {
	b := int(o.position[r] / blockSize)
	if !move || b >= len(o.starts) || key >= o.starts[b] {
		o.setRates(r, &h.rates)
		if b+1 < len(o.starts) && key >= o.starts[b+1] {
			o.stale++
		}
		return
	}
	o.remove(r)
	o.insert(r, h, key)
}

// tightenBlock computes a block's bound anew.
func (o *sequence) tightenBlock(hot []column, b int) {
	out := nothing
	for _, r := range o.refs[b*blockSize : (b+1)*blockSize] {
		if r != nowhere {
			out.take(&hot[r])
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

// widen lets the bounds of a block take in a node.
func (o *sequence) widen(b int, h *column) {
	o.blocks[b].take(h)
	o.supers[b/superSize].take(h)
}

func (b *bound) take(h *column) {
	for m, cost := range mixed(&h.rates) {
		b.mixes[m] = min(b.mixes[m], cost)
	}
	for c := range priced {
		b.free[c] = max(b.free[c], h.free[c])
	}
	b.odds, b.rtt = min(b.odds, h.bestOdds), min(b.rtt, h.rtt)
	if h.place == (Place{}) {
		b.placed = false
		return
	}
	b.cover(h.place, h.place)
}

func (b *bound) merge(o *bound) {
	for m, cost := range o.mixes {
		b.mixes[m] = min(b.mixes[m], cost)
	}
	for c := range priced {
		b.free[c] = max(b.free[c], o.free[c])
	}
	b.odds, b.rtt = min(b.odds, o.odds), min(b.rtt, o.rtt)
	b.placed = b.placed && o.placed
	b.cover(o.lo, o.hi)
}

func (b *bound) cover(lo, hi Place) {
	b.lo = Place{min(b.lo.X, lo.X), min(b.lo.Y, lo.Y), min(b.lo.Z, lo.Z)}
	b.hi = Place{max(b.hi.X, hi.X), max(b.hi.Y, hi.Y), max(b.hi.Z, hi.Z)}
}

// nearest is the least chord in metres between a place and the box.
func (b *bound) nearest(p Place) uint32 {
	return p.Chord(Place{min(max(p.X, b.lo.X), b.hi.X), min(max(p.Y, b.lo.Y), b.hi.Y), min(max(p.Z, b.lo.Z), b.hi.Z)})
}
