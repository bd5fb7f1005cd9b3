package types_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestStatisticsSaturate(t *testing.T) {
	s := types.Statistics{Tasks: 1, Paid: math.MaxUint64 - 1}
	s.Add(types.Statistics{Tasks: 2, Successes: 3, Failures: 4, Lost: 5, Paid: 9, WorkMs: 6})
	require.Equal(t, types.Statistics{Tasks: 3, Successes: 3, Failures: 4, Lost: 5, Paid: math.MaxUint64, WorkMs: 6}, s)
}
