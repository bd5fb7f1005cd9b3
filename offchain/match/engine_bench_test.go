package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// BenchmarkDecide runs 1,000 queries over and over against nodes of the catalogue, under the shipped loss with noise and
// capacities. λ is ufog for a second of round trip. The percentiles are over the queries, each with the best of its
// rounds, so that they tell of the index and not of what else the machine does.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []int{10_000, 1_000_000} {
		nodes := population(b, size)
		for _, version := range []string{"greedy/1", "thompson/1"} {
			policy, _ := Named(version)
			e := engineOf(b, policy.Config, nodes)
			for _, latency := range []uint64{0, 50_000, 1_000_000} {
				qs := queries(rand.New(rand.NewPCG(3, 4)), 1000, latency)
				b.Run(fmt.Sprintf("nodes=%d/%s/lambda=%d", size, version, latency), func(b *testing.B) {
					took, blocks, i := newTimes(len(qs)), 0, 0
					var d Decision
					for i := range qs { // the orders are made when they are first asked for
						e.Decide(&qs[i], Seed{}, &d)
					}
					since := cpuTime()
					for b.Loop() {
						start := time.Now()
						if !e.Decide(&qs[i%len(qs)], Seed{}, &d) {
							b.Fatal("no node")
						}
						took.add(i, time.Since(start))
						blocks += d.Blocks
						i++
					}
					took.report(b)
					b.ReportMetric(float64(b.N)/(cpuTime()-since).Seconds(), "decisions/cpu-s")
					b.ReportMetric(float64(blocks)/float64(b.N), "blocks/op")
				})
			}
		}
	}
}

// BenchmarkDecideRare asks for what one in so many nodes has.
func BenchmarkDecideRare(b *testing.B) {
	const size = 1_000_000
	for _, every := range []int{100, 10_000} {
		nodes := population(b, size)
		rare := Constraints{Attributes: []Attribute{{"kind", "rare"}}}
		rng := rand.New(rand.NewPCG(9, 9))
		for i := range nodes {
			nodes[i].Attributes = []Attribute{{"kind", "common"}}
			if rng.IntN(every) == 0 {
				nodes[i].Attributes = rare.Attributes
			}
		}
		e := engineOf(b, DefaultConfig(), nodes)
		qs := queries(rand.New(rand.NewPCG(3, 4)), 100, 0)
		for i := range qs {
			qs[i].Runners = runnersUp
			qs[i].Accept = func(_ Ref, n *Node) bool { return n.Attributes[0] == rare.Attributes[0] }
		}
		for _, told := range []bool{false, true} {
			for i := range qs {
				qs[i].needs = nil
				if told {
					qs[i].needs = (&state{}).needs(&Pending{Constraints: rare})
				}
			}
			b.Run(fmt.Sprintf("one-in=%d/told=%v", every, told), func(b *testing.B) {
				took, blocks, i := newTimes(len(qs)), 0, 0
				var d Decision
				e.Decide(&qs[0], Seed{}, &d)
				since := cpuTime()
				for b.Loop() {
					start := time.Now()
					e.Decide(&qs[i%len(qs)], Seed{}, &d)
					took.add(i, time.Since(start))
					blocks += d.Blocks
					i++
				}
				took.report(b)
				b.ReportMetric(float64(b.N)/(cpuTime()-since).Seconds(), "decisions/cpu-s")
				b.ReportMetric(float64(blocks)/float64(b.N), "blocks/op")
			})
		}
	}
}

// BenchmarkUpdate touches nodes of an indexed engine in every way that a decision or the chain does, with one order of the nodes and, once a query
// has asked for places, with both. Every so many changes the orders follow, as for a query.
func BenchmarkUpdate(b *testing.B) {
	for _, size := range []int{10_000, 1_000_000} {
		nodes := population(b, size)
		for orders := 1; orders <= 2; orders++ {
			e := engineOf(b, DefaultConfig(), nodes)
			var d Decision
			e.Decide(&queries(rand.New(rand.NewPCG(3, 4)), 1, uint64(orders-1)*1e9)[0], Seed{}, &d)
			if e.index.placed != (orders == 2) {
				b.Fatal("not the orders that were asked for")
			}
			for _, every := range []int{1, 100} {
				benchmarkUpdates(b, e, fmt.Sprintf("nodes=%d/orders=%d/follow=%d/", size, orders, every), every)
			}
		}
	}
}

func benchmarkUpdates(b *testing.B, e *Engine, name string, every int) {
	rng := rand.New(rand.NewPCG(5, 6))
	refs := make([]Ref, 1<<16)
	for i := range refs {
		refs[i] = Ref(rng.IntN(e.Len()))
	}
	task := Resources{CPUMilli: 1000, MemoryMiB: 1024}
	i := 0
	for _, c := range []struct {
		name   string
		change func(r Ref)
	}{
		{"reserve-release", func(r Ref) { // two touches
			if e.Reserve(r, task, 1) == nil {
				e.Release(r, task, 1)
			}
		}},
		{"observe", func(r Ref) { e.Observe(r, Outcome{Success: i%9 > 0, Speed: One + uint32(i%4096)}) }},
		{"price", func(r Ref) {
			p := e.Node(r).Prices
			p.CPU += uint64(i%2)*p.CPU/20 - uint64((i+1)%2)*p.CPU/20
			e.SetPrices(r, p)
		}},
		{"leave-come", func(r Ref) { // two touches
			n := *e.Node(r)
			e.Remove(r)
			if _, err := e.Add(n); err != nil {
				b.Fatal(err)
			}
		}},
	} {
		b.Run(name+c.name, func(b *testing.B) {
			since := cpuTime()
			for b.Loop() {
				i++
				c.change(refs[i%len(refs)])
				if i%every == 0 {
					e.index.byCost.follow(e.nodes)
					e.index.byPlace.follow(e.nodes)
				}
			}
			b.ReportMetric(float64((cpuTime()-since).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// times are the best times of queries.
type times []time.Duration

func newTimes(n int) times {
	t := make(times, n)
	for i := range t {
		t[i] = 1 << 62
	}
	return t
}

func (t times) add(i int, took time.Duration) { t[i%len(t)] = min(t[i%len(t)], took) }

func (t times) report(b *testing.B) {
	sorted := slices.Clone(t)
	sorted = slices.DeleteFunc(sorted, func(d time.Duration) bool { return d == 1<<62 })
	slices.Sort(sorted)
	b.ReportMetric(float64(sorted[len(sorted)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(sorted[len(sorted)*99/100].Nanoseconds()), "p99-ns")
}

// BenchmarkLearned has the shapes of Nomad's scheduler benchmark: equal machines in two data centres and 75 racks, of which a job may use half, and 1,200
// tasks of which two fit on a machine, spread over the racks or not. Here each task goes to a machine of its own, and a round includes putting
// the snapshot into the engine, learning the priors and reserving.
func BenchmarkLearned(b *testing.B) {
	const racks = 75
	for _, size := range []int{1000, 5000} {
		for _, spread := range []Scope{ScopeNone, ScopeDatacenter} {
			b.Run(fmt.Sprintf("nodes=%d/spread=%v", size, spread != ScopeNone), func(b *testing.B) {
				s := crowd(size, 1, 1200)
				s.Params.MaxItems = 5000
				for i := range s.Nodes {
					n := &s.Nodes[i]
					n.Region, n.Datacenter = fmt.Sprint("dc-", i%2), fmt.Sprint("r", i%racks)
					n.Free = Resources{CPUMilli: 14_000, MemoryMiB: 32_000, StorageMiB: 100 * 1024}
				}
				p := &s.Pending[0]
				p.Task = Resources{CPUMilli: 6000, MemoryMiB: 6000, StorageMiB: 150}
				p.Constraints = Constraints{Regions: []string{"dc-0", "dc-1"}}
				for i := range racks / 2 {
					p.Constraints.Datacenters = append(p.Constraints.Datacenters, fmt.Sprint("r", i))
				}
				p.Wishes = Wishes{Spread: spread, PerNode: 1}
				placed, since := 0, cpuTime()
				for b.Loop() {
					batch, err := Learned{DefaultConfig()}.Match(s, Seed{})
					if err != nil {
						b.Fatal(err)
					}
					for _, item := range batch.Items {
						placed += int(item.Count)
					}
				}
				b.ReportMetric(float64(placed)/float64(b.N), "placed/op")
				b.ReportMetric(float64(placed)/b.Elapsed().Seconds(), "placements/s")
				b.ReportMetric(float64(placed)/(cpuTime()-since).Seconds(), "placements/cpu-s")
			})
		}
	}
}
