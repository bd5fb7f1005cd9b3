package types

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/cronexpr"
)

const maxScheduleLength = 128

// scheduleNames stand for a whole schedule.
var scheduleNames = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}

// Schedule is a row of times: a cron expression of five fields by the clock of a zone. It is not safe for concurrent use.
type Schedule struct {
	times *cronexpr.Expression
	zone  Zone
}

// ParseSchedule reads an expression and the rule of a zone; the error starts with the field that is wrong.
func ParseSchedule(expression, zone string) (Schedule, error) {
	if len(expression) > maxScheduleLength {
		return Schedule{}, invalid("schedule", "%d bytes; at most %d", len(expression), maxScheduleLength)
	}
	for _, c := range []byte(expression) {
		if c < ' ' || c > '~' {
			return Schedule{}, invalid("schedule", "%s; it must be printable ASCII", quote(expression))
		}
	}
	if len(strings.Fields(expression)) != 5 && !slices.Contains(scheduleNames, expression) {
		return Schedule{}, invalid("schedule", "%s; give minute, hour, day of the month, month and day of the week, such as \"30 2 * * 1-5\", or one of %s",
			quote(expression), strings.Join(scheduleNames, ", "))
	}
	times, err := cronexpr.Parse(expression)
	if err != nil {
		return Schedule{}, invalid("schedule", "%s: %s", quote(expression), quote(err.Error()))
	}
	z, err := ParseZone(zone)
	if err != nil {
		return Schedule{}, invalid("time_zone", "%s: %s", quote(zone), err)
	}
	return Schedule{times: times, zone: z}, nil
}

// Next is the first time after a Unix second; false if there is none. A time that the clock skips is when it does so, one that it shows
// twice is the first.
func (s Schedule) Next(after int64) (int64, bool) {
	wall := after + s.zone.Ahead(after)
	for {
		next := s.times.Next(time.Unix(wall, 0).UTC())
		if next.IsZero() || next.Unix() <= wall {
			return 0, false
		}
		wall = next.Unix()
		if second := s.zone.unix(wall); second > after {
			return second, true
		}
	}
}

// validatePeriodic checks what belongs to a schedule, or that nothing of it is given.
func (m *MsgSubmitJob) validatePeriodic() error {
	if m.Type != JOB_TYPE_PERIODIC {
		for _, c := range []struct {
			field string
			given bool
		}{
			{"schedule", m.Schedule != ""}, {"time_zone", m.TimeZone != ""}, {"overlap", m.Overlap != OVERLAP_FORBID}, {"runs", m.Runs != 0},
		} {
			if c.given {
				return invalid(c.field, "it is for periodic jobs; leave it out or use type %s", JOB_TYPE_PERIODIC)
			}
		}
		return nil
	}
	if m.Overlap < OVERLAP_FORBID || m.Overlap > OVERLAP_REPLACE {
		return invalid("overlap", "%d; it must be %s, %s or %s", m.Overlap, OVERLAP_FORBID, OVERLAP_ALLOW, OVERLAP_REPLACE)
	}
	if m.Runs == 0 || m.Runs > MaxPrepaidRuns {
		return invalid("runs", "%d; it must be 1 to %d", m.Runs, MaxPrepaidRuns)
	}
	_, err := ParseSchedule(m.Schedule, m.TimeZone)
	return err
}
