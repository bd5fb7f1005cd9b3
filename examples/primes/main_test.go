package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCount(t *testing.T) {
	for _, c := range []struct{ from, to, want uint64 }{
		{0, 0, 0}, {0, 2, 0}, {0, 3, 1}, {2, 3, 1}, {8, 11, 0}, {0, 100, 25}, {0, 1_000_000, 78_498}, {999_983, 999_984, 1},
		{0, segment, 23_000}, {segment - 1, segment + 1, 0}, // π(2^18) = 23000
	} {
		require.Equal(t, c.want, count(c.from, c.to), "from %d to %d", c.from, c.to)
	}
	require.Equal(t, count(0, 3_000_000), count(0, 1_234_567)+count(1_234_567, 3_000_000))
}
