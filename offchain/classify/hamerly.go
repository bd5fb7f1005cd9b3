package classify

import (
	"context"
	"math"
)

// hamerly runs Lloyd's algorithm and leaves out the distances that bounds decide: of each row an upper bound of the distance to its own centre
// and a lower bound of that to any other. The bounds are widened by what rounding can take, so that a row which they decide would have
// been decided alike by the distances as computed.
type hamerly struct {
	x            []float64
	rows, dim, k int
	cut          chunks
	centres      []float64
	labels       []int32
	upper, lower []float64
	sums         []float64 // of each chunk, k·dim: the rows of each class
	counts       []int     // of each chunk, k
	relative     float64   // bound of the relative error of a computed distance
	absolute     float64   // and of the error of a step of the bounds
}

func newHamerly(x []float64, dim int, centres []float64) *hamerly {
	rows := len(x) / dim
	k := len(centres) / dim
	h := &hamerly{
		x: x, rows: rows, dim: dim, k: k, cut: divide(rows),
		centres: append([]float64(nil), centres...),
		labels:  make([]int32, rows), upper: make([]float64, rows), lower: make([]float64, rows),
		relative: float64(dim+8) * 0x1p-52,
	}
	h.sums = make([]float64, h.cut.count*k*dim)
	h.counts = make([]int, h.cut.count*k)
	largest := make([]float64, h.cut.count)
	h.cut.each(func(chunk, from, to int) {
		var top float64
		for _, v := range x[from*dim : to*dim] {
			if v > top {
				top = v
			} else if -v > top {
				top = -v
			}
		}
		largest[chunk] = top
	})
	for _, v := range append(largest, h.centres...) {
		h.absolute = max(h.absolute, math.Abs(v))
	}
	h.absolute = float64(float64(h.absolute*math.Sqrt(float64(dim))) * (4 * h.relative))
	return h
}

// run iterates until no label changes, the centres move by no more than the tolerance (sum of squares), or max iterations.
func (h *hamerly) run(ctx context.Context, most int, tolerance float64) (*KMeans, error) {
	m := &KMeans{K: h.k, Dim: h.dim}
	h.assign()
	half := make([]float64, h.k)
	grow, shrink := make([]float64, h.k), make([]float64, h.k)
	for m.Iterations < most && !m.Converged {
		if err := begin(ctx, Step{h.k, h.rows, m.Iterations}); err != nil {
			return nil, err
		}
		m.Iterations++
		moved := h.update(grow, shrink)
		h.separations(half)
		changed := h.sweep(half, grow, shrink)
		m.Converged = changed == 0 || moved <= tolerance
	}
	h.settle()
	m.Centres, m.Labels = h.centres, h.labels
	m.Inertia = (&Data{Rows: h.rows, Dim: h.dim, X: h.x}).inertia(m)
	return m, nil
}

// assign finds the nearest centre of every row, and the sums of the classes.
func (h *hamerly) assign() {
	h.cut.each(func(chunk, from, to int) {
		for i := from; i < to; i++ {
			h.nearest(i)
			h.add(chunk, i, int(h.labels[i]))
		}
	})
}

// nearest sets label and bounds of row i from all distances.
func (h *hamerly) nearest(i int) {
	first, second, at := math.Inf(1), math.Inf(1), 0
	if h.dim == 8 {
		x := (*[8]float64)(h.x[i*8:])
		for c, rest := 0, h.centres; len(rest) >= 8; c, rest = c+1, rest[8:] {
			r := distance8(x, (*[8]float64)(rest))
			if r < first {
				first, second, at = r, first, c
			} else if r < second {
				second = r
			}
		}
	} else {
		x := h.x[i*h.dim : (i+1)*h.dim]
		for c := range h.k {
			r := distance(x, h.centres[c*h.dim:(c+1)*h.dim])
			if r < first {
				first, second, at = r, first, c
			} else if r < second {
				second = r
			}
		}
	}
	h.labels[i] = int32(at)
	h.upper[i] = float64(math.Sqrt(first) * (1 + h.relative))
	h.lower[i] = float64(math.Sqrt(second) * (1 - h.relative))
}

// own is the squared distance of row i from its centre.
func (h *hamerly) own(i int) float64 {
	c := int(h.labels[i])
	if h.dim == 8 {
		return distance8((*[8]float64)(h.x[i*8:]), (*[8]float64)(h.centres[c*8:]))
	}
	return distance(h.x[i*h.dim:(i+1)*h.dim], h.centres[c*h.dim:(c+1)*h.dim])
}

func (h *hamerly) add(chunk, i, class int) {
	sum := h.sums[(chunk*h.k+class)*h.dim:][:h.dim]
	for j, v := range h.x[i*h.dim : (i+1)*h.dim] {
		sum[j] += v
	}
	h.counts[chunk*h.k+class]++
}

func (h *hamerly) remove(chunk, i, class int) {
	sum := h.sums[(chunk*h.k+class)*h.dim:][:h.dim]
	for j, v := range h.x[i*h.dim : (i+1)*h.dim] {
		sum[j] -= v
	}
	h.counts[chunk*h.k+class]--
}

// update moves the centres to the means of their classes; a class without rows keeps its centre. It returns the sum of the squared moves and sets, for each class, by
// how much its rows' upper bounds grow and their lower bounds shrink.
func (h *hamerly) update(grow, shrink []float64) float64 {
	var moved, most, second float64
	far := -1
	mean := make([]float64, h.dim)
	for c := range h.k {
		count := 0
		clear(mean)
		for chunk := range h.cut.count {
			count += h.counts[chunk*h.k+c]
			for j, v := range h.sums[(chunk*h.k+c)*h.dim:][:h.dim] {
				mean[j] += v
			}
		}
		centre := h.centres[c*h.dim : (c+1)*h.dim]
		grow[c] = h.absolute
		if count == 0 {
			continue
		}
		for j := range mean {
			mean[j] /= float64(count)
		}
		r := distance(mean, centre)
		copy(centre, mean)
		moved += r
		step := float64(math.Sqrt(r) * (1 + h.relative))
		grow[c] += step
		if step > most {
			most, second, far = step, most, c
		} else if step > second {
			second = step
		}
	}
	for c := range shrink {
		shrink[c] = most + h.absolute
		if c == far {
			shrink[c] = second + h.absolute
		}
	}
	return moved
}

// separations sets half the distance of each centre from the nearest other.
func (h *hamerly) separations(half []float64) {
	for c := range half {
		least := math.Inf(1)
		for other := range half {
			if other != c {
				least = min(least, distance(h.centres[c*h.dim:(c+1)*h.dim], h.centres[other*h.dim:(other+1)*h.dim]))
			}
		}
		half[c] = float64(float64(0.5*math.Sqrt(least))*(1-h.relative)) - h.absolute
	}
}

// sweep assigns the rows anew and returns how many labels changed.
func (h *hamerly) sweep(half, grow, shrink []float64) int {
	changed := make([]int, h.cut.count)
	h.cut.each(func(chunk, from, to int) {
		labels, upper, lower := h.labels[from:to], h.upper[from:to], h.lower[from:to]
		upper, lower = upper[:len(labels)], lower[:len(labels)]
		for at, label := range labels {
			u := upper[at] + grow[label]
			l := lower[at] - shrink[label]
			upper[at], lower[at] = u, l
			l = max(l, half[label])
			if u < l {
				continue
			}
			i := from + at
			u = float64(math.Sqrt(h.own(i)) * (1 + h.relative))
			upper[at] = u
			if u < l {
				continue
			}
			h.nearest(i)
			if now := labels[at]; now != label {
				h.remove(chunk, i, int(label))
				h.add(chunk, i, int(now))
				changed[chunk]++
			}
		}
	})
	total := 0
	for _, n := range changed {
		total += n
	}
	return total
}

// settle sets the centres to the means of the classes, added up afresh.
func (h *hamerly) settle() {
	clear(h.sums)
	clear(h.counts)
	h.cut.each(func(chunk, from, to int) {
		for i := from; i < to; i++ {
			h.add(chunk, i, int(h.labels[i]))
		}
	})
	h.update(make([]float64, h.k), make([]float64, h.k))
}
