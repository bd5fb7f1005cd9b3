package classify

import "math"

// Symmetric and triangular matrices of order d are packed by rows: element (i, j), j ≤ i, is at i(i+1)/2+j.

func packedLen(d int) int { return d * (d + 1) / 2 }

func packedAt(i, j int) int {
	if i < j {
		i, j = j, i
	}
	return i*(i+1)/2 + j
}

// cholesky writes the lower triangular L with LLᵀ = a into l, and tells whether a is positive definite.
func cholesky(l, a []float64, d int) bool {
	for i := range d {
		row := i * (i + 1) / 2
		for j := range i + 1 {
			other := j * (j + 1) / 2
			sum := a[row+j]
			for m := range j {
				sum -= float64(l[row+m] * l[other+m])
			}
			if i != j {
				l[row+j] = sum / l[other+j]
				continue
			}
			if !(sum > 0) || math.IsInf(sum, 1) {
				return false
			}
			l[row+i] = math.Sqrt(sum)
		}
	}
	return true
}

// invertLower writes the inverse of the lower triangular l into w.
func invertLower(w, l []float64, d int) {
	for j := range d {
		w[packedAt(j, j)] = 1 / l[packedAt(j, j)]
		for i := j + 1; i < d; i++ {
			var sum float64
			for m := j; m < i; m++ {
				sum += float64(l[packedAt(i, m)] * w[packedAt(m, j)])
			}
			w[packedAt(i, j)] = -sum / l[packedAt(i, i)]
		}
	}
}

// eigen returns the eigenvalues of the packed symmetric a and their eigenvectors, vector c in elements v[i*d+c], by cyclic Jacobi rotations
// (Golub and Van Loan, Matrix Computations, 8.5).
func eigen(a []float64, d int) (values, v []float64) {
	m := make([]float64, d*d)
	v = make([]float64, d*d)
	for i := range d {
		v[i*d+i] = 1
		for j := range d {
			m[i*d+j] = a[packedAt(i, j)]
		}
	}
	const sweeps = 60
	for range sweeps {
		var off, diagonal float64
		for i := range d {
			diagonal += float64(m[i*d+i] * m[i*d+i])
			for j := range i {
				off += float64(m[i*d+j] * m[i*d+j])
			}
		}
		if off <= float64(1e-32*diagonal) {
			break
		}
		for p := range d {
			for q := p + 1; q < d; q++ {
				rotate(m, v, d, p, q)
			}
		}
	}
	values = make([]float64, d)
	for i := range d {
		values[i] = m[i*d+i]
	}
	return values, v
}

// rotate makes element (p, q) of m zero.
func rotate(m, v []float64, d, p, q int) {
	apq := m[p*d+q]
	if apq == 0 {
		return
	}
	theta := (m[q*d+q] - m[p*d+p]) / float64(2*apq)
	t := 1 / (math.Abs(theta) + math.Sqrt(float64(theta*theta)+1))
	if theta < 0 {
		t = -t
	}
	c := 1 / math.Sqrt(float64(t*t)+1)
	s := float64(t * c)
	for i := range d {
		a, b := m[i*d+p], m[i*d+q]
		m[i*d+p], m[i*d+q] = float64(c*a)-float64(s*b), float64(s*a)+float64(c*b)
	}
	for i := range d {
		a, b := m[p*d+i], m[q*d+i]
		m[p*d+i], m[q*d+i] = float64(c*a)-float64(s*b), float64(s*a)+float64(c*b)
		a, b = v[i*d+p], v[i*d+q]
		v[i*d+p], v[i*d+q] = float64(c*a)-float64(s*b), float64(s*a)+float64(c*b)
	}
}

// raiseEigenvalues makes every eigenvalue of the packed symmetric a at least floor, in units in which axis i has scale[i]; it leaves a
// alone where they are. Among the matrices so bounded the result is the one of largest likelihood.
func raiseEigenvalues(a, scale []float64, d int, floor float64) {
	s := make([]float64, len(a))
	for i := range d {
		for j := range i + 1 {
			s[packedAt(i, j)] = a[packedAt(i, j)] / float64(scale[i]*scale[j])
		}
	}
	l, w := make([]float64, len(a)), make([]float64, len(a))
	if cholesky(l, s, d) {
		invertLower(w, l, d)
		var trace float64 // of the inverse: no eigenvalue is below its reciprocal
		for _, x := range w {
			trace += float64(x * x)
		}
		if float64(trace*floor) <= 1 {
			return
		}
	}
	values, v := eigen(s, d)
	low := false
	for c, x := range values {
		if !(x >= floor) {
			values[c], low = floor, true
		}
	}
	if !low {
		return
	}
	for i := range d {
		for j := range i + 1 {
			var sum float64
			for c, x := range values {
				sum += float64(float64(v[i*d+c]*x) * v[j*d+c])
			}
			a[packedAt(i, j)] = float64(float64(sum*scale[i]) * scale[j])
		}
	}
}
