package classify

import (
	"context"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/classify/quant"
)

// fleet is n machines of four kinds, with measurements missing here and there, the same on every platform.
func fleet(n int, seed uint64) ([]Node, []int) {
	src := SplitMix64(seed)
	about := func(x float64) uint64 { return uint64(x * (0.8 + float64(0.2*(uniform(&src)+uniform(&src))))) }
	kinds := []struct {
		memory, storage, price, single, all, rtt, jitter float64
		storageType, arch                                string
		ok                                               int
	}{
		{4 << 10, 40 << 10, 10_000, 1500, 5000, 40_000, 5_000, "hdd", "amd64", 80},
		{64 << 10, 500 << 10, 300_000, 3500, 60_000, 8_000, 300, "nvme", "amd64", 99},
		{16 << 10, 200 << 10, 60_000, 2400, 18_000, 20_000, 1_500, "ssd", "arm64", 95},
		{512 << 10, 4000 << 10, 2_000_000, 2600, 200_000, 12_000, 500, "nvme", "arm64", 98},
	}
	nodes, truth := make([]Node, n), make([]int, n)
	for i := range nodes {
		t := below(&src, len(kinds))
		k := kinds[t]
		truth[i] = t
		node := Node{
			MemoryMiB: about(k.memory), StorageMiB: about(k.storage), Bandwidth: about(1e6), Price: about(k.price), CPUSingle: about(k.single),
			CPUAll: about(k.all), Memory: about(20_000), RTT: about(k.rtt), Jitter: about(k.jitter), StorageType: k.storageType, Arch: k.arch,
		}
		if below(&src, 10) == 0 {
			node.Loss = about(3000)
		}
		node.Tasks = uint64(below(&src, 60))
		for range node.Tasks {
			if below(&src, 100) < k.ok {
				node.Successes++
			}
		}
		switch below(&src, 12) {
		case 0:
			node.RTT, node.Jitter = 0, 0
		case 1:
			node.Memory = 0
		case 2:
			node.StorageType = "tape"
		}
		nodes[i] = node
	}
	return nodes, truth
}

// fitFleet fits classes of machines as the proposer of a model does.
func fitFleet(t *testing.T, table *Integers, k int, seed uint64) (*GMM, Scaler, *Data) {
	t.Helper()
	d, err := table.Data(NodeFeatures())
	require.NoError(t, err)
	s, err := FitScaler(d, NodeFeatures())
	require.NoError(t, err)
	scaled, err := s.Apply(d)
	require.NoError(t, err)
	src := SplitMix64(seed)
	g, err := FitGMM(context.Background(), scaled, GMMOptions{K: k, Noise: ScaledNoise}, &src)
	require.NoError(t, err)
	return g, s, scaled
}

func numbered(k int) (ids []uint32, names []string) {
	for i := range k {
		ids, names = append(ids, uint32(i)+1), append(names, "class")
	}
	return ids, names
}

// rowOf is row i of the table as the integer model takes it.
func rowOf(t *Integers, i int) ([]int64, []int) {
	levels := make([]int, len(t.Categories))
	for j, c := range t.Categories {
		levels[j] = int(c.Values[i])
	}
	return t.Values[i*t.Dim : (i+1)*t.Dim], levels
}

func TestIntegersAgreeWithFloats(t *testing.T) {
	nodes, truth := fleet(12_000, 1)
	table := Nodes(nodes)
	for _, shape := range shapes {
		d, err := table.Data(NodeFeatures())
		require.NoError(t, err)
		s, err := FitScaler(d, NodeFeatures())
		require.NoError(t, err)
		scaled, err := s.Apply(d)
		require.NoError(t, err)
		// More classes than there are kinds, so that many machines lie between two.
		src := SplitMix64(4)
		g, err := FitGMM(context.Background(), scaled, GMMOptions{K: 7, Covariance: shape, Starts: 4, Noise: ScaledNoise}, &src)
		require.NoError(t, err)
		ids, names := numbered(g.K)
		q, err := Quantise(g.Mixture, s, ids, names)
		require.NoError(t, err)
		results, err := ClassifyRows(q, table)
		require.NoError(t, err)
		same := 0
		for i, r := range results {
			if r.Index == int(g.Labels[i]) {
				same++
			}
		}
		require.GreaterOrEqual(t, float64(same)/float64(len(nodes)), 0.999, "%v", shape)

		back, scaler, err := Dequantise(q)
		require.NoError(t, err)
		require.Equal(t, shape == Diagonal, back.Covariance == Diagonal)
		again, err := scaler.Apply(d)
		require.NoError(t, err)
		score, err := back.Score(again, false)
		require.NoError(t, err)
		require.InDelta(t, g.LogLikelihood, score.LogLikelihood, 0.002)
	}
	g, _, _ := fitFleet(t, table, 4, 2)
	labels := make([]int32, len(truth))
	for i, l := range truth {
		labels[i] = int32(l)
	}
	require.Greater(t, agreement(labels, g.Labels, 4), 0.99)
}

// The model that a proposer makes of given machines is the same on every platform, to the bit.
func TestModelIsTheSameEverywhere(t *testing.T) {
	nodes, _ := fleet(2000, 3)
	g, s, _ := fitFleet(t, Nodes(nodes), 4, 8)
	ids, _ := numbered(4)
	q, err := Quantise(g.Mixture, s, ids, Profiles(g.Mixture, featureNames()))
	require.NoError(t, err)
	b, err := q.Encode()
	require.NoError(t, err)
	hash := quant.Hash(b)
	require.Equal(t, "22bad147a47bd23b63edd07861e5e3f6dd1781e555bde45d325fee2132a80b9e", hex.EncodeToString(hash[:]))
}

func featureNames() []string {
	var names []string
	for _, f := range NodeFeatures() {
		names = append(names, f.Name)
	}
	return names
}

func TestIntegerScoresAreTheLogDensities(t *testing.T) {
	nodes, _ := fleet(3000, 5)
	table := Nodes(nodes)
	g, s, scaled := fitFleet(t, table, 4, 1)
	ids, names := numbered(4)
	q, err := Quantise(g.Mixture, s, ids, names)
	require.NoError(t, err)
	k := newKernel(g.Mixture)
	dense := k.newDensities(false)
	for i := range 500 {
		values, levels := rowOf(table, i)
		r, err := q.Classify(values, levels)
		require.NoError(t, err)
		want, at := k.row(dense, scaled, i, 0)
		top := 0.0
		for n, c := range dense.component {
			if c == at {
				top = want + math.Log(dense.density[n])
			}
		}
		require.InDelta(t, top, float64(r.Score)/(1<<quant.ScoreBits), 0.01*(1+math.Abs(top)/100), "row %d", i)
	}
}

func TestJudge(t *testing.T) {
	nodes, _ := fleet(4000, 1)
	table := Nodes(nodes)
	g, s, _ := fitFleet(t, table, 4, 1)
	ids, names := numbered(4)
	q, err := Quantise(g.Mixture, s, ids, names)
	require.NoError(t, err)
	src := SplitMix64(99)
	judge := func(q *quant.Model, table *Integers) Verdict {
		v, err := Judge(context.Background(), q, table, NodeFeatures(), nil, &src)
		require.NoError(t, err)
		return v
	}
	v := judge(q, table)
	require.True(t, v.Accept, v.Reason)
	require.InDelta(t, v.Ours, v.Theirs, JudgeTolerance)

	later, _ := fleet(4000, 1)
	for i := range later {
		if i%50 == 0 {
			later[i].Price += later[i].Price / 100
		}
	}
	v = judge(q, Nodes(later))
	require.True(t, v.Accept, "the rows of another oracle differ a little: %s", v.Reason)

	worse := *q
	worse.Components = append([]quant.Component(nil), q.Components...)
	worse.Components[0].Mean = append([]int64(nil), q.Components[0].Mean...)
	worse.Components[0].Mean[4] += 1 << quant.ScaledBits
	v = judge(&worse, table)
	require.False(t, v.Accept)
	require.Contains(t, v.Reason, "worse than a fit of one's own")

	shifted := *q
	shifted.Features = append([]quant.Feature(nil), q.Features...)
	shifted.Features[0].Center += 3 << 32
	v = judge(&shifted, table)
	require.False(t, v.Accept)
	require.Contains(t, v.Reason, `"memory" is scaled by`)

	shifted.Features[0].Name = "mammary"
	require.Contains(t, judge(&shifted, table).Reason, `expected is "memory"`)
	short := *q
	short.Components = q.Components[:1]
	require.Contains(t, judge(&short, table).Reason, "sum to")
}

func TestNamesAreCutAtATrait(t *testing.T) {
	require.Equal(t, "fast CPU, much memory", cutName("fast CPU, much memory"))
	require.Equal(t, "very high memory_bandwidth, very high passmark_single", cutName("very high memory_bandwidth, very high passmark_single, very low jitter"))
	require.Empty(t, cutName(strings.Repeat("x", 100)))
}

func TestQuantiseRefuses(t *testing.T) {
	nodes, _ := fleet(500, 1)
	g, s, _ := fitFleet(t, Nodes(nodes), 2, 1)
	_, err := Quantise(g.Mixture, s, []uint32{1}, []string{"a"})
	require.ErrorContains(t, err, "1 ids and 1 names given for 2 components")
	_, err = Quantise(g.Mixture, s, []uint32{1, 1}, []string{"a", "b"})
	require.ErrorContains(t, err, "two components have the id 1")
	bad := append(Scaler(nil), s...)
	bad[4].Range = 1e300
	_, err = Quantise(g.Mixture, bad, []uint32{1, 2}, []string{"a", "b"})
	require.ErrorContains(t, err, "give it another unit")
}
