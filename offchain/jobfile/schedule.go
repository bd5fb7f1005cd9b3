package jobfile

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a machine without a zone database knows the zones too

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// Values of schedule.overlap.
const (
	OverlapForbid  = "forbid"
	OverlapAllow   = "allow"
	OverlapReplace = "replace"
)

// Schedule says when a periodic job runs.
type Schedule struct {
	Cron     string `yaml:"cron" jsonschema:"required,minLength=1,maxLength=128" jsonschema_description:"Minute, hour, day of the month, month and day of the week as in cron, such as 30 2 * * 1-5, or @hourly, @daily, @weekly, @monthly, @yearly."`
	TimeZone string `yaml:"time_zone" jsonschema:"default=UTC" jsonschema_description:"Time zone of the schedule, such as Europe/Berlin. A time that the clock skips is when it does so, one that it shows twice is the first."`
	Overlap  string `yaml:"overlap" jsonschema:"enum=forbid,enum=allow,enum=replace,default=forbid" jsonschema_description:"What happens if a run has tasks to do when the next is due: forbid leaves the new one out, allow lets both run, replace cancels the old one."`
	Runs     uint32 `yaml:"runs" jsonschema:"minimum=1,maximum=10000,default=1" jsonschema_description:"How many runs to pay for at submission; fog job top-up pays for more. What a run does not use comes back to the job."`
}

func (s Schedule) given() bool {
	return s.Cron != "" || s.TimeZone != "" || s.Overlap != "" || s.Runs != 0
}

// Prepaid is how many runs the submission pays for.
func (s Schedule) Prepaid() uint32 { return max(s.Runs, 1) }

// Rule is the time zone as the chain takes it.
func (s Schedule) Rule() (string, error) { return ZoneRule(s.TimeZone, time.Now()) }

func (s Schedule) check(l *problemList, periodic bool) {
	switch {
	case !periodic && s.given():
		l.add("schedule", "is for periodic jobs; write type: periodic, or remove it")
		return
	case !periodic:
		return
	}
	if s.Cron == "" {
		l.add("schedule.cron", "is missing; say when the job runs, such as \"30 2 * * *\"")
	} else if _, err := jobstypes.ParseSchedule(s.Cron, ""); err != nil {
		l.add("schedule.cron", "is no schedule; %s", cronProblem(err))
	}
	if _, err := s.Rule(); err != nil {
		l.add("schedule.time_zone", "%s", err)
	}
	switch s.Overlap {
	case "", OverlapForbid, OverlapAllow, OverlapReplace:
	default:
		l.add("schedule.overlap", "is %q; use %s, %s or %s", clip(s.Overlap), OverlapForbid, OverlapAllow, OverlapReplace)
	}
	if s.Runs > jobstypes.MaxPrepaidRuns {
		l.add("schedule.runs", "is %d; use 1 to %d", s.Runs, jobstypes.MaxPrepaidRuns)
	}
}

// cronProblem is the chain's error without the name of its field and kind.
func cronProblem(err error) string {
	text, _ := strings.CutPrefix(err.Error(), "schedule: ")
	text, _ = strings.CutSuffix(text, ": "+jobstypes.ErrInvalidField.Error())
	return text
}

// ruleYears is for how long a rule must say what the zone database says.
const ruleYears = 10

// ZoneRule turns the name of a time zone into the rule by which its clock is set from now on, in the form of POSIX: the chain knows no
// names. UTC, or no name, is the empty rule.
func ZoneRule(name string, now time.Time) (string, error) {
	if name == "" || name == "UTC" {
		return "", nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return "", fmt.Errorf("is %q, which is no time zone; use a name such as Europe/Berlin, or UTC", clip(name))
	}
	now = now.In(loc)
	for _, rule := range ruleCandidates(now) {
		zone, err := jobstypes.ParseZone(rule)
		if err == nil && agrees(zone, now) {
			return rule, nil
		}
	}
	return "", fmt.Errorf("is %q, whose clock follows no rule that holds in every year; use a zone such as Etc/GMT-3, or UTC", clip(name))
}

// ruleCandidates are the rules that the next changes of a clock can come from: a change in the last week of a month may be on its fourth
// or on its last such day.
func ruleCandidates(now time.Time) []string {
	first := nextChange(now)
	if first.IsZero() {
		_, ahead := now.Zone()
		return []string{posixOffset(ahead)}
	}
	second := nextChange(first)
	if second.IsZero() {
		return nil
	}
	summer, winter := first, second
	if !first.IsDST() {
		summer, winter = second, first
	}
	_, dst := summer.Zone()
	_, std := winter.Zone()
	var out []string
	for _, begin := range changeForms(summer, std) {
		for _, end := range changeForms(winter, dst) {
			out = append(out, fmt.Sprintf("%s%s,%s,%s", posixOffset(std), posixOffset(dst), begin, end))
		}
	}
	return out
}

// nextChange is when a clock is next set, zero if never. Zone databases also note changes that change nothing.
func nextChange(at time.Time) time.Time {
	_, ahead := at.Zone()
	for {
		_, at = at.ZoneBounds()
		if at.IsZero() {
			return at
		}
		if _, now := at.Zone(); now != ahead {
			return at
		}
	}
}

// posixOffset names an offset by itself: <+0530>-5:30.
func posixOffset(ahead int) string {
	sign, west := '+', "-"
	if ahead < 0 {
		sign, west, ahead = '-', "", -ahead
	}
	h, m, s := ahead/3600, ahead/60%60, ahead%60
	name, clock := fmt.Sprintf("%c%02d", sign, h), fmt.Sprintf("%s%d", west, h)
	if m > 0 || s > 0 {
		name, clock = name+fmt.Sprintf("%02d", m), clock+fmt.Sprintf(":%02d", m)
	}
	if s > 0 {
		clock += fmt.Sprintf(":%02d", s)
	}
	return "<" + name + ">" + clock
}

// changeForms are ways to say when a clock that was so far ahead is changed: by the day of its own date, and by the day before or
// after, since some changes are counted from there.
func changeForms(at time.Time, before int) []string {
	wall := at.UTC().Add(time.Duration(before) * time.Second)
	var out []string
	for _, shift := range []int{0, -1, 1, -2} {
		day := wall.AddDate(0, 0, shift)
		midnight := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC)
		clock := int(wall.Sub(midnight).Seconds())
		weeks := []int{(day.Day()-1)/7 + 1}
		if last := midnight.AddDate(0, 1, -midnight.Day()).Day(); day.Day() > last-7 && weeks[0] < 5 {
			weeks = []int{5, weeks[0]}
		}
		for _, week := range weeks {
			out = append(out, fmt.Sprintf("M%d.%d.%d%s", day.Month(), week, day.Weekday(), clockSuffix(clock)))
		}
	}
	return out
}

// clockSuffix is /hours[:minutes[:seconds]], and nothing for two o'clock, which is what a rule means without it.
func clockSuffix(seconds int) string {
	if seconds == 2*3600 {
		return ""
	}
	sign := ""
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	out := fmt.Sprintf("/%s%d", sign, seconds/3600)
	if seconds%3600 > 0 {
		out += fmt.Sprintf(":%02d", seconds/60%60)
	}
	if seconds%60 > 0 {
		out += fmt.Sprintf(":%02d", seconds%60)
	}
	return out
}

// agrees compares a rule with the zone of a time, around every change and at every week's end of the years to come.
func agrees(zone jobstypes.Zone, now time.Time) bool {
	same := func(at time.Time) bool {
		_, want := at.Zone()
		return zone.Ahead(at.Unix()) == int64(want)
	}
	end := now.AddDate(ruleYears, 0, 0)
	for at := now; at.Before(end); at = at.Add(7 * 24 * time.Hour) {
		if !same(at) {
			return false
		}
	}
	for change := nextChange(now); !change.IsZero() && change.Before(end); change = nextChange(change) {
		if !same(change) || !same(change.Add(-time.Second)) {
			return false
		}
	}
	return true
}
