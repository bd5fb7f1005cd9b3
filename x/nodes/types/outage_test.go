package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestOutages(t *testing.T) {
	p := types.Params{TransitionWindow: 100}
	away := func(n *types.Node, now int64) int64 {
		seconds, _ := n.Up(now, p)
		return seconds
	}
	var n types.Node
	require.Equal(t, 1, n.Down(1_000, p))
	require.EqualValues(t, 10, away(&n, 1_010))
	require.Equal(t, 2, n.Down(1_050, p))
	require.EqualValues(t, 10+5, away(&n, 1_055))
	require.EqualValues(t, 4+5, away(&n, 1_106), "the first counts from the beginning of the window")
	require.Equal(t, 2, n.Down(1_105, p), "the first began before it")
	require.Len(t, n.Outages, 3, "but reaches into it")
	require.EqualValues(t, 95, away(&n, 1_200), "an outage that lasts is counted to its end")
	require.Equal(t, 1, n.Down(5_000, p))
	require.Equal(t, []types.Outage{{From: 5_000}}, n.Outages, "what is over is forgotten")
	require.EqualValues(t, 50, n.Away(5_050, p), "one that lasts counts so far")
	require.EqualValues(t, 100, away(&n, 9_000), "never more than the window")
}

func TestAnnouncedOutages(t *testing.T) {
	const at, hour = 1_700_438_400, 3_600 // a Monday, 00:00 UTC
	p := types.DefaultParams()
	fresh := func() types.Node {
		var n types.Node
		hours := types.OfflineHours{Weekly: []types.WeeklyHours{{Start: 120, Minutes: 60}}} // Monday, 02:00 to 03:00
		require.NoError(t, n.Announce(hours, at, p))
		return n
	}
	for name, c := range map[string]struct {
		down, up    int64
		away        int64
		transitions int
	}{
		"as announced":                 {2 * hour, 3 * hour, 0, 0},
		"back before":                  {2*hour + 60, 2*hour + 120, 0, 0},
		"back in time":                 {2 * hour, 3*hour + 600, 0, 0},
		"back too late":                {2 * hour, 3*hour + 601, 601, 1},
		"a second too early":           {2*hour - 1, 3 * hour, 1, 1},
		"gone when the hours are over": {3 * hour, 4 * hour, hour, 1},
		"gone from before to after":    {hour, 4 * hour, 2 * hour, 1},
		"gone over two weeks' hours":   {2 * hour, 7*24*hour + 4*hour, 7*24*hour - hour, 0}, // of the last week all but an hour; it went before that
	} {
		t.Run(name, func(t *testing.T) {
			n := fresh()
			n.Down(at+c.down, p)
			require.Equal(t, c.down >= 2*hour && c.down < 3*hour, n.LeftAsAnnounced())
			away, transitions := n.Up(at+c.up, p)
			require.Equal(t, c.transitions, transitions)
			require.Equal(t, c.away, away)
			require.False(t, n.LeftAsAnnounced())
			if c.away == 0 {
				require.Empty(t, n.Outages, "it is forgotten")
			}
		})
	}
}
