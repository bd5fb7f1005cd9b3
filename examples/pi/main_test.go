package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThrow(t *testing.T) {
	const samples = 1_000_000
	inside := throw(samples, 20260101, 0)
	require.Equal(t, inside, throw(samples, 20260101, 0))
	require.NotEqual(t, inside, throw(samples, 20260101, 1))
	// Four standard deviations of 4·inside/samples are 0.0066.
	require.InDelta(t, math.Pi, 4*float64(inside)/samples, 0.0066)
	require.EqualValues(t, 0, throw(0, 1, 1))
}
