package types

import "slices"

// oldestOutage bounds how far back announced hours are looked up, in seconds: two years.
const oldestOutage = 2 * 366 * 24 * 3600

// Down notes that the node went away at now, and returns how often it did within the last window seconds. It forgets outages that
// ended before.
func (n *Node) Down(now int64, p Params) (transitions int) {
	start := now - int64(p.TransitionWindow)
	n.Outages = slices.DeleteFunc(n.Outages, func(o Outage) bool { return o.To != 0 && o.To <= start })
	n.Outages = append(n.Outages, Outage{From: now})
	return n.Transitions(now, p)
}

// Up notes that the node came back at now, and returns for how many of the last window seconds it was away unannounced, and how often it went.
// Having gone as announced and come back in time is forgotten.
func (n *Node) Up(now int64, p Params) (away int64, transitions int) {
	if last := len(n.Outages) - 1; last >= 0 && n.Outages[last].To == 0 {
		n.Outages[last].To = now
		if !n.counts(n.Outages[last], p) {
			n.Outages = n.Outages[:last]
		}
	}
	return n.Away(now, p), n.Transitions(now, p)
}

// Away is for how many of the last window seconds the node was away without being announced to be.
func (n Node) Away(now int64, p Params) (seconds int64) {
	start := now - int64(p.TransitionWindow)
	for _, o := range n.Outages {
		to := o.To
		if to == 0 {
			to = now
		}
		if from := max(o.From, start); from < to {
			seconds += to - from - n.excused(from, to)
		}
	}
	return seconds
}

// Transitions is how often the node went away within the last window seconds in a way that counts. Going as announced counts once the node
// came back later than announced.
func (n Node) Transitions(now int64, p Params) (count int) {
	for _, o := range n.Outages {
		if o.From > now-int64(p.TransitionWindow) && n.counts(o, p) {
			count++
		}
	}
	return count
}

// counts tells whether an outage is a transition: it was not announced, or it lasted longer than announced by more than what coming back takes.
func (n Node) counts(o Outage, p Params) bool {
	if !n.AbsentAt(o.From) {
		return true
	}
	from := max(o.From, o.To-oldestOutage)
	return o.To != 0 && o.To-from-n.excused(from, o.To) > int64(p.HoursReturn)
}

// excused is for how many seconds from one to before another the node was announced to be offline.
func (n Node) excused(from, to int64) (seconds int64) {
	if len(n.Absences) == 0 {
		return 0
	}
	for _, s := range n.AbsentSpans(from, to) {
		seconds += s.To - s.From
	}
	return seconds
}
