package classify

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpAndLogAreThoseOfMath(t *testing.T) {
	src := SplitMix64(1)
	for range 200_000 {
		x := 1400*uniform(&src) - 700
		require.InEpsilon(t, math.Exp(x), exp(x), 4e-16, "exp(%v)", x)
		y := math.Float64frombits(src.Uint64() >> 1)
		if y >= 0x1p-1022 && !math.IsInf(y, 0) && y == y { // below, math.Log is wrong on amd64
			require.InDelta(t, math.Log(y), log(y), 2e-16*max(1, math.Abs(math.Log(y))), "log(%v)", y)
		}
		near := 1 + (uniform(&src)-0.5)/64
		require.InDelta(t, math.Log(near), log(near), 1e-17, "log(%v)", near)
	}
}

func TestExpAndLogAtTheEdges(t *testing.T) {
	require.Equal(t, 1.0, exp(0))
	require.Equal(t, 0.0, exp(-1e300))
	require.Equal(t, 0.0, exp(math.Inf(-1)))
	require.True(t, math.IsInf(exp(1e4), 1))
	require.True(t, math.IsNaN(exp(math.NaN())))
	require.Equal(t, 0.0, log(1))
	require.True(t, math.IsInf(log(0), -1))
	require.True(t, math.IsNaN(log(-1)))
	require.True(t, math.IsInf(log(math.Inf(1)), 1))
	require.InDelta(t, -744.4400719213812, log(5e-324), 1e-12)
}
