package classify

import (
	"context"
	"testing"

	"github.com/foggrid/fogd/offchain/classify/gen"
)

// The data set of the project's figures at 100,000 rows; bench/classify.py runs these and a million beside scikit-learn.
func benchmarkData() *Data {
	return &Data{Rows: 100_000, Dim: 8, X: gen.B(100_000, 8, 8, 2).X}
}

func BenchmarkKMeans(b *testing.B) {
	d := benchmarkData()
	for b.Loop() {
		src := SplitMix64(1)
		m, err := FitKMeans(context.Background(), d, KMeansOptions{K: 8}, &src)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(m.Inertia, "inertia")
	}
}

func BenchmarkGMM(b *testing.B) {
	d := benchmarkData()
	for _, shape := range shapes {
		b.Run(shape.String(), func(b *testing.B) {
			for b.Loop() {
				src := SplitMix64(1)
				g, err := FitGMM(context.Background(), d, GMMOptions{K: 8, Covariance: shape}, &src)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(g.LogLikelihood, "ll/row")
			}
		})
	}
}

// One step of EM: the cost of a row.
func BenchmarkExpect(b *testing.B) {
	d := benchmarkData()
	labels := gen.B(100_000, 8, 8, 2).Labels
	for _, shape := range shapes {
		b.Run(shape.String(), func(b *testing.B) {
			m := truthful(d, labels, 8, shape)
			e := newEM(d, newPrior(d, 8, shape, 0, 0))
			for b.Loop() {
				if _, err := e.expect(m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*d.Rows), "ns/row")
		})
	}
}

func BenchmarkScore(b *testing.B) {
	d := benchmarkData()
	m := truthful(d, gen.B(100_000, 8, 8, 2).Labels, 8, Full)
	for b.Loop() {
		if _, err := m.Score(d, false); err != nil {
			b.Fatal(err)
		}
	}
}
