package classify

import (
	"context"
	"fmt"
	"math"
)

// KMeansOptions say how k-means is fitted; the zero value of a field is its default.
type KMeansOptions struct {
	K             int
	Starts        int       // at most, on a sample, of which the best go on: 16, and up to 16 more of many rows
	MaxIterations int       // over all rows: 300
	Tolerance     float64   // it ends when the centres' squared moves sum to less than this part of the mean variance: 1e-6; negative: only at rest
	Centres       []float64 // K·Dim, where a refit begins, in place of the starts
}

// KMeans is a partition into K classes by the nearest centre.
type KMeans struct {
	K, Dim     int
	Centres    []float64 // K·Dim
	Labels     []int32   // of each row
	Inertia    float64   // the sum of squared distances to the centres; of rows with missing values, over what is there
	Iterations int       // over all rows
	Converged  bool
}

// FitKMeans finds K centres of small inertia: Lloyd's algorithm with Hamerly's bounds ("Making k-means even faster", SDM 2010) from greedy k-means++ seeds, tried
// on a sample of the rows and carried on with more of them. The labels are those of plain Lloyd, exactly. Missing
// values are left out of distances and means (as in Chi, Chi and Baraniuk, "k-POD", The American Statistician 70, 2016). An error is bad input or the end of ctx, which may hold WithProgress.
func FitKMeans(ctx context.Context, d *Data, o KMeansOptions, src Source) (*KMeans, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if err := checkK(o.K, d.Rows); err != nil {
		return nil, err
	}
	if o.Centres != nil && len(o.Centres) != o.K*d.Dim {
		return nil, fmt.Errorf("%d centres of %d columns need %d values, not %d", o.K, d.Dim, o.K*d.Dim, len(o.Centres))
	}
	if o.Starts <= 0 {
		o.Starts = 16 + min(16, d.Rows/100_000)
	}
	if o.MaxIterations <= 0 {
		o.MaxIterations = 300
	}
	if o.Tolerance == 0 {
		o.Tolerance = 1e-6
	}
	mean, variance, _ := d.moments()
	holes := d.holes()
	full := d
	if len(holes) > 0 {
		full = &Data{Rows: d.Rows, Dim: d.Dim, X: append([]float64(nil), d.X...)}
		for _, at := range holes {
			full.X[at] = mean[at%d.Dim]
		}
	}
	var spread float64
	for _, v := range variance {
		spread += v
	}
	o.Tolerance = max(0, float64(o.Tolerance*spread)/float64(d.Dim))

	runs, err := startKMeans(ctx, full, o, src)
	if err != nil {
		return nil, err
	}
	before := 0
	if len(runs) > 1 {
		if runs, err = carryOn(ctx, full, runs, o); err != nil {
			return nil, err
		}
		before = runs[0].Iterations
	}
	m, err := newHamerly(full.X, d.Dim, runs[0].Centres).run(ctx, max(1, o.MaxIterations-before), o.Tolerance)
	if err != nil {
		return nil, err
	}
	m.Iterations += before
	if len(holes) > 0 {
		if err := m.overPresent(ctx, d, o.MaxIterations); err != nil {
			return nil, err
		}
	}
	m.Inertia = d.inertia(m)
	return m, nil
}

// overPresent goes on from a partition of rows that had been filled up, with Lloyd's algorithm over the values that are there: distances and means
// leave the missing ones out.
func (m *KMeans) overPresent(ctx context.Context, d *Data, most int) error {
	cut := divide(d.Rows)
	size := m.K * m.Dim
	sums, counts := make([]float64, cut.count*size), make([]int, cut.count*size)
	for m.Converged = false; m.Iterations < most; m.Iterations++ {
		if err := begin(ctx, Step{m.K, d.Rows, m.Iterations}); err != nil {
			return err
		}
		clear(sums)
		clear(counts)
		changed := make([]int, cut.count)
		cut.each(func(chunk, from, to int) {
			for i := from; i < to; i++ {
				x := d.row(i)
				c := m.nearest(x)
				if c != m.Labels[i] {
					m.Labels[i] = c
					changed[chunk]++
				}
				at := chunk*size + int(c)*m.Dim
				for j, v := range x {
					if v == v {
						sums[at+j] += v
						counts[at+j]++
					}
				}
			}
		})
		total := 0
		for chunk, n := range changed {
			total += n
			for i := range size {
				if chunk > 0 {
					sums[i] += sums[chunk*size+i]
					counts[i] += counts[chunk*size+i]
				}
			}
		}
		if m.Converged = total == 0; m.Converged {
			return nil
		}
		for i, n := range counts[:size] {
			if n > 0 {
				m.Centres[i] = sums[i] / float64(n)
			}
		}
	}
	return nil
}

// nearest is the class of the nearest centre over the values that are there, of equals the first.
func (m *KMeans) nearest(x []float64) int32 {
	least, at := math.Inf(1), int32(0)
	for c := range m.K {
		if r := presentDistance(x, m.centre(c)); r < least {
			least, at = r, int32(c)
		}
	}
	return at
}

// samePlace is by which part the inertias of runs that ended in the same place may differ.
const samePlace = 3e-4

// agree tells whether all runs have ended at the same inertia, as near as matters.
func agree(runs []*KMeans) bool {
	for _, m := range runs {
		if math.Abs(m.Inertia-runs[0].Inertia) > float64(samePlace*runs[0].Inertia) {
			return false
		}
	}
	return true
}

// startKMeans is where the runs over all rows begin. The best of the starts on a sample are carried on in larger ones; when the first
// few have all ended in the same place, no more are made.
func startKMeans(ctx context.Context, d *Data, o KMeansOptions, src Source) ([]*KMeans, error) {
	if o.Centres != nil {
		return []*KMeans{{K: o.K, Dim: d.Dim, Centres: o.Centres}}, nil
	}
	const enough, short, keep = 7, 12, 8
	size := max(8192, 256*o.K, d.Rows/32)
	s := d.sample(size, src)
	var runs []*KMeans
	for range o.Starts {
		m, err := newHamerly(s.X, s.Dim, seedCentres(s.X, s.Dim, o.K, src)).run(ctx, short, float64(rough*o.Tolerance))
		if err != nil {
			return nil, err
		}
		runs = append(runs, m)
		if len(runs) >= enough && agree(runs) {
			break
		}
	}
	runs, err := carryOn(ctx, s, best(runs, keep, func(m *KMeans) float64 { return -m.Inertia }), o)
	if err != nil {
		return nil, err
	}
	for _, size := range ladder(size, d.Rows) {
		var err error
		if runs, err = carryOn(ctx, d.sample(size, src), runs, o); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// rough is by how much larger the tolerance is of runs that are to be compared only.
const rough = 100

// carryOn runs on roughly, over the same or other rows, from where runs ended, and returns those that may still win, best first.
func carryOn(ctx context.Context, d *Data, runs []*KMeans, o KMeansOptions) ([]*KMeans, error) {
	for i, m := range runs {
		if m.Converged && len(m.Labels) == d.Rows {
			continue
		}
		var err error
		if runs[i], err = newHamerly(d.X, d.Dim, m.Centres).run(ctx, o.MaxIterations, float64(rough*o.Tolerance)); err != nil {
			return nil, err
		}
	}
	return rivals(runs, d.Rows), nil
}

// rivals are the runs, at most three, whose inertia is so near the lowest that more rows may turn the order, without those that ended in the same place.
func rivals(runs []*KMeans, rows int) []*KMeans {
	const most = 3
	runs = best(runs, len(runs), func(m *KMeans) float64 { return -m.Inertia })
	margin := 0.5 / math.Sqrt(float64(rows))
	kept := runs[:1]
	for _, m := range runs[1:] {
		if len(kept) < most && m.Inertia <= float64(runs[0].Inertia*(1+margin)) && m.Inertia > float64(kept[len(kept)-1].Inertia*(1+samePlace)) {
			kept = append(kept, m)
		}
	}
	return kept
}

// best keeps the n runs of the highest score, best first; of equals the earlier ones.
func best[T any](runs []T, n int, score func(T) float64) []T {
	for i := 1; i < len(runs); i++ {
		for j := i; j > 0 && score(runs[j]) > score(runs[j-1]); j-- {
			runs[j], runs[j-1] = runs[j-1], runs[j]
		}
	}
	return runs[:min(n, len(runs))]
}

// holes are the indexes of the missing values.
func (d *Data) holes() []int {
	var at []int
	for i, x := range d.X {
		if x != x {
			at = append(at, i)
		}
	}
	return at
}

// inertia of a partition over the values that are there.
func (d *Data) inertia(m *KMeans) float64 {
	cut := divide(d.Rows)
	sums := make([]float64, cut.count)
	cut.each(func(chunk, from, to int) {
		var sum float64
		for i := from; i < to; i++ {
			sum += presentDistance(d.row(i), m.centre(int(m.Labels[i])))
		}
		sums[chunk] = sum
	})
	var total float64
	for _, s := range sums {
		total += s
	}
	return total
}

func presentDistance(x, centre []float64) float64 {
	var sum float64
	for j, v := range x {
		if v == v {
			r := v - centre[j]
			sum += float64(r * r)
		}
	}
	return sum
}

func (m *KMeans) centre(c int) []float64 { return m.Centres[c*m.Dim : (c+1)*m.Dim] }

// Predict returns the class of each row: the nearest centre over the values that are there, of equals the first.
func (m *KMeans) Predict(d *Data) ([]int32, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if d.Dim != m.Dim {
		return nil, fmt.Errorf("the rows have %d columns and the model %d; give the columns that it was fitted on", d.Dim, m.Dim)
	}
	labels := make([]int32, d.Rows)
	divide(d.Rows).each(func(_, from, to int) {
		for i := from; i < to; i++ {
			labels[i] = m.nearest(d.row(i))
		}
	})
	return labels, nil
}
