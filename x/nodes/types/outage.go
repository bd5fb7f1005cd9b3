package types

import "slices"

// Down notes that the node went away at now, and returns how often it did within the last window seconds. It forgets outages that
// ended before.
func (n *Node) Down(now, window int64) (transitions int) {
	n.Outages = slices.DeleteFunc(n.Outages, func(o Outage) bool { return o.To != 0 && o.To <= now-window })
	n.Outages = append(n.Outages, Outage{From: now})
	for _, o := range n.Outages {
		if o.From > now-window {
			transitions++
		}
	}
	return transitions
}

// Up notes that the node came back at now, and returns for how many of the last window seconds it was away.
func (n *Node) Up(now, window int64) (away int64) {
	for i := range n.Outages {
		o := &n.Outages[i]
		if o.To == 0 {
			o.To = now
		}
		away += max(0, o.To-max(o.From, now-window))
	}
	return away
}
