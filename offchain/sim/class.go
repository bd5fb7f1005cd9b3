package sim

import (
	"context"
	"math"

	"github.com/foggrid/fogd/offchain/classify"
)

const (
	classCount = 8
	// classSample bounds the nodes that the classes are learnt from.
	classSample = 20_000
)

// shown are the numbers of node i that classes are made of: logarithms, so that they are of one size.
func (f *Fleet) shown(i int, out []float64) []float64 {
	s := &f.Catalogue[f.Server[i]]
	out = append(out[:0], math.Log1p(s.MemoryGiB), math.Log1p(s.StorageGB)/4, math.Log1p(s.NetGbps), 4*math.Log(f.Speed[i]))
	for _, v := range []float64{s.All, s.MemoryMBs} {
		if v > 0 {
			out = append(out, math.Log(v))
		} else {
			out = append(out, math.NaN())
		}
	}
	return append(out, 4*math.Log(f.PriceCPU[i]))
}

// classesOf learns classes by k-means from what the nodes show, and returns what tells the class of a node, from 1.
func classesOf(f *Fleet, seed uint64) (func(i int) uint32, error) {
	step := max(f.Len()/classSample, 1)
	d := &classify.Data{}
	var row []float64
	for i := 0; i < f.Len(); i += step {
		row = f.shown(i, row)
		d.X = append(d.X, row...)
		d.Rows++
	}
	d.Dim = len(row)
	source := classify.SplitMix64(hash(seed, streamPolicy, 'c'))
	k := min(classCount, d.Rows)
	m, err := classify.FitKMeans(context.Background(), d, classify.KMeansOptions{K: k}, &source)
	if err != nil {
		return nil, err
	}
	return func(i int) uint32 {
		row = f.shown(i, row)
		best, least := 0, math.Inf(1)
		for c := range k {
			sum := 0.0
			for j, v := range m.Centres[c*d.Dim : (c+1)*d.Dim] {
				if delta := row[j] - v; !math.IsNaN(delta) {
					sum += delta * delta
				}
			}
			if sum < least {
				best, least = c, sum
			}
		}
		return uint32(best + 1)
	}, nil
}
