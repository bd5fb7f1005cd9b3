package pricing

import "math"

// demandCurve is the chance that an offer is accepted at a price, in units of the cost.
type demandCurve struct {
	kind   string
	demand func(price float64) float64
}

type splitmix uint64

func (s *splitmix) Uint64() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// randomCurve draws a curve of one of five families of valuations: logistic, exponential, lognormal, uniform (linear demand), and two
// groups of users. Typical valuations lie at 1.5 to 6 times the cost; at most reach of all offers are ever accepted.
func randomCurve(s Source, kind int) demandCurve {
	center := 1.5 * math.Pow(4, uniform(s))
	reach := 0.4 + 0.6*uniform(s)
	shape := uniform(s)
	switch kind % 5 {
	case 0:
		width := 0.1 + 0.2*shape
		return demandCurve{"logistic", func(p float64) float64 { return reach * logistic((center-p)/(width*center)) }}
	case 1:
		return demandCurve{"exponential", func(p float64) float64 { return reach * math.Exp(-p/center) }}
	case 2:
		sigma := 0.25 + 0.5*shape
		return demandCurve{"lognormal", func(p float64) float64 { return reach * normalTail(math.Log(p/center)/sigma) }}
	case 3:
		high := center * (1.2 + shape)
		return demandCurve{"linear", func(p float64) float64 { return reach * min(max(1-p/high, 0), 1) }}
	default:
		share, ratio := 0.2+0.5*shape, 1.5+uniform(s)
		return demandCurve{"two groups", func(p float64) float64 {
			return reach * (share*normalTail(math.Log(p/center/ratio)/0.2) + (1-share)*normalTail(math.Log(p/center*ratio)/0.2))
		}}
	}
}

func normalTail(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// bestFixed is the largest profit an offer of any price up to the ceiling, in units of the cost, and that price.
func bestFixed(d demandCurve, ceiling float64) (profit, price float64) {
	for p := 1.0; p <= ceiling; p += 0.001 {
		if v := (p - 1) * d.demand(p); v > profit {
			profit, price = v, p
		}
	}
	return profit, price
}

func binomial(s Source, n int, p float64) int {
	k := 0
	for range n {
		if uniform(s) < p {
			k++
		}
	}
	return k
}
