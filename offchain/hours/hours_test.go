package hours_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/hours"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func weekly(pairs ...uint32) (out []nodestypes.WeeklyHours) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, nodestypes.WeeklyHours{Start: pairs[i], Minutes: pairs[i+1]})
	}
	return out
}

func TestParse(t *testing.T) {
	for text, want := range map[string][]nodestypes.WeeklyHours{
		"mon-fri 19:00-07:00":                       weekly(1140, 720, 2580, 720, 4020, 720, 5460, 720, 6900, 720),
		"daily 22:00-06:00":                         weekly(1320, 480, 2760, 480, 4200, 480, 5640, 480, 7080, 480, 8520, 480, 9960, 480),
		"sat,sun 00:00-24:00":                       weekly(7200, 2880),
		" Sun 12:00-13:00,23:59-00:01 ;mon 0:0-1:0": nil,
		"sun 12:00-13:00,23:59-00:01; ":             weekly(9360, 60, 10079, 2),
		"sat-mon 10:00-11:00":                       weekly(600, 60, 7800, 60, 9240, 60),
		"daily 00:00-24:00":                         nil, // the whole week has no beginning
	} {
		w, err := hours.Parse(text)
		if text == " Sun 12:00-13:00,23:59-00:01 ;mon 0:0-1:0" {
			require.ErrorContains(t, err, `"0:0-1:0" is no time of the day`)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, w.Weekly(), text)
	}
	for text, says := range map[string]string{
		"":                      "is not days and times",
		"mon":                   "is not days and times",
		"mon 10:00-11:00 12:00": "is not days and times",
		"monday 10:00-11:00":    `"monday" are no days`,
		"mon-xyz 10:00-11:00":   `"mon-xyz" are no days`,
		"mon 10:00":             `"10:00" is no time of the day`,
		"mon 24:00-25:00":       `"24:00-25:00" is no time`,
		"mon 10:60-11:00":       `"10:60-11:00" is no time`,
		"mon 1a:00-11:00":       `"1a:00-11:00" is no time`,
	} {
		_, err := hours.Parse(text)
		require.ErrorContains(t, err, says, text)
	}
}

func TestZones(t *testing.T) {
	w, err := hours.Parse("mon 00:00-01:00")
	require.NoError(t, err)
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	winter, summer := time.Date(2026, 1, 5, 0, 30, 0, 0, berlin), time.Date(2026, 7, 6, 0, 30, 0, 0, berlin)
	require.True(t, w.At(winter))
	require.Equal(t, []nodestypes.WeeklyHours{{Start: 10_020, Minutes: 60}}, w.UTC(winter).Weekly(), "Sunday, 23:00")
	require.Equal(t, []nodestypes.WeeklyHours{{Start: 9_960, Minutes: 60}}, w.UTC(summer).Weekly(), "Sunday, 22:00")
	west := time.FixedZone("west", -3*3600-30*60)
	require.Equal(t, []nodestypes.WeeklyHours{{Start: 210, Minutes: 60}}, w.UTC(winter.In(west)).Weekly())
	require.Equal(t, w, w.UTC(winter).In(winter))
}

func TestWeekIsWrittenAsItIsRead(t *testing.T) {
	for _, text := range []string{
		"mon-fri 19:00-07:00", "daily 22:00-06:00", "sat-sun 00:00-24:00", "mon 08:00-12:00,13:00-17:00; wed 08:00-12:00", "daily 00:00-24:00", "",
	} {
		if text == "" {
			require.Equal(t, "", hours.Week{}.String())
			continue
		}
		w, err := hours.Parse(text)
		require.NoError(t, err)
		again, err := hours.Parse(w.String())
		require.NoError(t, err, w.String())
		require.Equal(t, w, again, "%s → %s", text, w.String())
	}
	rapid.Check(t, func(t *rapid.T) {
		var w hours.Week
		for range rapid.IntRange(1, 5).Draw(t, "spans") {
			from := rapid.IntRange(0, len(w)-1).Draw(t, "from")
			for i := range rapid.IntRange(1, 4000).Draw(t, "length") {
				w[(from+i)%len(w)] = true
			}
		}
		again, err := hours.Parse(w.String())
		require.NoError(t, err, w.String())
		require.Equal(t, w, again, w.String())
		require.Equal(t, w, w.Not().Not())
		if n := w.Minutes(); n < len(w) {
			require.Equal(t, w, hours.OfWeekly(w.Weekly()))
			require.NoError(t, nodestypes.OfflineHours{Weekly: w.Weekly()}.Validate())
		}
		zone := time.FixedZone("zone", 60*rapid.IntRange(-720, 840).Draw(t, "offset"))
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0).In(zone)
		require.Equal(t, w.At(at), w.UTC(at).At(at.UTC()))
	})
}

func FuzzParse(f *testing.F) {
	f.Add("mon-fri 19:00-07:00; sat,sun 00:00-24:00")
	f.Add("daily 22:00-06:00")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := hours.Parse(text)
		if err != nil {
			return
		}
		again, err := hours.Parse(w.String())
		require.NoError(t, err, w.String())
		require.Equal(t, w, again)
	})
}
