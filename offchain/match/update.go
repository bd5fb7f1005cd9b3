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
	for c := range priced {
		old, now := o.rates[c][at], rates[c]
		if old == now {
			continue
		}
		o.rates[c][at] = now
		block, super := &o.blocks[b], &o.supers[b/superSize]
		if now <= block.rates[c] {
			block.rates[c], super.rates[c] = now, min(super.rates[c], now)
			continue
		}
		if old > block.rates[c] {
			continue
		}
		block.rates[c] = least(o.rates[c][b*blockSize : (b+1)*blockSize])
		if block.rates[c] > old && old == super.rates[c] {
			first := b / superSize * superSize
			super.rates[c] = maxColumn
			for i := first; i < min(first+superSize, len(o.blocks)); i++ {
				super.rates[c] = min(super.rates[c], o.blocks[i].rates[c])
			}
		}
	}
}

func most(column []uint32) uint32 {
	var out uint32
	for _, v := range column {
		out = max(out, v)
	}
	return out
}

func least[T uint32 | uint64](column []T) T {
	out := column[0]
	for _, v := range column[1:] {
		out = min(out, v)
	}
	return out
}
