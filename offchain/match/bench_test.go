package match

import (
	"fmt"
	"testing"
)

// crowd is a grid of nodes of a hundred owners and a queue of jobs, in eight price classes with many ties.
func crowd(nodes, jobs int, tasks uint32) Snapshot {
	s := Snapshot{Params: Params{MaxItems: 500, MaxSliceTasks: 256, Fee: 100, Collateral: 3000}}
	for i := range nodes {
		s.Nodes = append(s.Nodes, Node{
			ID: ID{0: 'n', 18: byte(i >> 8), 19: byte(i)}, Index: uint32(i + 1), Owner: idOf('o', byte(i%100)),
			Free: Resources{16_000, 65_536, 1 << 20, 0}, Prices: Prices{CPU: uint64(1000 + i%8), Memory: 100, Storage: 1},
			Region: "eu", Arch: "amd64", OS: "linux", CPUSingle: 1000,
		})
	}
	for i := range 100 {
		s.Funds = append(s.Funds, Funds{Owner: idOf('o', byte(i)), Available: 1 << 50})
	}
	for i := range jobs {
		s.Pending = append(s.Pending, Pending{
			Job: ID{0: 'j', 18: byte(i >> 8), 19: byte(i)}, Owner: idOf('d', 0), Count: tasks, Height: int64(i),
			Task: Resources{1000, 512, 1024, 0}, PriceCap: 1 << 20, MaxDuration: 600, TaskBudget: 1 << 30,
			Constraints: Constraints{Regions: []string{"eu"}},
		})
	}
	return s
}

func BenchmarkLowestCost(b *testing.B) {
	for _, c := range []struct {
		nodes, jobs int
		tasks       uint32
	}{{100, 100, 10}, {1000, 500, 1}, {1000, 10, 1000}, {10_000, 500, 1}} {
		s := crowd(c.nodes, c.jobs, c.tasks)
		b.Run(fmt.Sprintf("nodes=%d/jobs=%d/tasks=%d", c.nodes, c.jobs, c.tasks), func(b *testing.B) {
			placed := 0
			for b.Loop() {
				batch, err := LowestCost{}.Match(s, Seed{})
				if err != nil {
					b.Fatal(err)
				}
				for _, item := range batch.Items {
					placed += int(item.Count)
				}
			}
			b.ReportMetric(float64(placed)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}
