package classify

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/classify/gen"
)

// plainSweep assigns every row by all distances: Lloyd without bounds.
func plainSweep(h *hamerly) int {
	changed := 0
	for i := range h.rows {
		before := h.labels[i]
		chunk := i / h.cut.size
		h.nearest(i)
		if h.labels[i] != before {
			h.remove(chunk, i, int(before))
			h.add(chunk, i, int(h.labels[i]))
			changed++
		}
	}
	return changed
}

// Every step of Hamerly's algorithm leaves the labels that Lloyd's leaves.
func TestHamerlyIsLloyd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawData(t, false)
		k := rapid.IntRange(1, min(7, d.Rows)).Draw(t, "k")
		src := SplitMix64(rapid.Uint64().Draw(t, "seed"))
		centres := seedCentres(d.X, d.Dim, k, &src)
		fast, plain := newHamerly(d.X, d.Dim, centres), newHamerly(d.X, d.Dim, centres)
		fast.assign()
		plain.assign()
		half, grow, shrink := make([]float64, k), make([]float64, k), make([]float64, k)
		for range 12 {
			fast.update(grow, shrink)
			fast.separations(half)
			changed := fast.sweep(half, grow, shrink)
			plain.update(make([]float64, k), make([]float64, k))
			require.Equal(t, plainSweep(plain), changed)
			require.Equal(t, plain.labels, fast.labels)
			require.Equal(t, plain.centres, fast.centres)
		}
	})
}

func TestKMeansIsGood(t *testing.T) {
	set := gen.B(20_000, 8, 8, 2)
	d := &Data{Rows: 20_000, Dim: 8, X: set.X}
	lowest := math.Inf(1)
	for seed := range uint64(4) {
		src := SplitMix64(seed)
		m, err := FitKMeans(context.Background(), d, KMeansOptions{K: 8}, &src)
		require.NoError(t, err)
		require.True(t, m.Converged)
		lowest = min(lowest, m.Inertia)
		require.LessOrEqual(t, m.Inertia, lowest*1.002, "seed %d", seed)
		predicted, err := m.Predict(d)
		require.NoError(t, err)
		differ := 0
		for i, l := range predicted {
			if l != m.Labels[i] {
				differ++
			}
		}
		require.Less(t, differ, 20, "the labels are those of the nearest centres, but for the last move")
	}
}

func TestKMeansIsTheSameWithAnyThreads(t *testing.T) {
	d, _ := cloud(9000, 5, 6, 3)
	var first *KMeans
	for _, threads := range []int{1, 2, 8} {
		m := withThreads(threads, func() *KMeans {
			src := SplitMix64(7)
			m, err := FitKMeans(context.Background(), d, KMeansOptions{K: 6, Starts: 3}, &src)
			require.NoError(t, err)
			return m
		})
		if first == nil {
			first = m
		}
		require.Equal(t, first, m)
	}
}

func withThreads[T any](n int, f func() T) T {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	return f()
}

// From given centres the order of the rows and a common unit change nothing.
func TestKMeansInvariance(t *testing.T) {
	d, _ := cloud(3000, 4, 5, 9)
	src := SplitMix64(1)
	centres := seedCentres(d.X, d.Dim, 5, &src)
	fit := func(d *Data, centres []float64) *KMeans {
		m, err := FitKMeans(context.Background(), d, KMeansOptions{K: 5, Centres: centres, Tolerance: -1}, &src)
		require.NoError(t, err)
		return m
	}
	m := fit(d, centres)
	other, at := permuted(d, 5)
	p := fit(other, centres)
	require.InEpsilon(t, m.Inertia, p.Inertia, 1e-12)
	for i, from := range at {
		require.Equal(t, m.Labels[from], p.Labels[i])
	}
	scaled := &Data{Rows: d.Rows, Dim: d.Dim}
	for _, x := range d.X {
		scaled.X = append(scaled.X, 1024*x)
	}
	var large []float64
	for _, x := range centres {
		large = append(large, 1024*x)
	}
	s := fit(scaled, large)
	require.Equal(t, m.Labels, s.Labels)
	require.Equal(t, m.Inertia*1024*1024, s.Inertia, "a power of two is exact")
}

func TestKMeansWithMissingValues(t *testing.T) {
	d, truth := cloud(4000, 6, 4, 11)
	holes := withHoles(d, truth, 10, 1)
	src := SplitMix64(2)
	whole, err := FitKMeans(context.Background(), d, KMeansOptions{K: 4}, &src)
	require.NoError(t, err)
	m, err := FitKMeans(context.Background(), holes, KMeansOptions{K: 4}, &src)
	require.NoError(t, err)
	require.Greater(t, agreement(whole.Labels, m.Labels, 4), 0.97)
	for i, x := range holes.X {
		if x == x {
			require.Equal(t, d.X[i], x, "the rows are not written to")
		}
	}
}

// agreement is the share of rows that two partitions put together alike, classes matched by identity.
func agreement(a, b []int32, k int) float64 {
	before := make([]uint32, len(a))
	for i, l := range a {
		before[i] = uint32(l) + 1
	}
	ids, _ := Identities(before, b, k, 1)
	same := 0
	for i, l := range b {
		if ids[l] == before[i] {
			same++
		}
	}
	return float64(same) / float64(len(a))
}

func TestKMeansErrors(t *testing.T) {
	d, _ := cloud(10, 2, 2, 1)
	src := SplitMix64(1)
	for _, c := range []struct {
		d    *Data
		o    KMeansOptions
		want string
	}{
		{d, KMeansOptions{K: 0}, "ask for 1 to 10"},
		{d, KMeansOptions{K: 11}, "ask for 1 to 10"},
		{&Data{}, KMeansOptions{K: 1}, "no rows"},
		{&Data{Rows: 2, Dim: 2, X: []float64{1, 2, 3}}, KMeansOptions{K: 1}, "need 4 values, not 3"},
		{&Data{Rows: 1, Dim: 1, X: []float64{math.Inf(1)}}, KMeansOptions{K: 1}, "row 1, column 1"},
		{d, KMeansOptions{K: 2, Centres: []float64{1}}, "need 4 values, not 1"},
	} {
		_, err := FitKMeans(context.Background(), c.d, c.o, &src)
		require.ErrorContains(t, err, c.want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := FitKMeans(ctx, d, KMeansOptions{K: 2}, &src)
	require.ErrorIs(t, err, context.Canceled)
}

// More classes than distinct rows: some stay empty, nothing fails.
func TestKMeansOfDuplicates(t *testing.T) {
	d := &Data{Rows: 50, Dim: 1, X: make([]float64, 50)}
	src := SplitMix64(1)
	m, err := FitKMeans(context.Background(), d, KMeansOptions{K: 3}, &src)
	require.NoError(t, err)
	require.Zero(t, m.Inertia)
	require.False(t, math.IsNaN(m.BIC()))
}
