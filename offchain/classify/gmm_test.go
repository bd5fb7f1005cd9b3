package classify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distmv"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/classify/gen"
)

var shapes = []Covariance{Full, Diagonal, Tied}

// truthful is the mixture moulded on known labels.
func truthful(d *Data, labels []int, k int, shape Covariance) *Mixture {
	p := newPrior(d, k, shape, 0, 0)
	m := &KMeans{K: k, Dim: d.Dim, Centres: make([]float64, k*d.Dim), Labels: make([]int32, d.Rows)}
	for i, l := range labels {
		m.Labels[i] = int32(l)
	}
	_, mean := d.standard(p.axis)
	return d.moulded(m, mean, p, shape, k)
}

// The penalised likelihood never falls, whatever the rows, the shape of the covariances and the start.
func TestEMNeverFalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawData(t, true)
		if rapid.Bool().Draw(t, "category") {
			d.Categories = []Category{{
				Name: "c", Levels: []string{"x", "y"},
				Values: rapid.SliceOfN(rapid.Int32Range(-1, 1), d.Rows, d.Rows).Draw(t, "levels"),
			}}
		}
		shape := rapid.SampledFrom(shapes).Draw(t, "shape")
		k := rapid.IntRange(1, min(4, d.Rows)).Draw(t, "k")
		strength := rapid.SampledFrom([]float64{0, 0.1, -1}).Draw(t, "strength")
		noise := rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "noise")
		labels := rapid.SliceOfN(rapid.IntRange(0, k-1), d.Rows, d.Rows).Draw(t, "labels")
		m := truthful(d, labels, k, shape)
		e := newEM(d, newPrior(d, k, shape, strength, noise))
		before := math.Inf(-1)
		for step := range 15 {
			x, err := e.expect(m)
			require.NoError(t, err)
			require.False(t, math.IsNaN(x.objective))
			if step > 1 { // the first mixture need not obey this prior's floor
				require.GreaterOrEqual(t, x.objective, before-1e-7*(1+math.Abs(before)), "step %d", step)
			}
			before = x.objective
			m = x.sums.maximise(&e.prior, d.Rows)
			require.NoError(t, m.Validate())
		}
	})
}

// density is the mixture's at a row by gonum, over what is there.
func density(t require.TestingT, m *Mixture, d *Data, i int) float64 {
	var present []int
	for j, x := range d.row(i) {
		if x == x {
			present = append(present, j)
		}
	}
	var total float64
	for c := range m.K {
		p := m.Weights[c]
		if len(present) > 0 {
			cov := mat.NewSymDense(len(present), nil)
			mean, x := make([]float64, len(present)), make([]float64, len(present))
			for a, i2 := range present {
				mean[a], x[a] = m.mean(c)[i2], d.row(i)[i2]
				for b, j2 := range present[:a+1] {
					if m.Covariance == Diagonal {
						if a == b {
							cov.SetSym(a, a, m.covariance(c)[i2])
						}
						continue
					}
					cov.SetSym(a, b, m.covariance(c)[packedAt(i2, j2)])
				}
			}
			n, ok := distmv.NewNormal(mean, cov, nil)
			require.True(t, ok)
			p *= n.Prob(x)
		}
		for j, category := range m.Categories {
			if v := d.Categories[j].Values[i]; v >= 0 {
				p *= category.P[c*len(category.Levels)+int(v)]
			}
		}
		total += p
	}
	return math.Log(total)
}

func TestDensityIsGonums(t *testing.T) {
	for _, dim := range []int{1, 3, 8} {
		d, truth := cloud(300, dim, 3, 4)
		d = withHoles(d, truth, 4, 2)
		for _, shape := range shapes {
			m := truthful(d, truth, 3, shape)
			k := newKernel(m)
			s := k.newDensities(false)
			for i := range 60 {
				got, _ := k.row(s, d, i, int32(i%3))
				require.InDelta(t, density(t, m, d, i), got, 1e-9*(1+math.Abs(got)), "%v in %d dimensions, row %d", shape, dim, i)
			}
		}
	}
}

// One fit finds the optimum that EM reaches from the true labels.
func TestGMMReachesTheOptimum(t *testing.T) {
	for _, c := range []struct {
		set  gen.Set
		name string
	}{{gen.A(20_000, 8, 8, 1), "A"}, {gen.B(20_000, 8, 8, 2), "B"}, {gen.B(20_000, 5, 4, 3), "B of 5 in 4 dimensions"}} {
		d := &Data{Rows: 20_000, Dim: c.set.Dim, X: c.set.X}
		k := 1
		for _, l := range c.set.Labels {
			k = max(k, l+1)
		}
		src := SplitMix64(1)
		want, err := FitGMM(context.Background(), d, GMMOptions{K: k, Warm: truthful(d, c.set.Labels, k, Full), Tolerance: 1e-8}, &src)
		require.NoError(t, err)
		for range 3 {
			g, err := FitGMM(context.Background(), d, GMMOptions{K: k}, &src)
			require.NoError(t, err)
			require.InDelta(t, want.LogLikelihood, g.LogLikelihood, 1e-4, c.name)
			require.GreaterOrEqual(t, g.ICL, g.BIC)
		}
	}
}

func TestGMMShapes(t *testing.T) {
	d, truth := cloud(5000, 5, 4, 21)
	holes := withHoles(d, truth, 12, 3)
	src := SplitMix64(5)
	labels := make([]int32, len(truth))
	for i, l := range truth {
		labels[i] = int32(l)
	}
	for _, shape := range shapes {
		for _, rows := range []*Data{d, holes} {
			g, err := FitGMM(context.Background(), rows, GMMOptions{K: 4, Covariance: shape}, &src)
			require.NoError(t, err)
			require.True(t, g.Converged)
			require.Greater(t, agreement(labels, g.Labels, 4), 0.97, "%v, %d categories", shape, len(rows.Categories))
			s, err := g.Score(rows, true)
			require.NoError(t, err)
			require.InDelta(t, g.LogLikelihood, s.LogLikelihood, 1e-12*math.Abs(g.LogLikelihood))
			require.Equal(t, g.Labels, s.Labels)
			for i := range rows.Rows {
				var sum float64
				for _, p := range s.Posterior[i*4 : i*4+4] {
					sum += p
				}
				require.InDelta(t, 1, sum, 1e-12)
			}
		}
	}
}

// A value that is missing at random takes nothing from what is known of the others.
func TestMissingValuesAreIntegratedOut(t *testing.T) {
	d, truth := cloud(8000, 4, 3, 8)
	holes := withHoles(d, truth, 8, 4)
	holes.Categories = nil
	src := SplitMix64(3)
	g, err := FitGMM(context.Background(), d, GMMOptions{K: 3}, &src)
	require.NoError(t, err)
	h, err := FitGMM(context.Background(), holes, GMMOptions{K: 3, Warm: g.Mixture}, &src)
	require.NoError(t, err)
	for i := range g.Means {
		require.InDelta(t, g.Means[i], h.Means[i], 0.1)
	}
	for i := range g.Covariances {
		require.InDelta(t, g.Covariances[i], h.Covariances[i], 0.25)
	}
}

// A column that no row has a value of changes nothing: neither the classes, nor the criteria, nor how long it takes.
func TestAbsentColumnsAreNothing(t *testing.T) {
	d, truth := cloud(2000, 4, 3, 13)
	wide := &Data{Rows: d.Rows, Dim: 5}
	for i := range d.Rows {
		wide.X = append(wide.X, d.row(i)[:2]...)
		wide.X = append(append(wide.X, math.NaN()), d.row(i)[2:]...)
	}
	src := SplitMix64(1)
	for _, shape := range shapes {
		g, err := FitGMM(context.Background(), d, GMMOptions{K: 3, Covariance: shape, Warm: truthful(d, truth, 3, shape), Prior: -1}, &src)
		require.NoError(t, err)
		w, err := FitGMM(context.Background(), wide, GMMOptions{K: 3, Covariance: shape, Warm: truthful(wide, truth, 3, shape), Prior: -1}, &src)
		require.NoError(t, err)
		require.Equal(t, g.Labels, w.Labels)
		require.InEpsilon(t, g.BIC, w.BIC, 1e-9)
		require.InEpsilon(t, g.ICL, w.ICL, 1e-9)
		require.Equal(t, g.Iterations, w.Iterations)
	}
}

// Any order of the rows and any unit of a column gives the same classes; the density changes by the units alone.
func TestGMMInvariance(t *testing.T) {
	d, truth := cloud(3000, 4, 3, 31)
	d = withHoles(d, truth, 20, 5)
	src := SplitMix64(1)
	for _, shape := range shapes {
		warm := truthful(d, truth, 3, shape)
		fit := func(d *Data, warm *Mixture) *GMM {
			g, err := FitGMM(context.Background(), d, GMMOptions{K: 3, Covariance: shape, Warm: warm}, &src)
			require.NoError(t, err)
			return g
		}
		g := fit(d, warm)
		other, at := permuted(d, 2)
		p := fit(other, warm)
		require.InEpsilon(t, g.LogLikelihood, p.LogLikelihood, 1e-10)
		for i, from := range at {
			require.Equal(t, g.Labels[from], p.Labels[i])
		}

		units := []float64{1024, 1, 1.0 / 64, 8}
		scaled := &Data{Rows: d.Rows, Dim: d.Dim, Categories: d.Categories}
		var shift float64
		for i, x := range d.X {
			scaled.X = append(scaled.X, x*units[i%4])
			if x == x {
				shift += math.Log(units[i%4]) / float64(d.Rows)
			}
		}
		s := fit(scaled, truthful(scaled, truth, 3, shape))
		require.InDelta(t, g.LogLikelihood-shift, s.LogLikelihood, 1e-8)
		require.Equal(t, g.Labels, s.Labels)
	}
}

// Machines that are all alike do not make the likelihood grow without bound.
func TestDuplicatesAreHarmless(t *testing.T) {
	d := &Data{Rows: 300, Dim: 3, X: make([]float64, 900)}
	for i := range d.Rows {
		v := float64(i % 2 * 5)
		if i > 250 {
			v = float64(i) / 7
		}
		d.X[3*i], d.X[3*i+1], d.X[3*i+2] = v, 2*v, 7
	}
	src := SplitMix64(1)
	for _, shape := range shapes {
		for _, strength := range []float64{0, -1} {
			g, err := FitGMM(context.Background(), d, GMMOptions{K: 4, Covariance: shape, Prior: strength}, &src)
			require.NoError(t, err)
			require.NoError(t, g.Validate())
			require.Less(t, g.LogLikelihood, 60.0)
			for c := range g.K {
				for j := range g.Dim {
					require.Greater(t, g.Variance(c, j), 0.0)
				}
			}
		}
	}
}

func TestWarmStartIsShort(t *testing.T) {
	d, _ := cloud(6000, 5, 5, 2)
	src := SplitMix64(1)
	g, err := FitGMM(context.Background(), d, GMMOptions{K: 5}, &src)
	require.NoError(t, err)
	next, _ := cloud(6000, 5, 5, 2)
	for i := range next.X {
		next.X[i] += 0.02 * float64(i%3-1)
	}
	w, err := FitGMM(context.Background(), next, GMMOptions{K: 5, Warm: g.Mixture}, &src)
	require.NoError(t, err)
	require.True(t, w.Converged)
	require.LessOrEqual(t, w.Iterations, 5)
	require.Greater(t, agreement(g.Labels, w.Labels, 5), 0.99)
}

func TestParametersAreCounted(t *testing.T) {
	m := &Mixture{K: 3, Dim: 4, Categories: []CategoryParameter{{Levels: make([]string, 5)}}}
	require.Equal(t, 2+12+30+12, m.Parameters())
	m.Covariance = Diagonal
	require.Equal(t, 2+12+12+12, m.Parameters())
	m.Covariance = Tied
	require.Equal(t, 2+12+10+12, m.Parameters())
}

func TestChoiceOfK(t *testing.T) {
	for _, k := range []int{1, 3, 5} {
		set := gen.B(5000, k, 4, uint64(40+k))
		d := &Data{Rows: 5000, Dim: 4, X: set.X}
		src := SplitMix64(6)
		g, err := ChooseGMM(context.Background(), d, GMMOptions{}, BIC, Range{Patience: 2}, &src)
		require.NoError(t, err)
		truth, err := FitGMM(context.Background(), d, GMMOptions{K: k, Warm: truthful(d, set.Labels, k, Full), Prior: -1, Tolerance: 1e-9}, &src)
		require.NoError(t, err)
		require.LessOrEqual(t, g.BIC, truth.BIC+1e-6)
	}
	set := gen.A(4000, 4, 3, 1)
	d := &Data{Rows: 4000, Dim: 3, X: set.X}
	src := SplitMix64(6)
	m, err := ChooseKMeans(context.Background(), d, KMeansOptions{}, Range{}, &src)
	require.NoError(t, err)
	require.Equal(t, 4, m.K)
	g, err := ChooseGMM(context.Background(), d, GMMOptions{}, ICL, Range{}, &src)
	require.NoError(t, err)
	require.Equal(t, 4, g.K)
	_, err = ChooseGMM(context.Background(), d, GMMOptions{}, BIC, Range{From: 5, To: 3}, &src)
	require.ErrorContains(t, err, "give a range")
}

func TestGMMErrors(t *testing.T) {
	d, _ := cloud(20, 2, 2, 1)
	src := SplitMix64(1)
	good := truthful(d, make([]int, 20), 1, Full)
	for _, c := range []struct {
		o    GMMOptions
		want string
	}{
		{GMMOptions{K: 21}, "ask for 1 to 20"},
		{GMMOptions{K: 2, Warm: good}, "has 1 components"},
		{GMMOptions{K: 1, Warm: &Mixture{}}, "the mixture to begin with"},
	} {
		_, err := FitGMM(context.Background(), d, c.o, &src)
		require.ErrorContains(t, err, c.want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := FitGMM(ctx, d, GMMOptions{K: 2}, &src)
	require.ErrorIs(t, err, context.Canceled)
	bad := &Data{Rows: 20, Dim: 2, X: d.X, Categories: []Category{{Name: "c", Levels: []string{"x"}, Values: make([]int32, 19)}}}
	_, err = FitGMM(context.Background(), bad, GMMOptions{K: 2}, &src)
	require.ErrorContains(t, err, "19 values for 20 rows")
	_, err = good.Score(bad, false)
	require.ErrorContains(t, err, "19 values for 20 rows")
	_, err = good.Score(&Data{Rows: 1, Dim: 1, X: []float64{1}}, false)
	require.ErrorContains(t, err, "1 columns and the model 2")
}

// fingerprint is the hash of the bits of a fit.
func fingerprint(labels []int32, values ...[]float64) string {
	h := sha256.New()
	var b []byte
	for _, l := range labels {
		b = binary.LittleEndian.AppendUint32(b, uint32(l))
	}
	for _, v := range values {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// The bits of a fit on every platform and with any number of threads. They change only with the algorithm; the test passes on amd64, and on
// arm64 and 386 under an emulator (see docs/learning.md).
func TestFitsAreTheSameBitsEverywhere(t *testing.T) {
	for _, c := range []struct {
		dim   int
		shape Covariance
		holes bool
		want  string
	}{
		{8, Full, false, "d05472dbd6bfa34b"}, {8, Tied, true, "ebc90b81d5f9142e"}, {3, Full, true, "e22a60b90761611f"}, {5, Diagonal, true, "7f631822fa7fdf33"},
	} {
		d, truth := cloud(9000, c.dim, 4, 77)
		require.Equal(t, cloudBits[c.dim], fingerprint(nil, d.X), "the rows themselves")
		if c.holes {
			d = withHoles(d, truth, 15, 6)
		}
		for _, threads := range []int{1, 2, 8} {
			got := withThreads(threads, func() string {
				src := SplitMix64(12)
				g, err := FitGMM(context.Background(), d, GMMOptions{K: 4, Covariance: c.shape, Starts: 3}, &src)
				require.NoError(t, err)
				v := [][]float64{g.Weights, g.Means, g.Covariances, {g.LogLikelihood, g.BIC, g.ICL}}
				for _, p := range g.Categories {
					v = append(v, p.P)
				}
				return fingerprint(g.Labels, v...)
			})
			require.Equal(t, c.want, got, "%v in %d dimensions on %d threads", c.shape, c.dim, threads)
		}
	}
	d, _ := cloud(9000, 5, 4, 77)
	src := SplitMix64(12)
	m, err := FitKMeans(context.Background(), d, KMeansOptions{K: 6, Starts: 2}, &src)
	require.NoError(t, err)
	require.Equal(t, "78c3438577ad2f79", fingerprint(m.Labels, m.Centres, []float64{m.Inertia}))
}

// cloudBits are the fingerprints of cloud(9000, dim, 4, 77).
var cloudBits = map[int]string{3: "91712258975547dc", 5: "5e1f6c99e0dc65eb", 8: "620e7b4abfbb82cb"}
