package types_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/x/nodes/types"
)

const (
	minute = int64(60)
	week   = 7 * 24 * 60 * minute
	monday = int64(1_700_438_400) // 20 November 2023, 00:00 UTC
)

func TestHoursNameTheField(t *testing.T) {
	weekly := func(w ...types.WeeklyHours) types.OfflineHours { return types.OfflineHours{Weekly: w} }
	spans := func(s ...types.Span) types.OfflineHours { return types.OfflineHours{Spans: s} }
	for says, h := range map[string]types.OfflineHours{
		"hours.weekly[0].start is 10080":                         weekly(types.WeeklyHours{Start: 10_080, Minutes: 1}),
		"hours.weekly[0].minutes is 0":                           weekly(types.WeeklyHours{Start: 1}),
		"hours.weekly[0].minutes is 10080":                       weekly(types.WeeklyHours{Minutes: 10_080}),
		"hours.weekly[0] reaches from minute 5 for 6, into":      weekly(types.WeeklyHours{Start: 5, Minutes: 6}, types.WeeklyHours{Start: 10, Minutes: 1}),
		"hours.weekly[1] reaches from minute 10000 for 81, into": weekly(types.WeeklyHours{Minutes: 1}, types.WeeklyHours{Start: 10_000, Minutes: 81}),
		"hours.weekly[0] reaches from minute 7 for 1, into":      weekly(types.WeeklyHours{Start: 7, Minutes: 1}, types.WeeklyHours{Start: 3, Minutes: 1}),
		"hours.weekly take the whole week":                       weekly(types.WeeklyHours{Minutes: 80}, types.WeeklyHours{Start: 80, Minutes: 10_000}),
		"hours.spans[0] from 5 to 5":                             spans(types.Span{From: 5, To: 5}),
		"hours.spans[0] from -1 to 5":                            spans(types.Span{From: -1, To: 5}),
		"hours.spans[1] from 8 to 12":                            spans(types.Span{From: 5, To: 9}, types.Span{From: 8, To: 12}),
		"hours: 29 weekly and 0 spans; at most 28 and 16":        {Weekly: make([]types.WeeklyHours, 29)},
		"hours: 0 weekly and 17 spans; at most 28 and 16":        {Spans: make([]types.Span, 17)},
	} {
		require.ErrorContains(t, h.Validate(), says)
	}
	require.NoError(t, weekly(types.WeeklyHours{Minutes: 80}, types.WeeklyHours{Start: 10_000, Minutes: 80}).Validate(), "they may touch")
	require.NoError(t, types.OfflineHours{}.Validate())
}

func TestAnnounceAhead(t *testing.T) {
	p := types.DefaultParams()
	var n types.Node
	span := func(from, to int64) types.OfflineHours {
		return types.OfflineHours{Spans: []types.Span{{From: from, To: to}}}
	}
	require.ErrorContains(t, n.Announce(span(4_599, 9_000), 1_000, p), "announce it at least 3600 s ahead")
	require.ErrorContains(t, n.Announce(span(4_600, 4_601+30*24*3600), 1_000, p), "at most 2592000")
	require.NoError(t, n.Announce(span(4_600, 9_000), 1_000, p))
	require.NoError(t, n.Announce(span(4_600, 9_000), 4_000, p), "what is announced already may come nearer")
	require.True(t, n.AbsentAt(5_000))
	require.NoError(t, n.Announce(types.OfflineHours{}, 5_000, p))
	require.True(t, n.AbsentAt(8_599), "what is taken back holds for as long as it takes to announce")
	require.False(t, n.AbsentAt(8_600))
	require.Equal(t, types.OfflineHours{}, n.OfflineHours())

	n = types.Node{}
	require.NoError(t, n.Announce(types.OfflineHours{Weekly: []types.WeeklyHours{{Start: 0, Minutes: 600}}}, monday, p))
	require.False(t, n.AbsentAt(monday+3_599), "the hours that it is in do not hold yet")
	require.True(t, n.AbsentAt(monday+3_600))
	require.EqualValues(t, 6, n.OfflinePercent(), "600 of 10,080 minutes, rounded up")
	next, found := n.NextAbsence(monday + 600*minute)
	require.True(t, found)
	require.Equal(t, monday+week, next)
	for i := range uint32(200) {
		err := n.Announce(types.OfflineHours{Weekly: []types.WeeklyHours{{Start: i, Minutes: 1}}}, monday, p)
		if err != nil {
			t.Fatalf("those that never held are not remembered: %v", err)
		}
	}
	for i := range int64(200) {
		err := n.Announce(types.OfflineHours{Weekly: []types.WeeklyHours{{Start: uint32(i), Minutes: 1}}}, monday+2*3_600+i, p)
		if err != nil {
			require.ErrorContains(t, err, "changed too often lately")
			return
		}
		require.LessOrEqual(t, len(n.Absences), 132)
	}
}

// The three questions about a time agree with each other, whatever was announced when.
func TestAbsencesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := types.DefaultParams()
		p.HoursLead = 60
		var n types.Node
		now := monday
		for range rapid.IntRange(1, 4).Draw(t, "announcements") {
			var h types.OfflineHours
			starts := rapid.SliceOfNDistinct(rapid.Uint32Range(0, 10_079), 0, 3, func(v uint32) uint32 { return v }).Draw(t, "starts")
			slices.Sort(starts)
			for i, start := range starts {
				most := 10_080 + starts[0] - start
				if i+1 < len(starts) {
					most = starts[i+1] - start
				}
				h.Weekly = append(h.Weekly, types.WeeklyHours{Start: start, Minutes: rapid.Uint32Range(1, min(most, 10_000)).Draw(t, "minutes")})
			}
			if rapid.Bool().Draw(t, "span") {
				from := now + minute*rapid.Int64Range(1, 3_000).Draw(t, "in")
				h.Spans = []types.Span{{From: from, To: from + minute*rapid.Int64Range(1, 3_000).Draw(t, "for")}}
			}
			if h.Minutes() < 10_080 {
				require.NoError(t, n.Announce(h, now, p))
				require.Equal(t, h, n.OfflineHours())
			}
			now += minute * rapid.Int64Range(0, 2_000).Draw(t, "pause")
		}
		require.NoError(t, n.OfflineHours().Validate())
		from := now + minute*rapid.Int64Range(0, 30_000).Draw(t, "from")
		to := from + minute*rapid.Int64Range(0, 11_000).Draw(t, "length")
		next, found := n.NextAbsence(from)
		first := int64(-1)
		inSpans := func(at int64) bool {
			return slices.ContainsFunc(n.AbsentSpans(from, to), func(s types.Span) bool { return s.From <= at && at < s.To })
		}
		spans := n.AbsentSpans(from, to)
		for i, s := range spans {
			require.Less(t, s.From, s.To)
			require.True(t, i == 0 || spans[i-1].To < s.From, "in order and apart")
		}
		step := max(minute, (to-from)/400/minute*minute)
		for at := from; at < to; at += step {
			absent := n.AbsentAt(at)
			require.Equal(t, absent, inSpans(at), "at %d", at)
			if absent && first < 0 {
				first = at
			}
		}
		if first >= 0 {
			require.True(t, found)
			require.LessOrEqual(t, next, first)
		}
		if found {
			require.True(t, n.AbsentAt(next))
			require.True(t, next == from || !n.AbsentAt(next-1))
		} else {
			require.Empty(t, spans)
		}
	})
}
