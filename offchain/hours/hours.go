// Package hours reads when a machine works, as its owner says it by a local clock, and turns it into the offline hours that the chain knows, in
// UTC. It is pure: clock and time zone are passed in.
package hours

import (
	"fmt"
	"strings"
	"time"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	dayMinutes  = 24 * 60
	weekMinutes = 7 * dayMinutes
)

// days as the language names them, Monday first, as the chain counts.
var days = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// Week marks the minutes of a week, from Monday 00:00 on.
type Week [weekMinutes]bool

// Syntax explains the language in a line.
const Syntax = `days and times such as "mon-fri 19:00-07:00; sat,sun 00:00-24:00", or "daily 22:00-06:00"; a time that ends before it begins ends on the next day`

// Parse reads a week: parts apart by semicolons, each a list of days and ranges of days, or "daily", and times from-to, apart by commas.
func Parse(text string) (Week, error) {
	var w Week
	parts := strings.Split(text, ";")
	for _, part := range parts {
		fields := strings.Fields(strings.ToLower(part))
		if len(fields) == 0 && len(parts) > 1 {
			continue
		}
		if len(fields) != 2 {
			return w, fmt.Errorf("%q is not days and times; write %s", strings.TrimSpace(part), Syntax)
		}
		on, err := parseDays(fields[0])
		if err != nil {
			return w, err
		}
		for _, span := range strings.Split(fields[1], ",") {
			from, to, err := parseSpan(span)
			if err != nil {
				return w, err
			}
			for day, chosen := range on {
				if chosen {
					w.mark(day*dayMinutes+from, to-from)
				}
			}
		}
	}
	return w, nil
}

func parseDays(text string) (on [7]bool, err error) {
	if text == "daily" {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for _, part := range strings.Split(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, to := dayOf(first), dayOf(last)
		if from < 0 || to < 0 {
			return on, fmt.Errorf("%q are no days; write mon, tue, wed, thu, fri, sat or sun, ranges such as mon-fri, or daily", part)
		}
		for day := from; ; day = (day + 1) % 7 {
			on[day] = true
			if day == to {
				break
			}
		}
	}
	return on, nil
}

func dayOf(name string) int {
	for i, day := range days {
		if name == day {
			return i
		}
	}
	return -1
}

// parseSpan returns minutes of the day; the end is on the next day if it is not after the beginning.
func parseSpan(text string) (from, to int, err error) {
	first, last, found := strings.Cut(text, "-")
	if found {
		from, found = minuteOf(first)
	}
	if found {
		to, found = minuteOf(last)
	}
	if !found || from == dayMinutes {
		return 0, 0, fmt.Errorf("%q is no time of the day; write 19:00-07:00, or 00:00-24:00 for a whole day", text)
	}
	if to <= from {
		to += dayMinutes
	}
	return from, to, nil
}

func minuteOf(text string) (int, bool) {
	if len(text) != len("19:00") || text[2] != ':' {
		return 0, false
	}
	var hour, minute int
	for i, c := range []byte(text) {
		digit := int(c - '0')
		switch {
		case i == 2:
			continue
		case digit < 0 || digit > 9:
			return 0, false
		case i < 2:
			hour = 10*hour + digit
		default:
			minute = 10*minute + digit
		}
	}
	at := hour*60 + minute
	return at, minute < 60 && at <= dayMinutes
}

func (w *Week) mark(start, length int) {
	for i := range length {
		w[(start+i)%weekMinutes] = true
	}
}

// Not is the rest of the week.
func (w Week) Not() Week {
	for i := range w {
		w[i] = !w[i]
	}
	return w
}

// Minutes is how many minutes are marked.
func (w Week) Minutes() (n int) {
	for _, marked := range w {
		if marked {
			n++
		}
	}
	return n
}

// At says whether the minute of an instant is marked, by the instant's clock.
func (w Week) At(t time.Time) bool {
	day := (int(t.Weekday()) + 6) % 7
	return w[day*dayMinutes+t.Hour()*60+t.Minute()]
}

// UTC is the week by the clock of UTC, as long as the offset of the zone's clock is the one that the instant has.
func (w Week) UTC(at time.Time) Week {
	_, offset := at.Zone()
	shift := floor(offset, 60)
	var out Week
	for i := range out {
		out[i] = w[((i+shift)%weekMinutes+weekMinutes)%weekMinutes]
	}
	return out
}

func floor(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Weekly are the marked minutes of a week by UTC as the chain writes them. The whole week cannot be written.
func (w Week) Weekly() []nodestypes.WeeklyHours {
	var out []nodestypes.WeeklyHours
	for i := range w {
		if !w[i] || w[(i+weekMinutes-1)%weekMinutes] {
			continue
		}
		length := 1
		for w[(i+length)%weekMinutes] {
			length++
		}
		out = append(out, nodestypes.WeeklyHours{Start: uint32(i), Minutes: uint32(length)})
	}
	return out
}

// OfWeekly is the week that the chain's weekly hours are, by UTC.
func OfWeekly(weekly []nodestypes.WeeklyHours) Week {
	var w Week
	for _, h := range weekly {
		w.mark(int(h.Start), int(h.Minutes))
	}
	return w
}

// In is the week of UTC by the clock of a zone, as long as the offset is the one that the instant has.
func (w Week) In(at time.Time) Week {
	_, offset := at.Zone()
	shift := floor(offset, 60)
	var out Week
	for i := range out {
		out[((i+shift)%weekMinutes+weekMinutes)%weekMinutes] = w[i]
	}
	return out
}

// String writes a week in the language that Parse reads.
func (w Week) String() string {
	type times = string
	byDay := [7]times{}
	for _, h := range w.Weekly() {
		day, from := int(h.Start)/dayMinutes, int(h.Start)%dayMinutes
		for left := int(h.Minutes); left > 0; day = (day + 1) % 7 {
			length := min(left, dayMinutes-from)
			if left > length && left <= dayMinutes { // over midnight, and no longer than a day
				length = left
			}
			if byDay[day] != "" {
				byDay[day] += ","
			}
			byDay[day] += clock(from) + "-" + clock((from+length-1)%dayMinutes+1)
			left -= length
			from = (from + length) % dayMinutes
		}
	}
	if w.Minutes() == weekMinutes {
		return "daily 00:00-24:00"
	}
	var parts []string
	for day, t := range byDay {
		if t == "" {
			continue
		}
		last := len(parts) - 1
		if last >= 0 && day > 0 && byDay[day-1] == t { //nolint:gosec // day is above 0, and the table has all seven
			first, _, _ := strings.Cut(strings.Fields(parts[last])[0], "-")
			parts[last] = first + "-" + days[day] + " " + t
			continue
		}
		parts = append(parts, days[day]+" "+t)
	}
	if len(parts) == 1 && strings.HasPrefix(parts[0], "mon-sun ") {
		parts[0] = "daily " + strings.TrimPrefix(parts[0], "mon-sun ")
	}
	return strings.Join(parts, "; ")
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }
