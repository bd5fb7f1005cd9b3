package limits

import (
	"fmt"
	"time"
)

const (
	// inputIdle is for how long after input at a terminal the machine is in use.
	inputIdle = 5 * time.Minute
	// freeAfter is for how long nothing must tell of use until the machine is free.
	freeAfter = 10 * time.Minute
	// othersShare of the processors, in thousandths, taken by other programs in othersTimes looks in a row, is use.
	othersShare = 250
	othersTimes = 2
)

// Sample is what a look at the machine tells.
type Sample struct {
	// Input is when something was last typed at a terminal, on the machine or over the network; zero if nobody has one.
	Input time.Time
	// Desktop: somebody is at a graphical session.
	Desktop bool
	// Others is what other programs than the agent and containers took of all processors since the look before, in thousandths.
	Others int
}

// Presence tells from samples whether the machine is in use. The zero value is one that is free.
type Presence struct {
	busy  bool
	loads int
	last  time.Time // of use
}

// Observe takes a sample and returns whether the machine is in use, and the reason if the sample itself tells so.
func (p *Presence) Observe(s Sample, now time.Time) (inUse bool, reason string) {
	p.loads++
	if s.Others < othersShare {
		p.loads = 0
	}
	switch {
	case s.Desktop:
		reason = "somebody is at the desktop"
	case !s.Input.IsZero() && now.Sub(s.Input) < inputIdle:
		reason = "somebody types at a terminal"
	case p.loads >= othersTimes:
		reason = fmt.Sprintf("other programs take %d %% of the processors", s.Others/10)
	}
	if reason != "" {
		p.busy, p.last = true, now
	}
	if p.busy && now.Sub(p.last) >= freeAfter {
		p.busy = false
	}
	return p.busy, reason
}
