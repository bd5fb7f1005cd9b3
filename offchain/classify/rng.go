package classify

import "math/bits"

// Source yields uniform 64-bit numbers; it is that of math/rand/v2.
type Source interface{ Uint64() uint64 }

// SplitMix64 is the generator of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014). Its value is its seed.
type SplitMix64 uint64

// Uint64 returns the next number.
func (s *SplitMix64) Uint64() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform is in [0, 1), a multiple of 2^-53.
func uniform(src Source) float64 { return float64(src.Uint64()>>11) * 0x1p-53 }

// below is uniform in [0, n), for n > 0, but for a bias of n/2^64.
func below(src Source, n int) int {
	hi, _ := bits.Mul64(src.Uint64(), uint64(n))
	return int(hi)
}
