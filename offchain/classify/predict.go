package classify

// Scores are rows evaluated under a mixture.
type Scores struct {
	Labels        []int32   // the likeliest component of each row, of equals the first
	LogLikelihood float64   // mean of a row
	Posterior     []float64 // Rows·K, if asked for: the probabilities of the components
}

// Score evaluates rows, with the posterior of each if that is asked for. An error says how the rows do not fit the model.
func (m *Mixture) Score(d *Data, posterior bool) (*Scores, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if err := m.fits(d); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	k := newKernel(m)
	out := &Scores{Labels: make([]int32, d.Rows)}
	if posterior {
		out.Posterior = make([]float64, d.Rows*m.K)
	}
	complete := !incomplete(d.X)
	cut := divide(d.Rows)
	sums := make([]float64, cut.count)
	cut.each(func(chunk, from, to int) {
		s := k.newDensities(complete)
		var hint int32
		for i := from; i < to; i++ {
			l, at := k.row(s, d, i, hint)
			hint = at
			out.Labels[i] = at
			sums[chunk] += l
			if posterior {
				for j, c := range s.component {
					out.Posterior[i*m.K+int(c)] = s.density[j]
				}
			}
		}
	})
	for _, s := range sums {
		out.LogLikelihood += s
	}
	out.LogLikelihood /= float64(d.Rows)
	return out, nil
}
