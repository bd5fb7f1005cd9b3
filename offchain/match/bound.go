package match

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
	// common mixes are those that a slot tells.
	common = mixStorage
)

// mixed are the costs of the common mixes.
func mixed(c, m uint64) [common]uint64 {
	return [common]uint64{c, c + m, c + 2*m, c + 4*m, c + 8*m, m}
}

// bound is the best of each column over a block or super-block.
type bound struct {
	free [priced]uint32
	odds uint32
	rtt  uint32
	// What was the best of a column may have got worse since: of slack bounds in the columns of slots, of vague ones in storage and GPUs. Both are
	// found again when a query comes by.
	slack, vague bool
	mixes        [mixes]uint64
	lo, hi       Place
	words        signature
}

// nothing is the bound of no node.
var nothing = bound{
	mixes: [mixes]uint64{maxMix, maxMix, maxMix, maxMix, maxMix, maxMix, maxMix, maxMix}, odds: 1<<32 - 1, rtt: 1<<32 - 1,
	lo: Place{1<<31 - 1, 1<<31 - 1, 1<<31 - 1}, hi: Place{-1 << 31, -1 << 31, -1 << 31},
}

// take lets a bound hold for a node.
func (b *bound) take(n *record) {
	h := &n.hot
	b.words.add(n.words)
	for m, cost := range mixed(h.rates[colCPU], h.rates[colMemory]) {
		b.mixes[m] = min(b.mixes[m], cost)
	}
	b.mixes[mixStorage] = min(b.mixes[mixStorage], h.rates[colStorage])
	b.mixes[mixGPU] = min(b.mixes[mixGPU], h.rates[colGPU])
	for c := range priced {
		b.free[c] = max(b.free[c], h.free[c])
	}
	b.odds, b.rtt = min(b.odds, h.bestOdds), min(b.rtt, h.rtt)
	if h.place != (Place{}) { // a node without a place counts as the farthest: any box bounds it
		b.cover(h.place, h.place)
	}
}

// holds reports whether a bound holds for a node as it is.
func (b *bound) holds(n *record) bool {
	p := n.hot.place
	inside := b.lo.X <= p.X && p.X <= b.hi.X && b.lo.Y <= p.Y && p.Y <= b.hi.Y && b.lo.Z <= p.Z && p.Z <= b.hi.Z
	return (inside || p == Place{}) && n.hot.rtt >= b.rtt && n.words.kinds&^b.words.kinds|n.words.labels&^b.words.labels == 0 && !b.gains(&n.hot, true)
}

// merge lets a bound hold for all nodes of another.
func (b *bound) merge(o *bound) {
	for m, cost := range o.mixes {
		b.mixes[m] = min(b.mixes[m], cost)
	}
	for c := range priced {
		b.free[c] = max(b.free[c], o.free[c])
	}
	b.odds, b.rtt = min(b.odds, o.odds), min(b.rtt, o.rtt)
	b.words.add(o.words)
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
