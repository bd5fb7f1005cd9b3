package match

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"slices"
	"sort"
)

// brute is the specification of LowestCost written the slow way, with big numbers and task by task: walk the queue; for
// each task look at every node, take the one with the lowest price/speed, ties by hash; then join neighbours into items.
func brute(s Snapshot, seed Seed) []Item {
	queue := slices.Clone(s.Pending)
	sort.Slice(queue, func(i, j int) bool {
		a, b := queue[i], queue[j]
		if a.Height != b.Height {
			return a.Height < b.Height
		}
		if a.Job != b.Job {
			return bytes.Compare(a.Job[:], b.Job[:]) < 0
		}
		return a.Slice < b.Slice
	})
	free := map[ID]Resources{}
	running := map[ID]uint32{}
	for _, n := range s.Nodes {
		free[n.ID], running[n.ID] = n.Free, n.Running
	}
	funds := map[ID]*big.Int{}
	for _, f := range s.Funds {
		funds[f.Owner] = big64(f.Available)
	}

	var items []Item
	for _, p := range queue {
		for task := p.First; task < p.First+p.Count; task++ {
			var best *Node
			for i := range s.Nodes {
				n := &s.Nodes[i]
				if bruteFits(s, p, *n, free[n.ID], running[n.ID], funds[n.Owner]) && (best == nil || bruteBetter(seed, p, *n, *best)) {
					best = n
				}
			}
			if best == nil {
				break // the tasks are equal: no later one fits either
			}
			price, _ := bruteMoney(s, p, *best)
			last := len(items) - 1
			if last >= 0 && items[last].Node == best.ID && items[last].Job == p.Job && items[last].Slice == p.Slice &&
				items[last].Count < s.Params.MaxSliceTasks {
				items[last].Count++
			} else {
				if len(items) == int(s.Params.MaxItems) {
					return items
				}
				items = append(items, Item{
					Job: p.Job, Slice: p.Slice, First: task, Count: 1, Node: best.ID, NodeIndex: best.Index, Price: price.Uint64(),
				})
			}
			f := free[best.ID]
			f.CPUMilli -= p.Task.CPUMilli
			f.MemoryMiB -= p.Task.MemoryMiB
			f.StorageMiB -= p.Task.StorageMiB
			f.GPUs -= p.Task.GPUs
			free[best.ID] = f
			running[best.ID]++
			if _, collateral := bruteMoney(s, p, *best); collateral.Sign() > 0 {
				funds[best.Owner].Sub(funds[best.Owner], collateral)
			}
		}
	}
	return items
}

// bruteMoney is the price per task-hour and the collateral of one task.
func bruteMoney(s Snapshot, p Pending, n Node) (price, collateral *big.Int) {
	sum := new(big.Rat)
	for _, t := range [][3]uint64{
		{p.Task.CPUMilli, n.Prices.CPU, 1000}, {p.Task.MemoryMiB, n.Prices.Memory, 1024},
		{p.Task.StorageMiB, n.Prices.Storage, 1024}, {p.Task.GPUs, n.Prices.GPU, 1},
	} {
		sum.Add(sum, new(big.Rat).SetFrac(new(big.Int).Mul(big64(t[0]), big64(t[1])), big64(t[2])))
	}
	price = new(big.Int).Quo(sum.Num(), sum.Denom())
	budget := ceilDiv(new(big.Int).Mul(price, big64(p.MaxDuration)), 3600)
	return price, ceilDiv(new(big.Int).Mul(budget, big64(uint64(s.Params.Collateral))), 10_000)
}

func bruteFits(s Snapshot, p Pending, n Node, free Resources, running uint32, funds *big.Int) bool {
	set := func(attributes []Attribute) map[Attribute]bool {
		m := map[Attribute]bool{}
		for _, a := range attributes {
			m[a] = true
		}
		return m
	}
	has, want := set(n.Attributes), set(p.Constraints.Attributes)
	for a := range want {
		if !has[a] {
			return false
		}
	}
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Index(list, v) >= 0 }
	c := p.Constraints
	price, collateral := bruteMoney(s, p, n)
	budget := ceilDiv(new(big.Int).Mul(price, big64(p.MaxDuration)), 3600)
	need := new(big.Int).Add(budget, ceilDiv(new(big.Int).Mul(budget, big64(uint64(s.Params.Fee))), 10_000))
	if funds == nil {
		funds = new(big.Int)
	}
	return n.Owner != p.Owner && slices.Index(p.ExcludedNodes, n.ID) < 0 && slices.Index(p.ExcludedOwners, n.Owner) < 0 &&
		in(c.Regions, n.Region) && in(c.Datacenters, n.Datacenter) && in(c.Arch, n.Arch) && in(c.OS, n.OS) && bruteRuns(n, p) &&
		(len(c.Nodes) == 0 || slices.Index(c.Nodes, n.ID) >= 0) && slices.Index(c.ExcludeNodes, n.ID) < 0 &&
		n.CPUSingle >= c.MinCPUSingle &&
		price.Cmp(big64(p.PriceCap)) <= 0 && need.Cmp(big64(p.TaskBudget)) <= 0 &&
		free.CPUMilli >= p.Task.CPUMilli && free.MemoryMiB >= p.Task.MemoryMiB &&
		free.StorageMiB >= p.Task.StorageMiB && free.GPUs >= p.Task.GPUs &&
		!(n.Probation && running > 0) && collateral.Cmp(funds) <= 0
}

func bruteRuns(n Node, p Pending) bool {
	if n.Runtimes == 0 {
		return p.Runtime == RuntimeWASM
	}
	return uint(n.Runtimes)/(1<<p.Runtime)%2 == 1
}

func bruteBetter(seed Seed, p Pending, a, b Node) bool {
	costOf := func(n Node) *big.Rat {
		price, _ := bruteMoney(Snapshot{}, p, n)
		return new(big.Rat).SetFrac(price, big64(max(n.CPUSingle, 1)))
	}
	if c := costOf(a).Cmp(costOf(b)); c != 0 {
		return c < 0
	}
	hash := func(n Node) []byte {
		h := sha256.New()
		h.Write(seed[:])
		h.Write(n.ID[:])
		h.Write(p.Job[:])
		h.Write(binary.BigEndian.AppendUint32(nil, p.First))
		return h.Sum(nil)
	}
	return bytes.Compare(hash(a), hash(b)) < 0
}
