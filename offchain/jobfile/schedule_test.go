package jobfile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// Every zone that people use today has a rule, and it says what the zone database says.
func TestZoneRule(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{
		"Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "America/Santiago", "America/Nuuk",
		"America/Havana", "America/St_Johns", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Jerusalem", "Asia/Beirut", "Asia/Gaza", "Asia/Tokyo",
		"Africa/Cairo", "Africa/Lagos", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham",
		"Antarctica/Troll", "Pacific/Easter", "Etc/GMT-3", "Europe/Chisinau", "Asia/Tehran",
	} {
		for _, at := range []time.Time{now, now.AddDate(0, 4, 17), now.AddDate(3, 8, 2)} {
			rule, err := ZoneRule(name, at)
			if name == "Asia/Gaza" { // its summer follows the moon
				require.ErrorContains(t, err, "no rule")
				continue
			}
			require.NoError(t, err, name)
			zone, err := jobstypes.ParseZone(rule)
			require.NoError(t, err, rule)
			loc, err := time.LoadLocation(name)
			require.NoError(t, err)
			for h := range 24 * 400 {
				when := at.Add(time.Duration(h) * time.Hour)
				_, want := when.In(loc).Zone()
				require.EqualValues(t, want, zone.Ahead(when.Unix()), "%s by %s at %s", name, rule, when)
			}
		}
	}
	for _, name := range []string{"", "UTC"} {
		rule, err := ZoneRule(name, now)
		require.NoError(t, err)
		require.Empty(t, rule)
	}
	for _, name := range []string{"Local", "Berlin", "../etc/passwd", "\x00"} {
		_, err := ZoneRule(name, now)
		require.ErrorContains(t, err, "no time zone", name)
	}
}
