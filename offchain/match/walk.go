package match

import "math/bits"

// lower is a bound of the loss of all nodes under b, and whether any of them might take the task at a loss within the limit.
func (s *search) lower(b *bound, limit uint64) (loss uint64, ok bool) {
	if !b.words.meets(s.q.needs) {
		return 0, false
	}
	if loss, ok = s.w.cheapest(b); !ok || loss > limit {
		return 0, false
	}
	loss += s.w.latencyOf(b)
	return loss, loss <= limit
}

// cheapest is a bound of the run and failure costs of all nodes under b, and whether any of them has room for the task.
func (w *weights) cheapest(b *bound) (cost uint64, ok bool) {
	for c, need := range w.floor {
		if b.free[c] < need {
			return 0, false
		}
	}
	return w.leastCost(&b.mixes) + w.failCost(b.odds), true
}

// latencyOf is what the round trip costs at a node under b at least.
func (w *weights) latencyOf(b *bound) uint64 {
	rtt := b.rtt
	if w.placed && w.latency > 0 {
		rtt = rttOver(rtt, b.nearest(w.place))
	}
	return w.latencyCost(rtt)
}

// sharper is a bound of the loss of the nodes of an envelope, all under b, and whether any of them might take the task at a loss within
// the limit.
func (s *search) sharper(v *envelope, b *bound, limit uint64) (loss uint64, ok bool) {
	if loss, ok = s.want.least(v, b.odds); !ok {
		return 0, false
	}
	loss += s.w.latencyOf(b) + s.w.rareCost(&b.mixes)
	return loss, loss <= limit
}

// walk looks at the blocks of an order, the lowest bound first, until no bound is within the limit.
func (s *search) walk(o *sequence) {
	s.want = s.w.ask(o.rho)
	s.heap = s.e.index.heap[:0]
	for i := range o.supers {
		if loss, ok := s.lower(&o.supers[i], never); ok {
			s.heap = push(s.heap, entry{loss, uint32(i) | superMark})
		}
	}
	for len(s.heap) > 0 {
		top := s.heap[0]
		if top.bound > s.limit() {
			break
		}
		s.heap = pop(s.heap)
		at := int(top.at & blockMask)
		switch {
		case top.at&superMark != 0:
			s.enter(o, at, top.bound)
		case top.at&knownMark != 0:
			s.open(o, at, ^o.upkeep[at].apart)
		default:
			s.visit(o, at, top.bound)
		}
	}
	s.e.index.heap = s.heap
}

// enter opens a super-block if it has no envelope. Otherwise it opens what the envelope does not count, and the rest waits by the
// envelope.
func (s *search) enter(o *sequence, super int, bound uint64) {
	u := &o.upkeep[super]
	if u.effort += uint64(bits.OnesCount64(u.apart)); u.effort > superEffort+uint64(bits.OnesCount64(u.unknown))*blockEffort {
		o.outlineSuper(super)
	}
	s.open(o, super, u.apart)
	if u.apart == every {
		return
	}
	if loss, ok := s.sharper(&o.around[super], &o.supers[super], s.limit()); ok {
		s.heap = push(s.heap, entry{max(loss, bound), uint32(super) | knownMark})
	}
}

// open puts some blocks of a super-block on the heap. While too few choices are known to keep any block out, the best of them is
// looked at first.
func (s *search) open(o *sequence, super int, which uint64) {
	var bounds [superSize]uint64
	limit, best, at := s.limit(), never, 0
	first := super * superSize
	which &= every >> (superSize - min(superSize, len(o.blocks)-first))
	for left := which; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		loss, ok := s.lower(&o.blocks[first+i], limit)
		if ok && o.known(first+i) {
			loss, ok = s.sharper(&o.envelopes[first+i], &o.blocks[first+i], limit)
		}
		if !ok {
			which &^= 1 << i
		} else if bounds[i] = loss; loss < best {
			best, at = loss, i
		}
	}
	if limit == never && which != 0 {
		s.visit(o, first+at, best)
		which &^= 1 << at
		limit = s.limit()
	}
	for left := which; left != 0; left &= left - 1 {
		if i := bits.TrailingZeros64(left); bounds[i] <= limit {
			s.heap = push(s.heap, entry{bounds[i], uint32(first + i)})
		}
	}
	if o.supers[super].slack {
		o.retightenSuper(super)
	}
}

// visit looks at a block if no better bound of it can be told.
func (s *search) visit(o *sequence, b int, bound uint64) {
	if block := &o.blocks[b]; block.slack && !o.known(b) {
		o.tighten(b)
		if loss, ok := s.lower(block, s.limit()); !ok || loss > bound {
			if ok {
				s.heap = push(s.heap, entry{loss, uint32(b)})
			}
			return
		}
	}
	s.d.Blocks++
	if !s.look(o, b) && !o.known(b) {
		o.outline(b)
	}
}

// look goes through the nodes of a block and reports whether any was worth more than a glance.
func (s *search) look(o *sequence, b int) (fits bool) {
	w := &s.w
	latency := w.latencyOf(&o.blocks[b])
	limit := s.limit()
	cpu, memory := w.floor[colCPU], w.floor[colMemory]
	storage, gpus := w.floor[colStorage], w.floor[colGPU]
	slots := o.slots[b*blockSize : (b+1)*blockSize]
	missed := false
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
	return fits
}
