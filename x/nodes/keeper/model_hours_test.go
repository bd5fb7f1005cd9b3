package keeper_test

import (
	"slices"

	"github.com/foggrid/fogd/x/nodes/types"
)

// The hours of the model are a list of announcements that is never shortened: at any time the last one that holds says when the node is offline.
type announcement struct {
	since int64
	hours types.OfflineHours
}

const (
	lead     = 3600
	comeBack = 600
	week     = 7 * day
	// monday is the Unix second of some Monday, 00:00 UTC: 20 November 2023.
	monday = 1_700_438_400
)

func (n *modelNode) announce(h types.OfflineHours, now int64) error {
	if !n.live() || n.jailedForGood() {
		return types.ErrWrongStatus
	}
	known := n.hours()
	for _, s := range h.Spans {
		if s.From < now+lead && !slices.Contains(known.Spans, s) {
			return types.ErrInvalidField
		}
	}
	n.announced = append(n.announced, announcement{now + lead, h})
	return nil
}

// hours are those that were announced last.
func (n *modelNode) hours() types.OfflineHours {
	if len(n.announced) == 0 {
		return types.OfflineHours{}
	}
	return n.announced[len(n.announced)-1].hours
}

// absent says whether the node is announced to be offline in a second.
func (n *modelNode) absent(at int64) bool {
	var h types.OfflineHours
	for _, a := range n.announced {
		if a.since <= at {
			h = a.hours
		}
	}
	minute := ((at-monday)%week + week) % week / 60
	for _, w := range h.Weekly {
		into := (minute - int64(w.Start) + week/60) % (week / 60)
		if into < int64(w.Minutes) {
			return true
		}
	}
	return slices.ContainsFunc(h.Spans, func(s types.Span) bool { return s.From <= at && at < s.To })
}

// excused counts the seconds of a time for which the node was announced to be offline, from one instant at which that can change to the next.
func (n *modelNode) excused(from, to int64) (seconds int64) {
	instants := []int64{from, to}
	for _, a := range n.announced {
		instants = append(instants, a.since)
		for _, s := range a.hours.Spans {
			instants = append(instants, s.From, s.To)
		}
		for _, w := range a.hours.Weekly {
			for begin := monday - 60*week + int64(w.Start)*60; begin < to; begin += week {
				instants = append(instants, begin, begin+int64(w.Minutes)*60)
			}
		}
	}
	slices.Sort(instants)
	for i := 1; i < len(instants); i++ {
		if a, b := max(instants[i-1], from), min(instants[i], to); a < b && n.absent(a) {
			seconds += b - a
		}
	}
	return seconds
}

// passes says whether an outage is none: the node went as announced, and is away or came back in time.
func (n *modelNode) passes(o types.Outage) bool {
	return n.absent(o.From) && (o.To == 0 || o.To-o.From-n.excused(o.From, o.To) <= comeBack)
}

func (n *modelNode) transitions(now int64) (count int) {
	for _, o := range n.outages {
		if o.From > now-window && !n.passes(o) {
			count++
		}
	}
	return count
}

// unexcused is for how long the node was away in the window; the model forgets no outage.
func (n *modelNode) unexcused(now int64) (away int64) {
	for _, o := range n.outages {
		if from := max(o.From, now-window); o.To > from && !n.passes(o) {
			away += o.To - from - n.excused(from, o.To)
		}
	}
	return away
}
