package types

import (
	"cmp"
	"slices"
)

const (
	minuteSeconds = 60
	weekMinutes   = 7 * 24 * 60
	weekSeconds   = weekMinutes * minuteSeconds
	// firstMonday is the Unix second of the first Monday, 00:00 UTC.
	firstMonday = 4 * 24 * 3600

	// MaxWeeklyHours and MaxSpans bound what one announcement holds.
	MaxWeeklyHours = 28
	MaxSpans       = 16
	// maxAbsences bounds what a node remembers: the announcement that holds, and those that it has replaced lately.
	maxAbsences = 3 * (MaxWeeklyHours + MaxSpans)
)

// weekStart is the Unix second of the Monday, 00:00 UTC, at or before a time.
func weekStart(t int64) int64 {
	into := (t - firstMonday) % weekSeconds
	if into < 0 {
		into += weekSeconds
	}
	return t - into
}

// Minutes is how many minutes of each week the weekly hours take.
func (h OfflineHours) Minutes() uint32 {
	var sum uint32
	for _, w := range h.Weekly {
		sum += w.Minutes
	}
	return sum
}

// Validate checks the form of an announcement.
func (h OfflineHours) Validate() error {
	if len(h.Weekly) > MaxWeeklyHours || len(h.Spans) > MaxSpans {
		return ErrInvalidField.Wrapf("hours: %d weekly and %d spans; at most %d and %d", len(h.Weekly), len(h.Spans), MaxWeeklyHours, MaxSpans)
	}
	for i, w := range h.Weekly {
		next := weekMinutes + h.Weekly[0].Start
		if i+1 < len(h.Weekly) {
			next = h.Weekly[i+1].Start
		}
		switch {
		case w.Start >= weekMinutes:
			return ErrInvalidField.Wrapf("hours.weekly[%d].start is %d; it must be below %d, the minutes of a week", i, w.Start, uint32(weekMinutes))
		case w.Minutes == 0 || w.Minutes >= weekMinutes:
			return ErrInvalidField.Wrapf("hours.weekly[%d].minutes is %d; it must be from 1 to %d", i, w.Minutes, uint32(weekMinutes-1))
		case next <= w.Start || next-w.Start < w.Minutes:
			return ErrInvalidField.Wrapf("hours.weekly[%d] reaches from minute %d for %d, into the one that follows; join them, in order", i, w.Start, w.Minutes)
		}
	}
	if h.Minutes() >= weekMinutes {
		return ErrInvalidField.Wrap("hours.weekly take the whole week; drain or retire a node that is never there")
	}
	for i, s := range h.Spans {
		if s.From < 0 || s.To <= s.From || i > 0 && s.From < h.Spans[i-1].To {
			return ErrInvalidField.Wrapf("hours.spans[%d] from %d to %d; spans must follow each other and not be empty", i, s.From, s.To)
		}
	}
	return nil
}

// Announce replaces what was announced before. What is new holds from lead seconds later on, what is left out until then; it must lie ahead
// by as much, so that nobody can announce what has happened.
func (n *Node) Announce(h OfflineHours, now int64, p Params) error {
	if err := h.Validate(); err != nil {
		return err
	}
	since := now + int64(p.HoursLead)
	wanted := make([]Absence, 0, len(h.Weekly)+len(h.Spans))
	for _, w := range h.Weekly {
		wanted = append(wanted, Absence{Weekly: w, Since: since})
	}
	for i, s := range h.Spans {
		if s.To-s.From > int64(p.MaxOfflineSpan) {
			return ErrInvalidField.Wrapf("hours.spans[%d] lasts %d s; at most %d", i, s.To-s.From, p.MaxOfflineSpan)
		}
		wanted = append(wanted, Absence{Span: s, Since: since})
	}
	kept := n.remembered(now, p)
	for i := range kept {
		a := &kept[i]
		same := slices.IndexFunc(wanted, a.sameHours)
		switch {
		case same >= 0 && a.Until == 0:
			wanted = slices.Delete(wanted, same, same+1)
		case a.Until == 0:
			a.Until = max(since, a.Since)
		}
	}
	for _, a := range wanted {
		if a.Weekly.Minutes == 0 && a.Span.From < since {
			return ErrInvalidField.Wrapf("a span begins at %d, it is %d now; announce it at least %d s ahead", a.Span.From, now, p.HoursLead)
		}
	}
	if len(kept)+len(wanted) > maxAbsences {
		return ErrInvalidField.Wrapf("the hours were changed too often lately: %d announcements are remembered, at most %d; try again in %d s",
			len(kept), maxAbsences, p.HoursLead)
	}
	n.Absences = slices.Concat(kept, wanted)
	return nil
}

// remembered are the absences that still bear on something: on times to come, or on the outages. Those that never held are not among them.
func (n *Node) remembered(now int64, p Params) []Absence {
	from := now
	for _, o := range n.Outages {
		if o.To == 0 || o.To > now-int64(p.TransitionWindow) {
			from = min(from, o.From)
		}
	}
	var kept []Absence
	for _, a := range n.Absences {
		over := a.Until != 0 && (a.Until <= from || a.Until <= a.Since) || a.Weekly.Minutes == 0 && a.Span.To <= from
		if !over {
			kept = append(kept, a)
		}
	}
	return kept
}

func (a Absence) sameHours(b Absence) bool { return a.Weekly == b.Weekly && a.Span == b.Span }

// bounds are the seconds from which and before which an absence can be.
func (a Absence) bounds(from, to int64) (int64, int64) {
	from = max(from, a.Since)
	if a.Until != 0 {
		to = min(to, a.Until)
	}
	return from, to
}

// within are the parts of an absence from one second to before another.
func (a Absence) within(from, to int64) []Span {
	from, to = a.bounds(from, to)
	var out []Span
	add := func(begin, end int64) {
		if begin, end = max(begin, from), min(end, to); begin < end {
			out = append(out, Span{From: begin, To: end})
		}
	}
	if a.Weekly.Minutes == 0 {
		add(a.Span.From, a.Span.To)
		return out
	}
	for week := weekStart(from) - weekSeconds; week < to; week += weekSeconds { // the week before may reach into this one
		begin := week + int64(a.Weekly.Start)*minuteSeconds
		add(begin, begin+int64(a.Weekly.Minutes)*minuteSeconds)
	}
	return out
}

// AbsentSpans are when a node is announced to be offline from one second to before another, in order and apart. They cost time in proportion to the
// weeks between.
func (n Node) AbsentSpans(from, to int64) []Span {
	var all []Span
	for _, a := range n.Absences {
		all = append(all, a.within(from, to)...)
	}
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	var out []Span
	for _, s := range all {
		if last := len(out) - 1; last >= 0 && s.From <= out[last].To {
			out[last].To = max(out[last].To, s.To)
			continue
		}
		out = append(out, s)
	}
	return out
}

// NextAbsence is when, at a time or after it, a node is next announced to be offline; false if it is not. If it is so at the time, that is the answer.
func (n Node) NextAbsence(at int64) (int64, bool) {
	next, found := int64(0), false
	for _, a := range n.Absences {
		// Each weekly absence comes within a week of when it begins to hold.
		begin, end := max(at, a.Since), max(at, a.Since)+weekSeconds+1
		if a.Weekly.Minutes == 0 {
			end = max(end, a.Span.To)
		}
		if spans := a.within(begin, end); len(spans) > 0 && (!found || spans[0].From < next) {
			next, found = spans[0].From, true
		}
	}
	return next, found
}

// AbsentAt tells whether a node is announced to be offline at a time.
func (n Node) AbsentAt(at int64) bool {
	return slices.ContainsFunc(n.Absences, func(a Absence) bool { return len(a.within(at, at+1)) > 0 })
}

// OfflineHours are the hours as they were announced last.
func (n Node) OfflineHours() OfflineHours {
	var h OfflineHours
	for _, a := range n.Absences {
		switch {
		case a.Until != 0:
		case a.Weekly.Minutes > 0:
			h.Weekly = append(h.Weekly, a.Weekly)
		default:
			h.Spans = append(h.Spans, a.Span)
		}
	}
	slices.SortFunc(h.Weekly, func(a, b WeeklyHours) int { return cmp.Compare(a.Start, b.Start) })
	slices.SortFunc(h.Spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	return h
}

// OfflinePercent is how much of each week, rounded up, the hours announced last take.
func (n Node) OfflinePercent() uint32 {
	var minutes uint32
	for _, a := range n.Absences {
		if a.Until == 0 {
			minutes += a.Weekly.Minutes
		}
	}
	return (minutes*100 + weekMinutes - 1) / weekMinutes
}

// LeftAsAnnounced tells whether a node is away since a time for which it was announced to be offline.
func (n Node) LeftAsAnnounced() bool {
	last := len(n.Outages) - 1
	return last >= 0 && n.Outages[last].To == 0 && n.AbsentAt(n.Outages[last].From)
}

func (n Node) validateAbsences() error {
	if len(n.Absences) > maxAbsences {
		return ErrInvalidField.Wrapf("absences holds %d; at most %d", len(n.Absences), maxAbsences)
	}
	for i, a := range n.Absences {
		h := OfflineHours{Weekly: []WeeklyHours{a.Weekly}}
		if a.Weekly == (WeeklyHours{}) {
			h = OfflineHours{Spans: []Span{a.Span}}
		} else if a.Span != (Span{}) {
			return ErrInvalidField.Wrapf("absences[%d] is both weekly and a span", i)
		}
		if err := h.Validate(); err != nil {
			return ErrInvalidField.Wrapf("absences[%d]: %s", i, err)
		}
		if a.Since < 0 || a.Until < 0 || a.Until != 0 && a.Until < a.Since {
			return ErrInvalidField.Wrapf("absences[%d] holds from %d until %d", i, a.Since, a.Until)
		}
	}
	return n.OfflineHours().Validate()
}
