package classify

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
	"pgregory.net/rapid"
)

// drawPositive is GGᵀ, packed; of rank below d where G has fewer columns.
func drawPositive(t *rapid.T, d int) []float64 {
	columns := rapid.IntRange(1, d+2).Draw(t, "rank")
	g := rapid.SliceOfN(rapid.IntRange(-6, 6), d*columns, d*columns).Draw(t, "g") // gonum panics on tiny values
	a := make([]float64, packedLen(d))
	for i := range d {
		for j := range i + 1 {
			for c := range columns {
				a[packedAt(i, j)] += float64(g[i*columns+c]*g[j*columns+c]) / 4
			}
		}
	}
	return a
}

func symmetric(a []float64, d int) *mat.SymDense {
	m := mat.NewSymDense(d, nil)
	for i := range d {
		for j := range i + 1 {
			m.SetSym(i, j, a[packedAt(i, j)])
		}
	}
	return m
}

func TestMatricesAgainstGonum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.IntRange(1, 6).Draw(t, "d")
		a := drawPositive(t, d)
		values, _ := eigen(a, d)
		var want mat.EigenSym
		require.True(t, want.Factorize(symmetric(a, d), false))
		sum := 0.0
		for _, v := range want.Values(nil) {
			sum += v
		}
		require.ElementsMatch(t, rounded(want.Values(nil), sum), rounded(values, sum))

		unit := make([]float64, d)
		for i := range unit {
			unit[i] = 1
		}
		const floor = 0.5
		raiseEigenvalues(a, unit, d, floor)
		require.True(t, want.Factorize(symmetric(a, d), false))
		for _, v := range want.Values(nil) {
			require.GreaterOrEqual(t, v, floor*(1-1e-9))
		}
		l, w := make([]float64, len(a)), make([]float64, len(a))
		require.True(t, cholesky(l, a, d))
		invertLower(w, l, d)
		var chol mat.Cholesky
		require.True(t, chol.Factorize(symmetric(a, d)))
		var lower, inverse mat.TriDense
		chol.LTo(&lower)
		require.NoError(t, inverse.InverseTri(&lower))
		for i := range d {
			for j := range i + 1 {
				require.InDelta(t, lower.At(i, j), l[packedAt(i, j)], 1e-9*(1+sum))
				require.InDelta(t, inverse.At(i, j), w[packedAt(i, j)], 1e-7)
			}
		}
	})
}

// rounded makes values comparable that agree to nine digits of the scale.
func rounded(values []float64, scale float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(int64(v/(scale+1e-9)*1e6+1000.5)) / 1e6
	}
	return out
}

func TestCholeskyRefusesWhatIsNotPositive(t *testing.T) {
	l := make([]float64, 3)
	require.False(t, cholesky(l, []float64{1, 2, 1}, 2))
	require.False(t, cholesky(l, []float64{0, 0, 1}, 2))
}
