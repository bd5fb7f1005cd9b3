package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// BenchmarkDecide runs 1,000 queries over and over against nodes of the catalogue, under the shipped loss with noise and
// capacities. λ is ufog for a second of round trip.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []int{10_000, 1_000_000} {
		nodes := population(b, size)
		for _, mode := range []Mode{ModeGreedy, ModeThompson} {
			e := engineOf(b, Config{Mode: mode, Explore: 200}, nodes)
			for _, latency := range []uint64{0, 50_000, 1_000_000} {
				qs := queries(rand.New(rand.NewPCG(3, 4)), 1000, latency)
				b.Run(fmt.Sprintf("nodes=%d/%s/lambda=%d", size, mode, latency), func(b *testing.B) {
					var d Decision
					var took []time.Duration
					blocks, i := 0, 0
					for b.Loop() {
						start := time.Now()
						if !e.Decide(&qs[i%len(qs)], Seed{}, &d) {
							b.Fatal("no node")
						}
						took = append(took, time.Since(start))
						blocks += d.Blocks
						i++
					}
					report(b, took)
					b.ReportMetric(float64(blocks)/float64(b.N), "blocks/op")
				})
			}
		}
	}
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}
