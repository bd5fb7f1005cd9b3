package quant

import (
	"math"
	"math/bits"
)

// Q32 of some constants.
const (
	ln2Q32       = 2977044472 // ln 2
	halfLogTau   = 3946810947 // ½ ln 2π
	fractionBits = 32
)

// log2Q32 is the binary logarithm of x in Q32, rounded down; of 0 it is 0.
func log2Q32(x uint64) int64 {
	if x == 0 {
		return 0
	}
	whole := 63 - bits.LeadingZeros64(x)
	x <<= 63 - whole // in [1, 2) as Q63
	result := int64(whole)
	for range fractionBits {
		hi, lo := bits.Mul64(x, x) // the square, in [1, 4) as Q126
		result <<= 1
		if hi>>63 == 1 {
			result |= 1
			x = hi
		} else {
			x = hi<<1 | lo>>63
		}
	}
	return result
}

// lnQ32 is the natural logarithm of x over 2^scale in Q32.
func lnQ32(x uint64, scale int64) int64 {
	return mulShift(log2Q32(x)-scale<<fractionBits, ln2Q32, fractionBits)
}

// mulShift is a·b/2^shift, rounded towards minus infinity, and the nearest int64 where it is none. shift is below 64.
func mulShift(a, b int64, shift uint) int64 {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	rest := lo&(1<<shift-1) != 0
	lo = lo>>shift | hi<<(64-shift)
	hi >>= shift
	if negative && rest {
		var carry uint64
		lo, carry = bits.Add64(lo, 1, 0)
		hi += carry
	}
	return signed(hi, lo, negative)
}

// mulDiv is a·b/c for c > 0, rounded towards zero, and the nearest int64 where it is none.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	if hi >= uint64(c) {
		return signed(1, 0, negative)
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return signed(0, q, negative)
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// signed is ±(hi, lo), or the nearest int64.
func signed(hi, lo uint64, negative bool) int64 {
	switch {
	case hi != 0 || lo > math.MaxInt64:
		if negative {
			return math.MinInt64
		}
		return math.MaxInt64
	case negative:
		return -int64(lo)
	}
	return int64(lo)
}

// addSat is a+b, or the nearest int64.
func addSat(a, b int64) int64 {
	s := a + b
	if a > 0 && b > 0 && s < 0 {
		return math.MaxInt64
	}
	if a < 0 && b < 0 && s >= 0 {
		return math.MinInt64
	}
	return s
}

func clamp(x, limit int64) int64 { return max(-limit, min(limit, x)) }
