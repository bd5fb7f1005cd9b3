package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestOutages(t *testing.T) {
	var n types.Node
	require.Equal(t, 1, n.Down(1_000, 100))
	require.EqualValues(t, 10, n.Up(1_010, 100))
	require.Equal(t, 2, n.Down(1_050, 100))
	require.EqualValues(t, 10+5, n.Up(1_055, 100))
	require.EqualValues(t, 4+5, n.Up(1_106, 100), "the first counts from the beginning of the window")
	require.Equal(t, 2, n.Down(1_105, 100), "the first began before it")
	require.Len(t, n.Outages, 3, "but reaches into it")
	require.EqualValues(t, 95, n.Up(1_200, 100), "an outage that lasts is counted to its end")
	require.Equal(t, 1, n.Down(5_000, 100))
	require.Equal(t, []types.Outage{{From: 5_000}}, n.Outages, "what is over is forgotten")
	require.EqualValues(t, 100, n.Up(9_000, 100), "never more than the window")
}
