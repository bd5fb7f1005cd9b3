package match

// entry is a block or super-block that waits to be looked at.
type entry struct {
	bound uint64
	at    uint32 // block, or super-block + its mark
}

const (
	superMark = 1 << 31 // a super-block that waits by its bound
	knownMark = 1 << 30 // one that waits by what it offers
	blockMask = knownMark - 1
)

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
