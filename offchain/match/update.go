package match

// setFree writes what a node has free, and keeps the bounds tight.
func (o *sequence) setFree(r Ref, free *[priced]uint32) {
	if len(o.refs) == 0 {
		return
	}
	at := o.position[r]
	b := int(at / blockSize)
	for c := range priced {
		old, now := o.free[c][at], free[c]
		if old == now {
			continue
		}
		o.free[c][at] = now
		block, super := &o.blocks[b], &o.supers[b/superSize]
		if now >= block.free[c] {
			block.free[c], super.free[c] = now, max(super.free[c], now)
			continue
		}
		if old < block.free[c] {
			continue
		}
		block.free[c] = most(o.free[c][b*blockSize : (b+1)*blockSize])
		if block.free[c] < old && old == super.free[c] {
			first := b / superSize * superSize
			super.free[c] = 0
			for i := first; i < min(first+superSize, len(o.blocks)); i++ {
				super.free[c] = max(super.free[c], o.blocks[i].free[c])
			}
		}
	}
}

// setOdds writes a node's most hopeful odds.
func (o *sequence) setOdds(r Ref, now uint32) {
	if len(o.refs) == 0 {
		return
	}
	at := o.position[r]
	old := o.odds[at]
	if old == now {
		return
	}
	o.odds[at] = now
	b := int(at / blockSize)
	block, super := &o.blocks[b], &o.supers[b/superSize]
	if now <= block.odds {
		block.odds, super.odds = now, min(super.odds, now)
		return
	}
	if old > block.odds {
		return
	}
	block.odds = least(o.odds[b*blockSize : (b+1)*blockSize])
	if block.odds > old && old == super.odds {
		first := b / superSize * superSize
		super.odds = nothing.odds
		for i := first; i < min(first+superSize, len(o.blocks)); i++ {
			super.odds = min(super.odds, o.blocks[i].odds)
		}
	}
}

// setRates writes a node's rates where it stands.
func (o *sequence) setRates(r Ref, rates *[priced]uint64) {
	at := o.position[r]
	b := int(at / blockSize)
	var before [priced]uint64
	for c := range priced {
		before[c], o.rates[c][at] = o.rates[c][at], rates[c]
	}
	block, super := &o.blocks[b], &o.supers[b/superSize]
	old := mixed(&before)
	for m, now := range mixed(rates) {
		switch {
		case now <= block.mixes[m]:
			block.mixes[m], super.mixes[m] = now, min(super.mixes[m], now)
		case old[m] == block.mixes[m]:
			block.mixes[m] = o.leastMix(b, m)
			if block.mixes[m] > old[m] && old[m] == super.mixes[m] {
				first := b / superSize * superSize
				super.mixes[m] = maxMix
				for i := first; i < min(first+superSize, len(o.blocks)); i++ {
					super.mixes[m] = min(super.mixes[m], o.blocks[i].mixes[m])
				}
			}
		}
	}
}

// leastMix is the least cost of one mix in a block.
func (o *sequence) leastMix(b, m int) uint64 {
	out := uint64(maxMix)
	for at := b * blockSize; at < (b+1)*blockSize; at++ {
		if o.refs[at] != nowhere {
			rates := [priced]uint64{o.rates[colCPU][at], o.rates[colMemory][at], o.rates[colStorage][at], o.rates[colGPU][at]}
			out = min(out, mixed(&rates)[m])
		}
	}
	return out
}

func most(column []uint32) uint32 {
	var out uint32
	for _, v := range column {
		out = max(out, v)
	}
	return out
}

func least(column []uint32) uint32 {
	out := column[0]
	for _, v := range column[1:] {
		out = min(out, v)
	}
	return out
}
