package cmd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestHealth(t *testing.T) {
	const now = 1_700_000_000
	p := nodestypes.DefaultParams()
	outage := func(ago, lasted int64) nodestypes.Outage {
		return nodestypes.Outage{From: now - ago, To: now - ago + lasted}
	}
	for name, c := range map[string]struct {
		node      nodestypes.Node
		uptime    uint64
		left      int64
		next      string
		benchmark string
	}{
		"new": {
			nodestypes.Node{Status: nodestypes.NODE_STATUS_ACTIVE}, 1000, 30_240,
			"going down 3 times more within 7 days, or being away for 8h24m0s more, unannounced", "when the agent starts again, or more is declared",
		},
		"nearly": {
			nodestypes.Node{Status: nodestypes.NODE_STATUS_ACTIVE, Outages: []nodestypes.Outage{outage(9_000, 3_600), outage(3_000, 600)}}, 993, 26_040,
			"going down once more, unannounced", "when the agent starts again, or more is declared",
		},
		"jailed": {
			nodestypes.Node{Status: nodestypes.NODE_STATUS_JAILED, JailReason: "went down too often", BenchmarkPending: true}, 1000, 30_240,
			"it is jailed: went down too often", "when its owner asks for it (fog node resume)",
		},
		"for good": {
			nodestypes.Node{Status: nodestypes.NODE_STATUS_JAILED, JailReason: "lied", BenchmarkPending: true, Condemned: true, Offences: 2}, 1000, 30_240,
			"it is jailed: lied", "none: jailed for good",
		},
		"measured": {
			nodestypes.Node{Status: nodestypes.NODE_STATUS_PENDING, BenchmarkPending: true, BenchmarkUntil: now + 60}, 1000, 30_240,
			"going down 3 times more within 7 days, or being away for 8h24m0s more, unannounced", "under way, until " + when(now+60) + " at the latest",
		},
		"waits": {
			nodestypes.Node{Status: nodestypes.NODE_STATUS_PENDING, BenchmarkPending: true}, 1000, 30_240,
			"going down 3 times more within 7 days, or being away for 8h24m0s more, unannounced",
			"after the joint benchmark of its owner's nodes, if one is under way; otherwise when its owner asks for it (fog node resume)",
		},
		"retired": {nodestypes.Node{Status: nodestypes.NODE_STATUS_RETIRED}, 1000, 30_240, "", ""},
	} {
		h := healthOf(c.node, p, now)
		require.Equal(t, c.uptime, h.Uptime, name)
		require.Equal(t, c.left, h.AwayLeft, name)
		require.Equal(t, c.next, h.Next, name)
		require.Equal(t, c.benchmark, h.Benchmark, name)
	}
}

func TestWhatANodeTakes(t *testing.T) {
	p := jobstypes.DefaultParams()
	require.Equal(t, "batch; its network is not good enough for game, iot, service, storage, streaming", limitsOf(nodestypes.Node{}, p).String())
	n := nodestypes.Node{
		Grade: nodestypes.NETWORK_GRADE_A, Absences: []nodestypes.Absence{{Weekly: nodestypes.WeeklyHours{Minutes: 5_000}}},
	}
	require.Equal(t, "batch, game, iot, service, storage, streaming; no services, as it is offline for too much of the week", limitsOf(n, p).String())
}

func TestHoursView(t *testing.T) {
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.FixedZone("east", 3600)) // a Monday
	now := at.Unix()
	require.Equal(t, "no offline hours announced", viewHours(nodestypes.Node{}, at).String())
	n := nodestypes.Node{Absences: []nodestypes.Absence{
		{Weekly: nodestypes.WeeklyHours{Start: 60, Minutes: 60}, Until: now + 600},
		{Weekly: nodestypes.WeeklyHours{Start: 120, Minutes: 120}, Since: now + 600},
		{Span: nodestypes.Span{From: now - 100, To: now - 50}},
		{Span: nodestypes.Span{From: now - 10, To: now + 50}},
	}}
	v := viewHours(n, at)
	require.Equal(t, hoursView{
		Offline: true, NextOffline: now, Weekly: "mon 02:00-04:00", WeeklyLocal: "mon 03:00-05:00", Percent: 2,
		Spans: []nodestypes.Span{{From: now - 10, To: now + 50}}, Changing: now + 600,
	}, v)
	require.Equal(t, "offline now, as announced; each week mon 03:00-05:00 (2 %); 1 single span", v.String())
}
