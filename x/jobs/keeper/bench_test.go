package keeper_test

import (
	"fmt"
	"testing"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// BenchmarkEpoch pays an epoch of services: what a block does for each slice that comes up.
func BenchmarkEpoch(b *testing.B) {
	const services, replicas = 20, 20
	w := newWorld(b)
	for i := range services {
		msg := w.serviceMsg("dev", fmt.Sprint(i), replicas)
		msg.FundedTime = 360 * 24 * 3600
		job := w.submitService(msg)
		node := w.addNode(fmt.Sprint("prov", i), uint32(i+1), 7200)
		w.nodes.change(w.Ctx, node.Id, func(n *nodestypes.Node) { n.Ports.To = 20_100 })
		w.collateral(fmt.Sprint("prov", i), 10_000_000)
		for slice := range uint32(replicas) {
			w.matchAll(job.Id, slice, 1, node)
		}
	}
	w.epochs(1)
	paid := 0
	for b.Loop() {
		b.StopTimer()
		w.toEpochEnd()
		w.judge(types.ServiceObservation{})
		w.after(w.clock().JudgedEnded + 60 - w.now())
		b.StartTimer()
		w.NextBlock()
		paid += services * replicas
	}
	b.ReportMetric(float64(paid)/b.Elapsed().Seconds(), "slices/s")
}

// BenchmarkLife takes jobs through match, outcome and settlement on the real ledger; rounds and nodes are those of the tests. What a
// whole chain does, votes and commits to disk included, is measured elsewhere.
func BenchmarkLife(b *testing.B) {
	for _, size := range []uint32{10, 1} {
		b.Run(fmt.Sprintf("slices of %d", size), func(b *testing.B) {
			const jobs = 50
			w := newWorld(b)
			w.setParams(func(p *types.Params) { p.AcceptWindow = 30 })
			var nodes []nodestypes.Node
			for i := range uint32(20) {
				nodes = append(nodes, w.addNode(fmt.Sprint("prov", i), i+1, 7200))
			}
			tasks := 10 * size
			done := 0
			for n := 0; b.Loop(); n++ {
				var items []types.MatchItem
				b.StopTimer()
				for i := range jobs {
					job := w.submit(w.jobMsg("dev", fmt.Sprint(n, "-", i), tasks))
					for s := range 10 {
						items = append(items, item(job.Id, 0, size, nodes[(i+s)%len(nodes)]))
					}
				}
				height := w.snapshot()
				b.StartTimer()
				if got := w.recordMatches(height, items...); got.Stale != 0 {
					b.Fatalf("%d stale", got.Stale)
				}
				w.after(10)
				for _, subject := range w.rounds.subjects(w.Ctx, types.RoundKindOutcome) {
					s, err := types.DecodeOutcomeSubject(subject)
					w.must(err, "subject")
					w.must(w.tryReport(s.Job.Bech32(types.JobHRP), s.Slice, s.Attempt, 5000), "report")
				}
				w.end(30)
				done += jobs * int(tasks)
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}
