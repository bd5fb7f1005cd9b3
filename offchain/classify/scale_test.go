package classify

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/classify/quant"
)

func TestScaler(t *testing.T) {
	d := &Data{Rows: 5, Dim: 3, X: []float64{
		0, 1, 7,
		10, math.E - 1, 7,
		20, math.NaN(), 7,
		30, math.E*math.E - 1, 7,
		1e9, 0, 7,
	}}
	s, err := FitScaler(d, []Feature{{Name: "plain", Floor: 1}, {Name: "log", Log: true, Floor: 0.1}, {Name: "constant", Floor: 0.5}})
	require.NoError(t, err)
	require.Equal(t, 20.0, s[0].Center)
	require.Equal(t, 20.0, s[0].Range)
	require.InDelta(t, (math.Ln2+1)/2, s[1].Center, 1e-12)
	require.Equal(t, 7.0, s[2].Center)
	require.Equal(t, 0.5, s[2].Range)
	out, err := s.Apply(d)
	require.NoError(t, err)
	require.Equal(t, []float64{-1, -0.5, 0, 0.5, Clip}, []float64{out.X[0], out.X[3], out.X[6], out.X[9], out.X[12]})
	require.True(t, math.IsNaN(out.X[7]))
	require.Zero(t, out.X[2])

	_, err = FitScaler(d, []Feature{{Name: "plain"}, {Name: "log"}, {Name: "constant"}})
	require.ErrorContains(t, err, `feature "plain" has floor 0`)
	_, err = FitScaler(d, nil)
	require.ErrorContains(t, err, "0 features are described")
	d.X[1] = -1
	_, err = s.Apply(d)
	require.ErrorContains(t, err, `feature "log" is on a logarithmic scale and row 1 holds -1`)
}

func TestReliability(t *testing.T) {
	require.Equal(t, int64(900_000), Reliability(0, 0))
	require.Equal(t, int64(909_090), Reliability(1, 1))
	require.Equal(t, int64(990_099), Reliability(991, 1000))
	require.Equal(t, int64(8910), Reliability(0, 1000))
	require.Less(t, Reliability(math.MaxUint64, math.MaxUint64), int64(1_000_001))
}

func TestNodesKnowWhatIsMissing(t *testing.T) {
	table := Nodes([]Node{{}, {MemoryMiB: math.MaxUint64, RTT: 5, Tasks: 3, Successes: 3, StorageType: "nvme", Arch: "arm64"}})
	require.Equal(t, len(NodeFeatures()), table.Dim)
	for _, v := range table.Values[:table.Dim] {
		require.Equal(t, int64(quant.Missing), v)
	}
	d, err := table.Data(NodeFeatures())
	require.NoError(t, err)
	second := d.row(1)
	require.Equal(t, 0.005, second[7], "milliseconds")
	require.Zero(t, second[9], "loss is known where the round trip is")
	require.InDelta(t, 12.0/13, second[10], 1e-6)
	require.Equal(t, []int32{-1, 2}, table.Categories[0].Values)
	require.Equal(t, []int32{-1, 1}, table.Categories[1].Values)
}

func TestProfiles(t *testing.T) {
	m := &Mixture{
		K: 3, Dim: 3, Covariance: Diagonal, Weights: []float64{0.4, 0.4, 0.2},
		Means: []float64{
			1, 0, -1,
			-1, 0, 1,
			0, 0, 0,
		},
		Covariances: []float64{0.1, 1, 0.5, 0.1, 1, 0.5, 0.1, 1, 0.5},
		Categories: []CategoryParameter{{Name: "storage_type", Levels: []string{"hdd", "nvme"}, P: []float64{
			0.1, 0.9, 0.9, 0.1, 0.9, 0.1,
		}}},
	}
	require.Equal(t, []string{"fast CPU, nvme, steady network", "slow CPU, high oddity, unsteady network"},
		append(Profiles(m, []string{"cpu_single", "memory", "jitter"})[:1], Profiles(m, []string{"cpu_single", "memory", "oddity"})[1]+", unsteady network"))
	require.Equal(t, "ordinary", Profiles(m, []string{"cpu_single", "memory", "jitter"})[2])
}
