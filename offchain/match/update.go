package match

// change writes a node's columns where it stands and keeps the bounds.
func (o *sequence) change(r Ref, h *column) {
	if len(o.slots) == 0 {
		return
	}
	at := o.position[r]
	old := o.slots[at]
	now := h.slot(r)
	block := &o.blocks[at/blockSize]
	super := &o.supers[at/blockSize/superSize]
	// Storage and GPUs are not in the slot: their bounds take in the new values, and may keep an old one.
	for c := colStorage; c < priced; c++ {
		m := mixStorage + c - colStorage
		block.mixes[m], super.mixes[m] = min(block.mixes[m], h.rates[c]), min(super.mixes[m], h.rates[c])
		block.free[c], super.free[c] = max(block.free[c], h.free[c]), max(super.free[c], h.free[c])
	}
	if old == now {
		return
	}
	o.slots[at] = now
	block.takeSlot(&now)
	super.takeSlot(&now)
	o.retighten(at, &old)
}

func (b *bound) takeSlot(s *slot) {
	for m, cost := range mixed(s.cpuRate, s.memoryRate) {
		b.mixes[m] = min(b.mixes[m], cost)
	}
	b.free[colCPU], b.free[colMemory] = max(b.free[colCPU], s.cpu), max(b.free[colMemory], s.memory)
	b.odds = min(b.odds, s.odds)
}

// retighten finds the bounds of a place's block again where they were those of what stood there before.
func (o *sequence) retighten(at uint32, old *slot) {
	b := int(at / blockSize)
	block, now := &o.blocks[b], &o.slots[at]
	block.loose = true
	touched := old.odds == block.odds && now.odds > old.odds ||
		old.cpu == block.free[colCPU] && now.cpu < old.cpu || old.memory == block.free[colMemory] && now.memory < old.memory
	if !touched && (now.cpuRate > old.cpuRate || now.memoryRate > old.memoryRate) {
		for m, cost := range mixed(old.cpuRate, old.memoryRate) {
			touched = touched || cost == block.mixes[m]
		}
	}
	if !touched {
		return
	}
	before := *block
	for m := range common {
		block.mixes[m] = maxMix
	}
	block.free[colCPU], block.free[colMemory], block.odds = 0, 0, nothing.odds
	for i := b * blockSize; i < (b+1)*blockSize; i++ {
		if s := &o.slots[i]; s.ref != nowhere {
			block.takeSlot(s)
		}
	}
	if super := &o.supers[b/superSize]; super.rests(&before, block) {
		o.retightenSuper(b / superSize)
	}
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

// retightenSuper finds again what slots tell.
func (o *sequence) retightenSuper(s int) {
	super := &o.supers[s]
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

// reprice writes a node's rates. It moves if it would lower the bound of a block of dearer nodes; one whose key rose
// harms nobody where it stands.
func (o *sequence) reprice(h *column, r Ref, key uint64, move bool) {
	b := int(o.position[r] / blockSize)
	if move && b < len(o.starts) && key < o.starts[b] {
		o.remove(r)
		o.insert(r, h, key)
		return
	}
	o.change(r, h)
	if b+1 < len(o.starts) && key >= o.starts[b+1] {
		o.stale++
	}
}
