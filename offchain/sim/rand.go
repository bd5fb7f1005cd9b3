package sim

import "math"

// Rand is the splitmix64 generator (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014). The zero value is a
// valid generator with seed 0.
type Rand struct{ state uint64 }

// NewRand returns a generator whose stream depends on all keys, so that parts of a world have streams of their own.
func NewRand(keys ...uint64) *Rand { return &Rand{state: hash(keys...)} }

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hash folds the keys into one word.
func hash(keys ...uint64) uint64 {
	h := uint64(golden)
	for _, k := range keys {
		h = mix(h+golden) ^ mix(k+golden)
	}
	return mix(h)
}

// Uint64 returns the next word of the stream.
func (r *Rand) Uint64() uint64 {
	r.state += golden
	return mix(r.state)
}

// Float returns a number in [0, 1).
func (r *Rand) Float() float64 { return unit(r.Uint64()) }

func unit(x uint64) float64 { return float64(x>>11) / (1 << 53) }

// IntN returns a number in [0, n) for 0 < n < 2³¹; the bias is below 2⁻³².
func (r *Rand) IntN(n int) int { return int((r.Uint64() >> 32) * uint64(n) >> 32) }

// Norm returns a standard normal number (Box and Muller, A Note on the Generation of Random Normal Deviates, 1958), from two uniforms.
func (r *Rand) Norm() float64 {
	u, v := 1-r.Float(), r.Float()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// Exp returns an exponential number of mean 1.
func (r *Rand) Exp() float64 { return -math.Log(1 - r.Float()) }
