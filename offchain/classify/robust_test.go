package classify

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Any valid table can be fitted, with any number of classes that it has rows for, and the result is valid, finite and fit to go on with.
func TestAnyTableCanBeFitted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawData(t, true)
		if rapid.Bool().Draw(t, "category") {
			d.Categories = []Category{{
				Name: "c", Levels: []string{"x", "y", "z"},
				Values: rapid.SliceOfN(rapid.Int32Range(-1, 2), d.Rows, d.Rows).Draw(t, "levels"),
			}}
		}
		if rapid.IntRange(0, 4).Draw(t, "empty column") == 0 {
			for i := range d.Rows {
				d.X[i*d.Dim] = math.NaN()
			}
		}
		o := GMMOptions{
			K: rapid.IntRange(1, min(9, d.Rows)).Draw(t, "k"), Covariance: rapid.SampledFrom(shapes).Draw(t, "shape"), Starts: 2, MaxIterations: 20,
			Prior: rapid.SampledFrom([]float64{0, 0.01, -1}).Draw(t, "prior"), Noise: rapid.SampledFrom([]float64{0, 0.1}).Draw(t, "noise"),
		}
		src := SplitMix64(rapid.Uint64().Draw(t, "seed"))
		g, err := FitGMM(context.Background(), d, o, &src)
		require.NoError(t, err)
		require.NoError(t, g.Validate())
		for _, x := range []float64{g.LogLikelihood, g.BIC, g.ICL, g.Objective} {
			require.False(t, math.IsNaN(x) || math.IsInf(x, 0))
		}
		o.Warm = g.Mixture
		w, err := FitGMM(context.Background(), d, o, &src)
		require.NoError(t, err)
		require.GreaterOrEqual(t, w.Objective, g.Objective-1e-6*(1+math.Abs(g.Objective)))
		names := make([]string, d.Dim)
		require.Len(t, Profiles(g.Mixture, names), o.K)

		m, err := FitKMeans(context.Background(), d, KMeansOptions{K: o.K, Starts: 2}, &src)
		require.NoError(t, err)
		labels, err := m.Predict(d)
		require.NoError(t, err)
		if m.Converged && len(d.holes()) > 0 {
			require.Equal(t, m.Labels, labels)
		}
		require.False(t, math.IsNaN(m.Inertia) || math.IsNaN(m.BIC()))
	})
}

// Values of any size that is allowed: nothing overflows.
func TestExtremeValues(t *testing.T) {
	for _, size := range []float64{1e150, 1e-150, 1e8} {
		d, _ := cloud(400, 3, 2, 5)
		for i := range d.X {
			d.X[i] = d.X[i] / 20 * size
			if size == 1e8 {
				d.X[i] += 1e12 // far from the origin, for how little they differ
			}
		}
		src := SplitMix64(1)
		for _, shape := range shapes {
			g, err := FitGMM(context.Background(), d, GMMOptions{K: 2, Covariance: shape}, &src)
			require.NoError(t, err)
			require.False(t, math.IsNaN(g.LogLikelihood) || math.IsInf(g.LogLikelihood, 0), "%g", size)
		}
		m, err := FitKMeans(context.Background(), d, KMeansOptions{K: 2}, &src)
		require.NoError(t, err)
		require.False(t, math.IsNaN(m.Inertia) || math.IsInf(m.Inertia, 0), "%g", size)
	}
}
