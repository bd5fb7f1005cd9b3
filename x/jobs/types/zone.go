package types

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Zone is a time zone as one rule that holds in every year, in the form of the POSIX variable TZ: CET-1CEST,M3.5.0,M10.5.0/3. A chain
// cannot look names such as Europe/Berlin up: what they mean differs between machines and over time.
type Zone struct {
	// standard and summer are seconds east of UTC, equal without summer time.
	standard, summer int64
	begin, end       change
}

// change is a day of each year, M<month>.<week>.<weekday>, and the second of it by the clock that holds until then.
type change struct {
	month, week, weekday int
	second               int64
}

const (
	maxZoneLength = 64
	hourSeconds   = 3600
	daySeconds    = 24 * hourSeconds
	// maxShift bounds how far summer time is from standard time, maxChange when in relation to its day it begins or ends.
	maxShift  = 3 * hourSeconds
	maxChange = 167 * hourSeconds
)

// ParseZone reads a rule; the empty one is UTC.
func ParseZone(text string) (Zone, error) {
	if text == "" {
		return Zone{}, nil
	}
	if len(text) > maxZoneLength {
		return Zone{}, fmt.Errorf("%d bytes; at most %d", len(text), maxZoneLength)
	}
	z, err := (&zoneReader{rest: text}).zone()
	if err != nil {
		return Zone{}, fmt.Errorf("%w; write a rule such as CET-1CEST,M3.5.0,M10.5.0/3, or leave it out for UTC", err)
	}
	return z, nil
}

// zoneReader reads a rule from the left.
type zoneReader struct{ rest string }

func (r *zoneReader) zone() (z Zone, err error) {
	if err := r.name(); err != nil {
		return z, err
	}
	if z.standard, err = r.offset(); err != nil {
		return z, err
	}
	z.summer = z.standard
	if r.rest == "" {
		return z, nil
	}
	if err := r.name(); err != nil {
		return z, err
	}
	z.summer += hourSeconds
	if r.rest != "" && r.rest[0] != ',' {
		if z.summer, err = r.offset(); err != nil {
			return z, err
		}
	}
	if shift := z.summer - z.standard; shift == 0 || shift < -maxShift || shift > maxShift {
		return z, fmt.Errorf("summer time is %d s from standard time; at most %d, and not zero", shift, maxShift)
	}
	if z.begin, err = r.change(); err != nil {
		return z, err
	}
	if z.end, err = r.change(); err != nil {
		return z, err
	}
	if r.rest != "" {
		return z, fmt.Errorf("%q is left over", r.rest)
	}
	return z, nil
}

// name is three letters or more, or anything of letters, digits and signs in angle brackets. It is for people.
func (r *zoneReader) name() error {
	name, rest := "", ""
	if quoted, found := strings.CutPrefix(r.rest, "<"); found {
		var closed bool
		if name, rest, closed = strings.Cut(quoted, ">"); !closed {
			return fmt.Errorf("%q has no closing >", r.rest)
		}
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-") != "" {
			return fmt.Errorf("name %q has other characters than letters, digits and signs", name)
		}
	} else {
		rest = strings.TrimLeft(r.rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
		name = r.rest[:len(r.rest)-len(rest)]
	}
	if len(name) < 3 {
		return fmt.Errorf("name %q of a zone has under three letters", name)
	}
	r.rest = rest
	return nil
}

// offset is hours[:minutes[:seconds]] west of UTC; it returns seconds east.
func (r *zoneReader) offset() (int64, error) {
	west, err := r.clock(24)
	return -west, err
}

// clock reads [sign]hours[:minutes[:seconds]].
func (r *zoneReader) clock(maxHours int) (int64, error) {
	sign := int64(1)
	if strings.HasPrefix(r.rest, "+") || strings.HasPrefix(r.rest, "-") {
		if r.rest[0] == '-' {
			sign = -1
		}
		r.rest = r.rest[1:]
	}
	hours, err := r.number(0, maxHours)
	if err != nil {
		return 0, err
	}
	seconds := int64(hours) * hourSeconds
	for unit := int64(60); unit > 0 && strings.HasPrefix(r.rest, ":"); unit /= 60 {
		r.rest = r.rest[1:]
		n, err := r.number(0, 59)
		if err != nil {
			return 0, err
		}
		seconds += int64(n) * unit
	}
	return sign * seconds, nil
}

func (r *zoneReader) number(least, most int) (int, error) {
	digits := 0
	for digits < len(r.rest) && digits < 4 && r.rest[digits] >= '0' && r.rest[digits] <= '9' {
		digits++
	}
	n, err := strconv.Atoi(r.rest[:digits])
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("a number from %d to %d must stand before %q", least, most, r.rest)
	}
	r.rest = r.rest[digits:]
	return n, nil
}

// change is ,M<month>.<week>.<weekday>[/time], the time 02:00:00 if it is left out.
func (r *zoneReader) change() (c change, err error) {
	rest, found := strings.CutPrefix(r.rest, ",M")
	if !found {
		return c, fmt.Errorf(",M<month>.<week>.<weekday> must stand at %q", r.rest)
	}
	r.rest = rest
	for i, part := range []struct {
		to          *int
		least, most int
	}{{&c.month, 1, 12}, {&c.week, 1, 5}, {&c.weekday, 0, 6}} {
		if i > 0 {
			if r.rest, found = strings.CutPrefix(r.rest, "."); !found {
				return c, fmt.Errorf("a dot must stand at %q", r.rest)
			}
		}
		if *part.to, err = r.number(part.least, part.most); err != nil {
			return c, err
		}
	}
	c.second = 2 * hourSeconds
	if rest, found := strings.CutPrefix(r.rest, "/"); found {
		r.rest = rest
		c.second, err = r.clock(maxChange / hourSeconds)
	}
	return c, err
}

// in is the second of a change in a year, by a clock that is so many seconds ahead of UTC.
func (c change) in(year int, ahead int64) int64 {
	first := time.Date(year, time.Month(c.month), 1, 0, 0, 0, 0, time.UTC)
	day := 1 + (c.weekday-int(first.Weekday())+7)%7 + 7*(c.week-1)
	if last := first.AddDate(0, 1, -1).Day(); day > last { // week 5 is the last one
		day -= 7
	}
	return first.Unix() + int64(day-1)*daySeconds + c.second - ahead
}

// turn is when the clock changes, and how far it is ahead of UTC from then on.
type turn struct{ at, ahead int64 }

// turns around a second, in order: all of three years, since a change may fall into the year before or after its own.
func (z Zone) turns(second int64) []turn {
	if z.standard == z.summer {
		return nil
	}
	var out []turn
	year := time.Unix(second, 0).UTC().Year()
	for y := year - 1; y <= year+1; y++ {
		out = append(out, turn{z.begin.in(y, z.standard), z.summer}, turn{z.end.in(y, z.summer), z.standard})
	}
	slices.SortStableFunc(out, func(a, b turn) int { return cmp.Compare(a.at, b.at) })
	return out
}

// Ahead is how many seconds the zone's clock is ahead of UTC at a Unix second.
func (z Zone) Ahead(second int64) int64 {
	ahead := z.standard
	for _, t := range z.turns(second) {
		if t.at > second {
			break
		}
		ahead = t.ahead
	}
	return ahead
}

// unix is the Unix second at which the zone's clock shows what UTC shows at the second wall: the first of two, and if the clock skips it,
// when it does so.
func (z Zone) unix(wall int64) int64 {
	one, two := wall-max(z.standard, z.summer), wall-min(z.standard, z.summer)
	for _, second := range []int64{one, two} {
		if second+z.Ahead(second) == wall {
			return second
		}
	}
	for _, t := range z.turns(two) {
		if t.at > one && t.at <= two {
			return t.at
		}
	}
	return two
}
