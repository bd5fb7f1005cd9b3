package match

import (
	"bytes"
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// LowestCost is the plain form of the off switch: no index, no fixed point. It gives each task to the node with the lowest price over measured speed among those that may run it; equal
// costs go by SHA-256(seed ‖ node ‖ job ‖ first pending task). Slices are served in the order in which they were queued.
// What a task takes is reserved before the next one is placed.
type LowestCost struct{}

var _ Policy = LowestCost{}

// Match computes the batch.
func (LowestCost) Match(snapshot Snapshot, seed Seed) (Batch, error) {
	st, err := newState(snapshot)
	if err != nil {
		return Batch{}, err
	}
	q, err := queue(snapshot.Pending)
	if err != nil {
		return Batch{}, err
	}
	var batch Batch
	most := int(st.params.MaxItems)
	for i := range q {
		p := &q[i]
		left := p.Count
		if len(batch.Items) < most {
			left = st.place(p, seed, most, &batch)
		}
		if left == 0 {
			continue
		}
		u := Unmatched{Job: p.Job, Slice: p.Slice, Tasks: left, Full: len(batch.Items) == most}
		if !u.Full {
			u.Reasons = st.explain(p)
		}
		batch.Unmatched = append(batch.Unmatched, u)
	}
	return batch, nil
}

// place gives the tasks of one slice to its cheapest nodes and returns how many are left. A node's room only shrinks
// while the batch grows, so one walk over the nodes in order of cost serves task after task.
func (s *state) place(p *Pending, seed Seed, mostItems int, batch *Batch) (left uint32) {
	var (
		sh    = s.shapeOf(p.Task)
		ranks = ranksOf(s, sh)
		first = p.First
		equal ties
	)
	left = p.Count
	for len(ranks) > 0 && left > 0 && len(batch.Items) < mostItems {
		equal = equal[:0]
		group := 0
		for group < len(ranks) && ranks[group].cost.compare(ranks[0].cost) == 0 {
			at := ranks[group].node
			group++
			n := &s.nodes[at]
			if !n.Free.hold(p.Task) { // the cheapest check first: in a busy grid most nodes are full
				continue
			}
			o, reason := s.rules(n, p, sh.quotes[at])
			if reason != 0 {
				continue
			}
			equal = append(equal, candidate{node: n, offer: o, tie: tieHash(seed, n.ID, p.Job, p.First)})
		}
		ranks = ranks[group:]
		heap.Init(&equal)
		for len(equal) > 0 && left > 0 && len(batch.Items) < mostItems {
			best := &equal[0]
			room, _ := s.room(best.node, p.Task, best.offer)
			if room == 0 {
				heap.Pop(&equal)
				continue
			}
			count := uint32(min(room, uint64(left), uint64(s.params.MaxSliceTasks)))
			batch.Items = append(batch.Items, Item{
				Job: p.Job, Slice: p.Slice, First: first, Count: count,
				Node: best.node.ID, NodeIndex: best.node.Index, Price: best.offer.price,
			})
			s.reserve(best.node, p.Task, best.offer, count)
			first += count
			left -= count
		}
	}
	return left
}

// hold reports whether one task fits.
func (r Resources) hold(task Resources) bool {
	return r.CPUMilli >= task.CPUMilli && r.MemoryMiB >= task.MemoryMiB && r.StorageMiB >= task.StorageMiB && r.GPUs >= task.GPUs
}

// candidate is a node that may run the tasks of a slice.
type candidate struct {
	node  *nodeState
	offer offer
	tie   [sha256.Size]byte
}

// ties is a heap of candidates of equal cost.
type ties []candidate

func (t ties) Len() int           { return len(t) }
func (t ties) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t ties) Less(i, j int) bool { return bytes.Compare(t[i].tie[:], t[j].tie[:]) < 0 }

// Push is for heap.Interface; nothing is pushed.
func (t *ties) Push(x any) { *t = append(*t, x.(candidate)) }

// Pop removes the last candidate.
func (t *ties) Pop() any {
	last := len(*t) - 1
	c := (*t)[last]
	*t = (*t)[:last]
	return c
}

// tieHash is SHA-256(seed ‖ node ‖ job ‖ task), the task as 4 bytes, big-endian.
func tieHash(seed Seed, node, job ID, task uint32) [sha256.Size]byte {
	var b [len(seed) + len(node) + len(job) + 4]byte
	at := copy(b[:], seed[:])
	at += copy(b[at:], node[:])
	at += copy(b[at:], job[:])
	binary.BigEndian.PutUint32(b[at:], task)
	return sha256.Sum256(b[:])
}

// rank is a node's place by cost.
type rank struct {
	cost cost
	node int // index into state.nodes
}

// ranksOf are the nodes with a price, the lowest cost first.
func ranksOf(s *state, sh *shape) []rank {
	var ranks []rank
	for i, q := range sh.quotes {
		if q.ok {
			ranks = append(ranks, rank{cost: cost{price: q.price, speed: max(s.nodes[i].CPUSingle, 1)}, node: i})
		}
	}
	slices.SortFunc(ranks, func(a, b rank) int { return cmp.Or(a.cost.compare(b.cost), cmp.Compare(a.node, b.node)) })
	return ranks
}
