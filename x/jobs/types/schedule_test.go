package types_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/x/jobs/types"
)

// rules are what the files of the zones say of the years to come.
var rules = map[string]string{
	"UTC":                 "",
	"Europe/Berlin":       "CET-1CEST,M3.5.0,M10.5.0/3",
	"Europe/Dublin":       "IST-1GMT0,M10.5.0,M3.5.0/1",
	"America/New_York":    "EST5EDT,M3.2.0,M11.1.0",
	"Australia/Lord_Howe": "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
	"Asia/Kathmandu":      "<+0545>-5:45",
	"America/Santiago":    "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
	"Asia/Jerusalem":      "IST-2IDT,M3.4.4/26,M10.5.0",
	"Antarctica/Troll":    "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
	"America/Nuuk":        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
}

func TestZoneAgreesWithTheSystem(t *testing.T) {
	for name, rule := range rules {
		zone, err := types.ParseZone(rule)
		require.NoError(t, err, name)
		location, err := time.LoadLocation(name)
		require.NoError(t, err)
		for at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2033; at = at.Add(30 * time.Minute) {
			_, want := at.In(location).Zone()
			require.EqualValues(t, want, zone.Ahead(at.Unix()), "%s at %s", name, at)
		}
	}
}

func TestNext(t *testing.T) {
	const berlin, lordHowe = "CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
	for name, c := range map[string]struct{ expression, zone, after, want string }{
		"the next minute":           {"* * * * *", "", "2027-01-01T00:00:00Z", "2027-01-01T00:01:00Z"},
		"not now":                   {"0 0 1 1 *", "", "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"},
		"between seconds":           {"*/5 * * * *", "", "2027-01-01T00:04:59Z", "2027-01-01T00:05:00Z"},
		"a name":                    {"@daily", "", "2027-01-01T12:00:00Z", "2027-01-02T00:00:00Z"},
		"a leap day":                {"0 12 29 2 *", "", "2027-01-01T00:00:00Z", "2028-02-29T12:00:00Z"},
		"either day":                {"0 0 13 * 5", "", "2027-01-02T00:00:00Z", "2027-01-08T00:00:00Z"},
		"winter":                    {"30 2 * * *", berlin, "2027-01-01T12:00:00Z", "2027-01-02T01:30:00Z"},
		"summer":                    {"30 2 * * *", berlin, "2027-07-01T12:00:00Z", "2027-07-02T00:30:00Z"},
		"skipped by the clock":      {"30 2 * * *", berlin, "2027-03-27T12:00:00Z", "2027-03-28T01:00:00Z"},
		"after the skip":            {"*/30 * * * *", berlin, "2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z"},
		"shown twice, the first":    {"30 2 * * *", berlin, "2027-10-30T12:00:00Z", "2027-10-31T00:30:00Z"},
		"shown twice, only once":    {"30 2 * * *", berlin, "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"},
		"while shown again":         {"*/20 * * * *", berlin, "2027-10-31T01:10:00Z", "2027-10-31T02:00:00Z"},
		"half an hour of a summer":  {"15 2 * * *", lordHowe, "2027-10-02T00:00:00Z", "2027-10-02T15:30:00Z"},
		"the last time there is":    {"59 23 31 12 *", "", "2099-12-30T00:00:00Z", "2099-12-31T23:59:00Z"},
		"none":                      {"0 0 30 2 *", "", "2027-01-01T00:00:00Z", ""},
		"none in the years to come": {"59 23 31 12 *", "", "2099-12-31T23:59:00Z", ""},
	} {
		s, err := types.ParseSchedule(c.expression, c.zone)
		require.NoError(t, err, name)
		after, err := time.Parse(time.RFC3339, c.after)
		require.NoError(t, err)
		next, found := s.Next(after.Unix())
		got := ""
		if found {
			got = time.Unix(next, 0).UTC().Format(time.RFC3339)
		}
		require.Equal(t, c.want, got, name)
	}
}

func TestScheduleErrors(t *testing.T) {
	for _, c := range []struct{ expression, zone, want string }{
		{"", "", `schedule: ""; give minute`},
		{"* * * *", "", "schedule: \"* * * *\"; give minute"},
		{"0 * * * * *", "", "schedule: \"0 * * * * *\"; give minute"},
		{"@reboot", "", "schedule: \"@reboot\"; give minute"},
		{"61 * * * *", "", "schedule: \"61 * * * *\": "},
		{"* * * * foo", "", "schedule: \"* * * * foo\": "},
		{"* * * * \x7f", "", "printable ASCII"},
		{string(make([]byte, 129)), "", "schedule: 129 bytes"},
		{"@daily", "Europe/Berlin", `time_zone: "Europe/Berlin": a number from 0 to 24 must stand before "/Berlin"; write a rule such as`},
		{"@daily", "CET", "a number from 0 to 24"},
		{"@daily", "CE-1", "under three letters"},
		{"@daily", "<CET-1", "no closing >"},
		{"@daily", "<C T>-1", "other characters"},
		{"@daily", "CET-25", "a number from 0 to 24"},
		{"@daily", "CET-1CEST", ",M<month>.<week>.<weekday> must stand"},
		{"@daily", "CET-1CEST,M3.5.0", ",M<month>.<week>.<weekday> must stand"},
		{"@daily", "CET-1CEST,M13.5.0,M10.5.0", "a number from 1 to 12"},
		{"@daily", "CET-1CEST,M3.5,M10.5.0", "a dot must stand"},
		{"@daily", "CET-1CEST,M3.5.0,M10.5.0/3x", `"x" is left over`},
		{"@daily", "CET-1CEST-1,M3.5.0,M10.5.0", "not zero"},
		{"@daily", "CET-1CEST-9,M3.5.0,M10.5.0", "at most 10800"},
		{"@daily", string(make([]byte, 65)), "65 bytes"},
	} {
		_, err := types.ParseSchedule(c.expression, c.zone)
		require.ErrorIs(t, err, types.ErrInvalidField, "%q %q", c.expression, c.zone)
		require.ErrorContains(t, err, c.want)
	}
}

// Times only go forward, none is left out between two, and the clock shows what the expression says, but where it skips that.
func TestNextIsTheFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.SampledFrom([]string{rules["Europe/Berlin"], rules["America/Santiago"], rules["Australia/Lord_Howe"], ""}).Draw(t, "rule")
		expression := rapid.SampledFrom([]string{"* * * * *", "*/7 * * * *", "30 2 * * *", "0 */3 * * 1-5", "15,45 0,23 1,15 * *"}).Draw(t, "cron")
		s, err := types.ParseSchedule(expression, rule)
		require.NoError(t, err)
		zone, err := types.ParseZone(rule)
		require.NoError(t, err)
		utc, err := types.ParseSchedule(expression, "")
		require.NoError(t, err)
		after := rapid.Int64Range(1_800_000_000, 1_990_000_000).Draw(t, "after")
		next, found := s.Next(after)
		if !found || next <= after {
			t.Fatalf("next of %d is %d, %t", after, next, found)
		}
		between := rapid.Int64Range(after, next-1).Draw(t, "between")
		if again, _ := s.Next(between); again != next {
			t.Fatalf("after %d comes %d, and from %d on it is %d", after, next, between, again)
		}
		wall := next + zone.Ahead(next)
		shown, _ := utc.Next(wall - 1)
		if skipped := zone.Ahead(next) > zone.Ahead(next-1); shown != wall && !skipped {
			t.Fatalf("at %d the clock shows %s, which %q is not", next, time.Unix(wall, 0).UTC(), expression)
		}
	})
}

func FuzzSchedule(f *testing.F) {
	f.Add("30 2 * * 1-5", "CET-1CEST,M3.5.0,M10.5.0/3", int64(1_800_000_000))
	f.Add("0 0 L * 5#2", "<-04>4<-03>,M9.1.6/24,M4.1.6/-24", int64(0))
	f.Add("@hourly", "", int64(-5_000_000_000))
	f.Fuzz(func(t *testing.T, expression, zone string, after int64) {
		s, err := types.ParseSchedule(expression, zone)
		if err != nil {
			require.ErrorIs(t, err, types.ErrInvalidField)
			require.Less(t, len(err.Error()), 600)
			return
		}
		if after < 0 || after > 1<<33 {
			return
		}
		if next, found := s.Next(after); found && next <= after {
			t.Fatalf("%q in %q: after %d comes %d", expression, zone, after, next)
		}
	})
}
