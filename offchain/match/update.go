package match

// behindMost is how many changes an order that no query asks for lets wait, beyond one a node.
const behindMost = 1 << 12

// note remembers that a node has changed.
func (o *sequence) note(nodes []record, r Ref) {
	bit := uint8(1) << o.which
	if nodes[r].waits&bit != 0 {
		return
	}
	nodes[r].waits |= bit
	o.behind = append(o.behind, r)
	if len(o.behind) > len(nodes)+behindMost { // nodes that left and came again wait twice
		o.follow(nodes)
	}
}

// follow brings the order up to date. Changes one after another here keep the processor from waiting for the memory of each.
func (o *sequence) follow(nodes []record) {
	bit := uint8(1) << o.which
	for _, r := range o.behind {
		n := &nodes[r]
		if n.waits &^= bit; n.alive {
			o.change(r, n)
		}
	}
	o.behind = o.behind[:0]
}

// change writes a node's columns where it stands and keeps the bounds. By cost, it moves if it would lower the bound of a block of dearer nodes by more than
// a part in 64, which is what a few outcomes change; one whose key rose harms nobody where it stands. By place it stays: its tile is the same.
func (o *sequence) change(r Ref, n *record) {
	at := n.at[o.which]
	b := int(at / blockSize)
	old, now := &o.slots[at], n.hot.slot(r)
	rates := old.cpuRate != now.cpuRate || old.memoryRate != now.memoryRate
	if rates && o.which == orderCost && b < len(o.starts) {
		key := n.hot.costKey()
		if key < o.starts[b]-o.starts[b]>>6 {
			o.remove(n)
			o.insert(r, n)
			return
		}
		if b+1 < len(o.starts) && key >= o.starts[b+1] {
			o.stale++
		}
	}
	block := &o.blocks[b]
	o.changed(b)
	block.slack = block.slack || block.loses(old, &now)
	if !block.vague {
		block.vague = true // what a slot does not tell may have got worse
	}
	if block.gains(&n.hot, rates) {
		block.take(n)
		o.supers[b/superSize].take(n)
	}
	*old = now
}

// gains reports whether a node has something better than a bound; rates are compared if they are new.
func (b *bound) gains(h *column, rates bool) bool {
	for c := range priced {
		if h.free[c] > b.free[c] {
			return true
		}
	}
	if h.bestOdds < b.odds || h.rates[colStorage] < b.mixes[mixStorage] || h.rates[colGPU] < b.mixes[mixGPU] {
		return true
	}
	if rates {
		for m, cost := range mixed(h.rates[colCPU], h.rates[colMemory]) {
			if cost < b.mixes[m] {
				return true
			}
		}
	}
	return false
}

func (b *bound) takeSlot(s *slot) {
	for m, cost := range mixed(s.cpuRate, s.memoryRate) {
		b.mixes[m] = min(b.mixes[m], cost)
	}
	b.free[colCPU], b.free[colMemory] = max(b.free[colCPU], s.cpu), max(b.free[colMemory], s.memory)
	b.odds = min(b.odds, s.odds)
}

// loses reports whether a slot gives up what its block's bound may rest on.
func (b *bound) loses(old, now *slot) bool {
	if old.odds == b.odds && now.odds > old.odds ||
		old.cpu == b.free[colCPU] && now.cpu < old.cpu || old.memory == b.free[colMemory] && now.memory < old.memory {
		return true
	}
	if now.cpuRate > old.cpuRate || now.memoryRate > old.memoryRate {
		for m, cost := range mixed(old.cpuRate, old.memoryRate) {
			if cost == b.mixes[m] {
				return true
			}
		}
	}
	return false
}

// tighten finds again what the slots of a block tell.
func (o *sequence) tighten(b int) {
	block := &o.blocks[b]
	before := *block
	block.slack = false
	for m := range common {
		block.mixes[m] = maxMix
	}
	block.free[colCPU], block.free[colMemory], block.odds = 0, 0, nothing.odds
	for i := b * blockSize; i < (b+1)*blockSize; i++ {
		if s := &o.slots[i]; s.ref != nowhere {
			block.takeSlot(s)
		}
	}
	super := &o.supers[b/superSize]
	super.slack = super.slack || super.rests(&before, block)
}

// rests reports whether a super-block's bound may be that of a block that has changed.
func (b *bound) rests(before, now *bound) bool {
	for m := range common {
		if before.mixes[m] == b.mixes[m] && now.mixes[m] > before.mixes[m] {
			return true
		}
	}
	return before.odds == b.odds && now.odds > before.odds ||
		before.free[colCPU] == b.free[colCPU] && now.free[colCPU] < before.free[colCPU] ||
		before.free[colMemory] == b.free[colMemory] && now.free[colMemory] < before.free[colMemory]
}

// retightenSuper finds again what its blocks tell of slots.
func (o *sequence) retightenSuper(s int) {
	super := &o.supers[s]
	super.slack = false
	for m := range common {
		super.mixes[m] = maxMix
	}
	super.free[colCPU], super.free[colMemory], super.odds = 0, 0, nothing.odds
	for i := s * superSize; i < min((s+1)*superSize, len(o.blocks)); i++ {
		b := &o.blocks[i]
		for m := range common {
			super.mixes[m] = min(super.mixes[m], b.mixes[m])
		}
		super.free[colCPU], super.free[colMemory] = max(super.free[colCPU], b.free[colCPU]), max(super.free[colMemory], b.free[colMemory])
		super.odds = min(super.odds, b.odds)
	}
}
