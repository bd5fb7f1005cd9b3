package match

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// bruteWhere are the conditions that the test draws, and what each means for a node with what it has free, at a price.
var bruteWhere = []struct {
	source string
	holds  func(n Node, free Resources, price *big.Int) bool
}{
	{"", func(Node, Resources, *big.Int) bool { return true }},
	{`attr.disk == "ssd"`, func(n Node, _ Resources, _ *big.Int) bool {
		return slices.Contains(n.Attributes, Attribute{"disk", "ssd"})
	}},
	{`memory_mib > 600`, func(_ Node, free Resources, _ *big.Int) bool { return free.MemoryMiB > 600 }},
	{`price < 50`, func(_ Node, _ Resources, price *big.Int) bool { return price.Cmp(big.NewInt(50)) < 0 }},
	{"no such name", func(Node, Resources, *big.Int) bool { return false }},
}

// bruteOffers is the definition of Offers: the slices of the queue one after the other, each with what the batch's items before it left.
type bruteOffers struct {
	s               Snapshot
	tryOne          bool
	free            map[ID]Resources
	running         map[ID]uint32
	funds           map[ID]*big.Int
	onNode, onOwner map[[2]ID]uint32
	byID            map[ID]Node
}

func newBruteOffers(s Snapshot, tryOne bool) *bruteOffers {
	b := &bruteOffers{
		s: s, tryOne: tryOne, free: map[ID]Resources{}, running: map[ID]uint32{}, funds: map[ID]*big.Int{}, onNode: map[[2]ID]uint32{},
		onOwner: map[[2]ID]uint32{}, byID: map[ID]Node{},
	}
	for _, n := range s.Nodes {
		n.Probation = n.Probation || tryOne && n.Stats.Trials == 0
		b.byID[n.ID], b.free[n.ID], b.running[n.ID] = n, n.Free, n.Running
	}
	for _, f := range s.Funds {
		b.funds[f.Owner] = big64(f.Available)
	}
	for _, r := range s.Residents {
		if n, active := b.byID[r.Node]; active {
			b.onNode[[2]ID{r.Job, r.Node}] += r.Tasks
			b.onOwner[[2]ID{r.Job, n.Owner}] += r.Tasks
		}
	}
	return b
}

// where says whether the node meets the condition of p.
func (b *bruteOffers) where(p Pending, n Node) bool {
	price, _ := bruteMoney(b.s, p, n)
	for _, w := range bruteWhere {
		if w.source == p.Where {
			return w.holds(n, b.free[n.ID], price)
		}
	}
	panic("a condition that the test did not draw")
}

// tooDear says whether the price cap, the budget or the condition refuses the node.
func (b *bruteOffers) tooDear(p Pending, n Node) bool {
	price, _ := bruteMoney(b.s, p, n)
	budget := ceilDiv(new(big.Int).Mul(price, big64(p.MaxDuration)), 3600)
	budget.Add(budget, ceilDiv(new(big.Int).Mul(budget, big64(uint64(b.s.Params.Fee))), 10_000))
	return price.Cmp(big64(p.PriceCap)) > 0 || budget.Cmp(big64(p.TaskBudget)) > 0 || !b.where(p, n)
}

// wanted says whether the job's constraints and wishes leave a node that asks nothing, whatever is free.
func (b *bruteOffers) wanted(p Pending, n Node) bool {
	n.Prices, n.Probation = Prices{}, false
	for _, a := range p.Wishes.Affinity {
		if a.Weight == 0 && (b.onNode[[2]ID{a.Job, n.ID}] > 0) == a.Apart {
			return false
		}
	}
	w := p.Wishes
	return b.where(p, n) && bruteFits(b.s, p, n, p.Task, 0, nil) &&
		(w.PerNode == 0 || b.onNode[[2]ID{p.Job, n.ID}] < w.PerNode) && (w.PerOwner == 0 || b.onOwner[[2]ID{p.Job, n.Owner}] < w.PerOwner)
}

// stands tells whether the node is on offer for a task of p now, or asks too much for it, or is only busy.
func (b *bruteOffers) stands(p Pending, n Node) (in, tooDear, busy bool) {
	free, task := b.free[n.ID], p.Task
	fits := free.CPUMilli >= task.CPUMilli && free.MemoryMiB >= task.MemoryMiB && free.StorageMiB >= task.StorageMiB && free.GPUs >= task.GPUs &&
		(!n.Probation || b.running[n.ID] == 0)
	wanted := b.wanted(p, n) && (fits || b.running[n.ID] > 0)
	_, collateral := bruteMoney(b.s, p, n)
	funds := b.funds[n.Owner]
	if funds == nil {
		funds = new(big.Int)
	}
	dear := b.tooDear(p, n)
	covered := fits && collateral.Cmp(funds) <= 0
	return wanted && !dear && covered, wanted && dear, wanted && !dear && !covered
}

// apply reserves what an item takes.
func (b *bruteOffers) apply(p Pending, item Item) {
	n := b.byID[item.Node]
	b.free[n.ID] = b.free[n.ID].minus(p.Task, item.Count)
	b.running[n.ID] += item.Count
	b.onNode[[2]ID{p.Job, n.ID}] += item.Count
	b.onOwner[[2]ID{p.Job, n.Owner}] += item.Count
	if _, collateral := bruteMoney(b.s, p, n); collateral.Sign() > 0 {
		b.funds[n.Owner].Sub(b.funds[n.Owner], collateral.Mul(collateral, big64(uint64(item.Count))))
	}
}

func (b *bruteOffers) count(batch Batch, since int64) map[ID]Offers {
	out := map[ID]Offers{}
	for _, n := range b.s.Nodes {
		out[n.ID] = Offers{Node: n.ID, Class: n.Class, Prices: n.Prices}
	}
	queue := slices.Clone(b.s.Pending)
	sort.Slice(queue, func(i, j int) bool {
		x, y := queue[i], queue[j]
		if x.Height != y.Height {
			return x.Height < y.Height
		}
		if c := compareIDs(x.Job, y.Job); c != 0 {
			return c < 0
		}
		return x.Slice < y.Slice
	})
	for _, p := range queue {
		got := map[ID]bool{}
		var items []Item
		for _, item := range batch.Items {
			if item.Job == p.Job && item.Slice == p.Slice {
				items = append(items, item)
				got[item.Node] = true
			}
		}
		full := false
		for _, u := range batch.Unmatched {
			full = full || u.Job == p.Job && u.Slice == p.Slice && u.Full
		}
		for _, n := range b.byID {
			o := out[n.ID]
			switch in, tooDear, busy := b.stands(p, n); {
			case len(items) == 0 && (full || p.Height <= since):
			case tooDear, busy && len(items) > 0:
				o.Missed++
			case in && len(items) > 0:
				o.Offered++
				if got[n.ID] {
					o.Accepted++
				}
			}
			out[n.ID] = o
		}
		for _, item := range items {
			b.apply(p, item)
		}
	}
	return out
}

func TestOffersAreTheirDefinition(t *testing.T) {
	var offered, accepted, missed uint32
	check := func(t *rapid.T) {
		s, seed, policy := generateWishes(t), drawSeed(t), drawPolicy(t)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "where"), 1))
		for i := range s.Pending {
			s.Pending[i].Where = bruteWhere[rng.IntN(len(bruteWhere))].source
		}
		since := int64(rapid.IntRange(-1, 2).Draw(t, "since"))
		batch, err := policy.Match(s, seed)
		require.NoError(t, err)
		want := newBruteOffers(s, policy.Config.TryOne).count(batch, since)

		for _, w := range want {
			offered, accepted, missed = offered+w.Offered, accepted+w.Accepted, missed+w.Missed
		}
		var asked []ID
		for i := range byte(8) {
			if rapid.Bool().Draw(t, "asked for") {
				asked = append(asked, idOf('n', i))
			}
		}
		got, err := policy.Offers(s, seed, since, asked)
		require.NoError(t, err)
		known := 0
		for _, id := range asked {
			if w, there := want[id]; there {
				require.Equal(t, w, got[known])
				known++
			}
		}
		require.Len(t, got, known)

		again, err := policy.Match(s, seed)
		require.NoError(t, err)
		require.Equal(t, batch, again, "counting changes nothing")
	}
	// Few of the drawn decisions are offered and go to another node; a hundred draws may have none.
	for range 10 {
		if rapid.Check(t, check); offered > accepted {
			break
		}
	}
	t.Logf("%d offers, %d accepted, %d missed", offered, accepted, missed)
	require.NotZero(t, accepted)
	require.Greater(t, offered, accepted)
	require.NotZero(t, missed)
}

// A slice is one decision, whatever its tasks and items; a batch that is full decides nothing more; new slices alone are lost to a price.
func TestOffersOfASlice(t *testing.T) {
	p, s := fleet(3)
	p.Count, p.PriceCap = 5, taskHourPrice(t, s.Nodes[1].Prices, p.Task)
	dear := p
	dear.Job, dear.Height, dear.PriceCap = idOf('j', 2), 7, 1
	s.Pending = []Pending{p, dear}
	offers := func(since int64) []Offers {
		got, err := Learned{}.Offers(s, Seed{}, since, []ID{s.Nodes[0].ID, s.Nodes[1].ID, s.Nodes[1].ID, s.Nodes[2].ID, idOf('n', 99)})
		require.NoError(t, err)
		require.Len(t, got, 3, "each node once, unknown ones not at all")
		for i := range got {
			require.Equal(t, s.Nodes[i].ID, got[i].Node)
			require.Equal(t, s.Nodes[i].Prices, got[i].Prices)
		}
		return got
	}
	count := func(o Offers) [3]uint32 { return [3]uint32{o.Offered, o.Accepted, o.Missed} }
	got := offers(6)
	require.Equal(t, [3]uint32{1, 1, 1}, count(got[0]), "its three tasks of one slice are one")
	require.Equal(t, [3]uint32{1, 1, 1}, count(got[1]))
	require.Equal(t, [3]uint32{0, 0, 2}, count(got[2]), "over the cap of both")
	require.Equal(t, [3]uint32{1, 1, 0}, count(offers(7)[1]), "the second slice was counted before")

	s.Params.MaxItems = 1
	got = offers(6)
	require.Equal(t, [3]uint32{1, 1, 0}, count(got[0]))
	require.Equal(t, [3]uint32{1, 0, 0}, count(got[1]), "the batch is full")
	require.Equal(t, [3]uint32{0, 0, 1}, count(got[2]))
}

// taskHourPrice is the price, which must exist.
func taskHourPrice(t *testing.T, prices Prices, task Resources) uint64 {
	t.Helper()
	price, ok := TaskHourPrice(prices, task)
	require.True(t, ok)
	return price
}

// A gang that does not fit is no decision: nobody was chosen. Nor is one for which the batch had no room.
func TestOffersOfAGang(t *testing.T) {
	p, s := fleet(3)
	p.Wishes.Gang, p.Count, p.PriceCap = true, 7, taskHourPrice(t, s.Nodes[1].Prices, p.Task)
	s.Pending = []Pending{p}
	missed := func() (sum uint32) {
		got, err := Learned{}.Offers(s, Seed{}, -1, []ID{s.Nodes[0].ID, s.Nodes[1].ID, s.Nodes[2].ID})
		require.NoError(t, err)
		for _, o := range got {
			require.Zero(t, o.Offered+o.Accepted)
			sum += o.Missed
		}
		return sum
	}
	require.EqualValues(t, 1, missed())
	s.Params.MaxItems = 1
	require.Zero(t, missed())
}

// A node that is full has missed what others got, unless it could never hold it; what nobody got waits.
func TestOffersOfABusyNode(t *testing.T) {
	p, s := fleet(2)
	p.Count = 3
	next, small, waits := p, p, p
	next.Job, next.Height, next.Count = idOf('j', 2), 1, 2
	small.Job, small.Height, small.Count, small.Task.CPUMilli = idOf('j', 3), 2, 1, 1
	waits.Job, waits.Height, waits.Count = idOf('j', 4), 3, 9
	s.Nodes[1].Free.CPUMilli = 4001 // two tasks and the small one
	s.Pending = []Pending{p, next, small}
	got, err := Learned{}.Offers(s, Seed{}, -1, []ID{s.Nodes[0].ID, s.Nodes[1].ID})
	require.NoError(t, err)
	require.EqualValues(t, [3]uint32{1, 1, 2}, [3]uint32{got[0].Offered, got[0].Accepted, got[0].Missed})
	require.EqualValues(t, [3]uint32{3, 2, 0}, [3]uint32{got[1].Offered, got[1].Accepted, got[1].Missed})

	s.Pending = []Pending{p, waits}
	s.Nodes = s.Nodes[:1]
	got, err = Learned{}.Offers(s, Seed{}, -1, []ID{s.Nodes[0].ID})
	require.NoError(t, err)
	require.EqualValues(t, [3]uint32{1, 1, 0}, [3]uint32{got[0].Offered, got[0].Accepted, got[0].Missed})

	s.Pending[0].Task.CPUMilli = 6001
	got, err = Learned{}.Offers(s, Seed{}, -1, []ID{s.Nodes[0].ID})
	require.NoError(t, err)
	require.EqualValues(t, [3]uint32{1, 1, 0}, [3]uint32{got[0].Offered, got[0].Accepted, got[0].Missed}, "it could never hold the first")
}

// Who got a task of one slice need not get one of the next.
func TestOffersForgetTheSliceBefore(t *testing.T) {
	p, s := fleet(2)
	p.Count = 1
	next := p
	next.Job, next.Height = idOf('j', 2), 1
	next.Wishes.Prefer = []Preference{{`datacenter == "b"`, 900_000}}
	s.Pending = []Pending{p, next}
	got, err := Learned{}.Offers(s, Seed{}, -1, []ID{s.Nodes[0].ID, s.Nodes[1].ID})
	require.NoError(t, err)
	for _, o := range got {
		require.EqualValues(t, 2, o.Offered)
		require.EqualValues(t, 1, o.Accepted)
	}
}

// What a count costs beside the batch itself: the difference is all that an oracle pays, after its vote.
func BenchmarkOffers(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := Snapshot{Params: Params{MaxItems: 1000, MaxSliceTasks: 256, Fee: 100, Collateral: 3000}, Time: 1}
	var asked []ID
	for i := range 10_000 {
		n := randomNode(rng, i, true)
		s.Nodes = append(s.Nodes, n)
		s.Funds = append(s.Funds, Funds{Owner: n.Owner, Available: 1 << 50})
		if i%5 == 0 {
			asked = append(asked, n.ID)
		}
	}
	slices.SortFunc(s.Funds, func(x, y Funds) int { return compareIDs(x.Owner, y.Owner) })
	s.Funds = slices.CompactFunc(s.Funds, func(x, y Funds) bool { return x.Owner == y.Owner })
	for i := range 500 {
		s.Pending = append(s.Pending, Pending{
			Job: ID{1: byte(i), 2: byte(i >> 8)}, Owner: idOf('d', 1), Count: 1, Task: Resources{CPUMilli: 1000, MemoryMiB: 1024},
			PriceCap: 1 << 40, MaxDuration: 3600, TaskBudget: 1 << 50, Where: `cpu_single > 100 && price < 100000000`,
		})
	}
	policy := Learned{DefaultConfig()}
	b.Run("batch", func(b *testing.B) {
		for b.Loop() {
			if _, err := policy.Match(s, Seed{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("batch and offers to 2000 nodes", func(b *testing.B) {
		for b.Loop() {
			if _, err := policy.Offers(s, Seed{}, 0, asked); err != nil {
				b.Fatal(err)
			}
		}
	})
}
