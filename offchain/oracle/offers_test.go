package oracle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/match"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// listener is an agent's session; what it is told it adds up as an agent does, by window.
type listener struct {
	t     require.TestingT
	name  string
	done  chan struct{}
	from  uint64
	seen  map[uint64]bool
	told  map[[2]uint64]link.OfferCount // by window and price
	first []link.ClassCount
	calls int
}

func newListener(t require.TestingT, name string) *listener {
	return &listener{t: t, name: name, done: make(chan struct{}), seen: map[uint64]bool{}, told: map[[2]uint64]link.OfferCount{}}
}

func (l *listener) NodeID() string        { return l.name }
func (l *listener) Done() <-chan struct{} { return l.done }

func (l *listener) SendOffers(r link.OffersReport) error {
	require.NoError(l.t, r.Validate())
	require.GreaterOrEqual(l.t, r.From, l.from, "a link takes windows in order")
	if l.calls++; l.calls == 1 {
		l.first = r.Class
	} else {
		require.Empty(l.t, r.Class)
	}
	for w := r.From; w < r.Until; w++ {
		require.False(l.t, l.seen[w], "window %d twice", w)
		l.seen[w] = true
	}
	for _, c := range r.Counts {
		l.told[[2]uint64{c.Window, c.Price}] = c
	}
	l.from = r.Until
	return nil
}

// again is the session of the same agent after it has reconnected.
func (l *listener) again() *listener {
	close(l.done)
	next := *l
	next.done, next.calls = make(chan struct{}), 0
	return &next
}

func testNodeID(i byte) (string, match.ID) {
	id := escrowtypes.ID{0: i, 19: i}
	return id.Bech32(nodestypes.NodeHRP), match.ID(id)
}

// grid answers the desk's questions about rounds: at each height the nodes ask some price and a job waits that takes the cheapest.
type grid struct {
	desk     *offerDesk
	prices   []uint64 // of the nodes, changed by the test
	rounds   map[uint64]Question
	executed map[uint64]bool
	broken   bool // the chain does not answer
	short    bool // its list of rounds does not reach back far enough
	next     uint64
	// truth is what match.Offers says of each round that was executed, by node, window and price.
	truth map[byte]map[[2]uint64]link.OfferCount
	since int64
}

var errBroken = errors.New("the chain does not answer")

func newTestGrid(nodes int) *grid {
	g := &grid{
		rounds: map[uint64]Question{}, executed: map[uint64]bool{}, prices: make([]uint64, nodes), truth: map[byte]map[[2]uint64]link.OfferCount{},
	}
	for i := range g.prices {
		g.prices[i] = uint64(100 + i)
		g.truth[byte(i)] = map[[2]uint64]link.OfferCount{}
	}
	g.desk = &offerDesk{
		log: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1), book: newOfferBook(), subs: map[string]*offerSub{},
		read: func(_ context.Context, height int64) (Question, error) {
			for _, q := range g.rounds {
				if q.Height == height && !g.broken {
					return q, nil
				}
			}
			return Question{}, errBroken
		},
		executed: func(_ context.Context, round uint64) ([]byte, bool, error) {
			if g.broken {
				return nil, false, errBroken
			}
			claim := claimOf(g.rounds[round])
			return claim[:], g.executed[round], nil
		},
		class: func(context.Context, string) (uint32, error) { return 3, nil },
	}
	g.desk.unseen = func(_ context.Context, from int64) ([]matchRound, bool, error) {
		if g.broken {
			return nil, false, errBroken
		}
		var out []matchRound
		for id, q := range g.rounds {
			if q.Height > from {
				out = append(out, matchRound{id, q.Height})
			}
		}
		return out, !g.short, nil
	}
	return g
}

func claimOf(q Question) [sha256.Size]byte {
	body, err := q.Batch()
	if err != nil {
		panic(err)
	}
	return sha256.Sum256(body)
}

// open makes the question of a match round at a height.
func (g *grid) open(height int64, jobs int) matchRound {
	q := Question{Height: height, Version: "lowest-cost", Seed: match.Seed{1: byte(height)}}
	q.Snapshot.Params = match.Params{MaxItems: 10, MaxSliceTasks: 10, Fee: 100}
	q.Snapshot.Time = height
	for i, price := range g.prices {
		_, id := testNodeID(byte(i))
		q.Snapshot.Nodes = append(q.Snapshot.Nodes, match.Node{
			ID: id, Index: uint32(i + 1), Owner: match.ID{byte(i)}, Class: 3, Free: match.Resources{CPUMilli: 2000}, Prices: match.Prices{CPU: price},
		})
	}
	for i := range jobs {
		q.Snapshot.Pending = append(q.Snapshot.Pending, match.Pending{
			Job: match.ID{0: 9, 18: byte(height), 19: byte(i)}, Owner: match.ID{99}, Count: 1, Height: height, Task: match.Resources{CPUMilli: 1000},
			PriceCap: 102, MaxDuration: 3600, TaskBudget: 1000,
		})
	}
	g.next++
	g.rounds[g.next] = q
	return matchRound{g.next, height}
}

// execute ends a round whose batch the chain took.
func (g *grid) execute(t require.TestingT, r matchRound) {
	q := g.rounds[r.id]
	g.executed[r.id] = true
	var ids []match.ID
	for i := range g.prices {
		_, id := testNodeID(byte(i))
		ids = append(ids, id)
	}
	policy, _ := match.Named(q.Version)
	offers, err := policy.Offers(q.Snapshot, q.Seed, g.since, ids)
	require.NoError(t, err)
	for i, o := range offers {
		if o.Offered+o.Missed == 0 {
			continue
		}
		key := [2]uint64{link.WindowOf(r.height), o.Prices.CPU}
		c := g.truth[byte(i)][key]
		c.Window, c.Price = key[0], key[1]
		c.Offered, c.Accepted, c.Missed = c.Offered+o.Offered, c.Accepted+o.Accepted, c.Missed+o.Missed
		g.truth[byte(i)][key] = c
	}
	g.since = r.height
}

// Whatever happens to rounds, to the oracle and to the links, an agent is told each window at most once, and of a window that it is told
// all that there was.
func TestOffersAreToldOnceAndWhole(t *testing.T) {
	told := 0
	rapid.Check(t, func(t *rapid.T) {
		g := newTestGrid(3)
		ctx := context.Background()
		g.desk.look(1, nil, nil)
		g.desk.work(ctx, time.Now())
		var agents [2]*listener
		for i := range agents {
			name, _ := testNodeID(byte(i))
			agents[i] = newListener(t, name)
			g.desk.ask(agents[i], 0)
		}
		height := int64(1)
		var open []matchRound
		look := func(ended ...matchRound) {
			g.desk.look(height, open, ended)
			if rapid.IntRange(0, 3).Draw(t, "busy") > 0 {
				g.desk.work(ctx, time.Now())
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"blocks": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "blocks") {
					height += rapid.Int64Range(1, maxBlind).Draw(t, "step")
					look()
				}
			},
			"round": func(t *rapid.T) {
				g.prices[0] = rapid.Uint64Range(98, 104).Draw(t, "price")
				height++
				r := g.open(height, rapid.IntRange(1, 5).Draw(t, "jobs"))
				open = []matchRound{r}
				look()
				if rapid.Bool().Draw(t, "answered") {
					g.desk.hold(r.id, g.rounds[r.id], claimOf(g.rounds[r.id]))
				}
				for range rapid.IntRange(0, 2*link.OffersWindow).Draw(t, "blocks until decided") {
					height++
					look()
				}
				if rapid.IntRange(0, 4).Draw(t, "executed") > 0 {
					g.execute(t, r)
				}
				open = nil
				g.broken = rapid.IntRange(0, 7).Draw(t, "broken") == 0
				height++
				look(r)
				g.desk.work(ctx, time.Now())
				g.broken = false
				g.since, g.desk.since = height, height // nothing queued before is new, wherever the last count failed
			},
			"blind": func(t *rapid.T) {
				// While nobody looks, a round comes and goes.
				g.desk.work(ctx, time.Now())
				r := g.open(height+1, 2)
				g.execute(t, r)
				height += 3 + rapid.Int64Range(0, 3*link.OffersWindow).Draw(t, "blocks unseen")
				g.broken, g.short = rapid.IntRange(0, 3).Draw(t, "broken") == 0, rapid.IntRange(0, 3).Draw(t, "short") == 0
				look()
				g.desk.work(ctx, time.Now())
				g.broken, g.short = false, false
				g.since, g.desk.since = height, height
			},
			"reconnect": func(t *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(t, "agent")
				agents[i] = agents[i].again()
				g.desk.ask(agents[i], agents[i].from)
			},
			"": func(t *rapid.T) {
				for i, a := range agents {
					for w := range a.seen {
						for key, c := range g.truth[byte(i)] {
							if key[0] == w {
								require.Equal(t, c, a.told[key], "node %d", i)
								told++
							}
						}
					}
					for key, c := range a.told {
						require.Equal(t, g.truth[byte(i)][key], c, "node %d", i)
					}
				}
			},
		})
	})
	require.NotZero(t, told)
}

// A calm oracle tells all windows but the one in which it began.
func TestOffersOfACalmOracle(t *testing.T) {
	g := newTestGrid(2)
	g.desk.look(10, nil, nil)
	name, _ := testNodeID(0)
	a := newListener(t, name)
	g.desk.ask(a, 0)
	g.desk.work(t.Context(), time.Now())
	require.Equal(t, 1, a.calls, "greeted at once")
	last := int64(6 * link.OffersWindow)
	for height := int64(11); height <= last; height++ {
		if height%10 == 0 {
			r := g.open(height, 1)
			g.desk.look(height, []matchRound{r}, nil)
			g.execute(t, r)
			g.desk.hold(r.id, g.rounds[r.id], claimOf(g.rounds[r.id]))
			height++
			g.desk.look(height, nil, []matchRound{r})
			g.desk.work(t.Context(), time.Now())
			continue
		}
		g.desk.look(height, nil, nil)
		g.desk.work(t.Context(), time.Now())
	}
	require.Len(t, a.seen, 5)
	require.False(t, a.seen[0])
	var accepted uint32
	for _, c := range a.told {
		require.EqualValues(t, 100, c.Price)
		require.Equal(t, c.Offered, c.Accepted)
		accepted += c.Accepted
	}
	require.EqualValues(t, 32, accepted, "the rounds at 70, 80, … 380")

	later := newListener(t, name)
	g.desk.ask(later, 3)
	g.desk.work(t.Context(), time.Now())
	require.Len(t, later.seen, 3)
	// Both nodes had the offers of all 37 rounds, since that at 20; the cheaper got them.
	require.Equal(t, []link.ClassCount{{Price: 108, Offers: 2 * 37, Accepted: 37}}, later.first)
}

// An oracle that sees every tenth block only, and no round while it is open, asks for what it has not seen and tells all the same.
func TestOffersOfASlowOracle(t *testing.T) {
	g := newTestGrid(2)
	g.desk.look(10, nil, nil)
	name, _ := testNodeID(0)
	a := newListener(t, name)
	g.desk.ask(a, 0)
	g.desk.work(t.Context(), time.Now())
	for height := int64(20); height <= 3*link.OffersWindow+10; height += 10 {
		g.execute(t, g.open(height-5, 1))
		g.short = height == 100
		g.desk.look(height, nil, nil)
		g.desk.work(t.Context(), time.Now())
	}
	require.Equal(t, map[uint64]bool{2: true}, a.seen, "neither that in which it began nor that of the short list")
	require.Equal(t, map[[2]uint64]link.OfferCount{{2, 100}: {Window: 2, Price: 100, Offered: 6, Accepted: 6}}, a.told)
}

// A slice that waits for a lower price was missed once, however many batches leave it where it is.
func TestOffersOfASliceThatWaits(t *testing.T) {
	g := newTestGrid(1)
	g.prices[0] = 200
	name, _ := testNodeID(0)
	a := newListener(t, name)
	g.desk.look(1, nil, nil)
	g.desk.ask(a, 0)
	g.desk.work(t.Context(), time.Now())
	for height := int64(2); height < 2*link.OffersWindow; height++ {
		var ended []matchRound
		if height >= 100 && height%7 == 0 {
			r := g.open(height-2, 1)
			g.rounds[r.id].Snapshot.Pending[0].Height = 90
			g.executed[r.id] = true
			ended = []matchRound{r}
		}
		g.desk.look(height, nil, ended)
		g.desk.work(t.Context(), time.Now())
	}
	g.desk.look(2*link.OffersWindow, nil, nil)
	g.desk.work(t.Context(), time.Now())
	require.Equal(t, map[[2]uint64]link.OfferCount{{1, 200}: {Window: 1, Price: 200, Missed: 1}}, a.told)
}

// An oracle that cannot keep up counts the newest rounds, and leaves out the windows of the others.
func TestOffersOfAnOracleThatIsBehind(t *testing.T) {
	g := newTestGrid(1)
	name, _ := testNodeID(0)
	a := newListener(t, name)
	g.desk.look(1, nil, nil)
	g.desk.ask(a, 0)
	g.desk.work(t.Context(), time.Now())
	for height := int64(2); height < 10*link.OffersWindow; height++ {
		var ended []matchRound
		if height%link.OffersWindow == 5 {
			r := g.open(height-2, 1)
			g.execute(t, r)
			ended = []matchRound{r}
		}
		g.desk.look(height, nil, ended)
	}
	g.desk.work(t.Context(), time.Now())
	require.Equal(t, map[uint64]bool{6: true, 7: true, 8: true, 9: true}, a.seen)
	require.Len(t, a.told, maxBehind)
}

// A batch that is not what this oracle computes, or that it cannot compute, leaves its window out.
func TestOffersOfAStrangeBatch(t *testing.T) {
	for name, spoil := range map[string]func(*grid, matchRound){
		"another claim": func(g *grid, _ matchRound) {
			g.desk.executed = func(context.Context, uint64) ([]byte, bool, error) { return make([]byte, 32), true, nil }
		},
		"an unknown policy": func(g *grid, r matchRound) {
			q := g.rounds[r.id]
			q.Version = "greedy/99"
			g.rounds[r.id] = q
			g.desk.executed = func(context.Context, uint64) ([]byte, bool, error) { return nil, true, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTestGrid(1)
			node, _ := testNodeID(0)
			a := newListener(t, node)
			g.desk.look(1, nil, nil)
			g.desk.ask(a, 0)
			g.desk.work(t.Context(), time.Now())
			r := g.open(2*link.OffersWindow, 1)
			spoil(g, r)
			for h := int64(2); h < 4*link.OffersWindow; h++ {
				var ended []matchRound
				if h == r.height+2 {
					ended = []matchRound{r}
				}
				g.desk.look(h, nil, ended)
				g.desk.work(t.Context(), time.Now())
			}
			require.Equal(t, map[uint64]bool{1: true, 3: true}, a.seen, "window 2 is a hole")
		})
	}
}

// The desk's memory is bounded: places go to agents that are here, rows and spans to the newest.
func TestOfferBookIsBounded(t *testing.T) {
	b := newOfferBook()
	now := time.Now()
	for i := range maxOfferNodes {
		require.True(t, b.watch(fmt.Sprint(i), match.ID{0: byte(i), 1: byte(i >> 8)}, 0, 0))
	}
	require.False(t, b.watch("late", match.ID{}, 0, 0))
	b.nodes["5"].left = now
	b.nodes["6"].left = now.Add(-time.Minute)
	require.True(t, b.watch("late", match.ID{}, 0, 0))
	require.NotContains(t, b.nodes, "6", "who left first makes room")
	b.forget(now.Add(offersKept))
	require.Contains(t, b.nodes, "5")
	b.forget(now.Add(offersKept + time.Second))
	require.NotContains(t, b.nodes, "5")

	for w := range int64(2 * maxOfferRows) {
		b.record("late", w*link.OffersWindow, match.Offers{Offered: 1, Prices: match.Prices{CPU: 7}})
	}
	b.over(2 * maxOfferRows)
	n := b.nodes["late"]
	require.LessOrEqual(t, len(n.rows), maxOfferRows)
	reports := b.reports(n, 0)
	require.Len(t, reports, 2)
	require.Equal(t, n.rows[0].Window, reports[0].From, "what was dropped is not said to be nothing")
	require.Len(t, reports[0].Counts, link.MaxOfferCounts)
	require.Equal(t, reports[0].Until, reports[1].From)
	require.EqualValues(t, 2*maxOfferRows, reports[1].Until)

	for i := range uint64(2 * maxSpans) {
		at := 2*maxOfferRows + 2*i
		b.hole(span{at, at + 1})
		b.over(at + 2)
	}
	require.LessOrEqual(t, len(b.spans), maxSpans)
	require.Empty(t, b.holes)

	for class := range uint32(2 * maxOfferClasses) {
		b.recordClass(0, match.Offers{Class: class, Offered: 1, Prices: match.Prices{CPU: 7}})
	}
	require.LessOrEqual(t, len(b.classes), maxOfferClasses)
	require.NotEmpty(t, b.class(2*maxOfferClasses-1), "newer classes have the higher numbers")
}

func TestClassOffersFade(t *testing.T) {
	b := newOfferBook()
	for range 1000 {
		b.recordClass(0, match.Offers{Offered: 2, Accepted: 1, Missed: 1, Prices: match.Prices{GPU: 1_000_000}})
	}
	b.recordClass(0, match.Offers{Offered: 2})
	require.Equal(t, []link.ClassCount{{Price: 1_048_576, Offers: 3000, Accepted: 1000}}, b.class(0))
	b.recordClass(classHalfLife, match.Offers{Missed: 5, Prices: match.Prices{CPU: 7}})
	require.Equal(t, []link.ClassCount{{Price: 7, Offers: 5}, {Price: 1_048_576, Offers: 1500, Accepted: 500}}, b.class(0))
}

// Every oracle draws the same sample, a few of each class, and other ones with another seed.
func TestSampleOfClasses(t *testing.T) {
	var s match.Snapshot
	for i := range 300 {
		s.Nodes = append(s.Nodes, match.Node{ID: match.ID{0: byte(i), 19: byte(i >> 8)}, Class: uint32(i % 3)})
	}
	s.Nodes = append(s.Nodes, match.Node{ID: match.ID{18: 1}, Class: 9})
	first := sampleClasses(s, match.Seed{1})
	require.Len(t, first, 3*classSample+1)
	drawn := map[match.ID]bool{}
	for i := range byte(60) {
		got := sampleClasses(s, match.Seed{1: i, 5: i})
		for id := range got {
			drawn[id] = true
		}
		for i, j := 0, len(s.Nodes)-1; i < j; i, j = i+1, j-1 {
			s.Nodes[i], s.Nodes[j] = s.Nodes[j], s.Nodes[i]
		}
		require.Equal(t, got, sampleClasses(s, match.Seed{1: i, 5: i}), "whatever the order")
	}
	require.Greater(t, len(drawn), 250, "every node has its turn")
}
