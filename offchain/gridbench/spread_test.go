package gridbench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	require.Zero(t, spreadOf(nil))
	require.Equal(t, Spread{1, 2000, 2000, 2000}, spreadOf([]time.Duration{2 * time.Second}))
	var times []time.Duration
	for i := 200; i > 0; i-- {
		times = append(times, time.Duration(i)*time.Millisecond)
	}
	require.Equal(t, Spread{200, 100, 198, 200}, spreadOf(times))
}
