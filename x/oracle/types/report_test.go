package types_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

func TestQuorum(t *testing.T) {
	for n, quorum := range map[int]uint32{1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5, 10: 7, 21: 15} {
		require.Equal(t, quorum, types.Quorum(n), "of %d", n)
	}
	for n := 1; n <= 21; n++ {
		require.Greater(t, 2*int(types.Quorum(n)), n, "two claims cannot both have a quorum of %d", n)
		require.LessOrEqual(t, int(types.Quorum(n)), n)
	}
}

// The orders were computed apart from this code: SHA-256 of the round's eight bytes, big-endian, and the address.
func TestRanksGolden(t *testing.T) {
	operators := make([]sdk.AccAddress, 7)
	for i := range operators {
		operators[i] = bytes.Repeat([]byte{byte(i + 1)}, 20)
	}
	for round, want := range map[uint64][]byte{
		1:                  {7, 1, 6, 5, 3, 2, 4},
		2:                  {1, 6, 2, 3, 4, 7, 5},
		3:                  {3, 5, 6, 4, 7, 2, 1},
		0x0102030405060708: {3, 2, 6, 4, 1, 5, 7},
	} {
		var got []byte
		for _, op := range types.Ranks(round, operators) {
			got = append(got, op[0])
		}
		require.Equal(t, want, got, "round %d", round)
	}
	require.Equal(t, byte(1), operators[0][0], "the argument keeps its order")
	require.Empty(t, types.Ranks(1, nil))
}

func TestMedianLower(t *testing.T) {
	for _, test := range []struct {
		values []uint64
		want   uint64
	}{
		{nil, 0},
		{[]uint64{7}, 7},
		{[]uint64{9, 1}, 1},
		{[]uint64{9, 1, 5}, 5},
		{[]uint64{9, 1, 5, 1 << 63}, 5},
	} {
		require.Equal(t, test.want, types.MedianLower(test.values))
	}
}
