package direct

import (
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// unhealthyAfter is how many checks in a row must fail.
const unhealthyAfter = 3

// lifecycle decides the phases of a service from what happens to it. It starts nothing and has no clock: times are passed in.
type lifecycle struct {
	grace time.Duration // of checks after a start
	// minPause and maxPause bound the pause before another start, which doubles until a run lasts longer than maxPause.
	minPause, maxPause time.Duration

	state    dispatch.ServiceState
	started  time.Time // of the newest run
	failures int       // of checks in a row
	pause    time.Duration
}

func (l *lifecycle) begin(now time.Time) {
	l.state = dispatch.ServiceState{Phase: dispatch.ServiceStarting, Since: now}
}

// up says that a process runs, since started.
func (l *lifecycle) up(now, started time.Time) {
	restarts := l.state.Restarts
	if l.state.Phase == dispatch.ServiceRestarting {
		restarts++
	}
	l.started, l.failures = started, 0
	l.state = dispatch.ServiceState{Phase: dispatch.ServiceRunning, Restarts: restarts, Since: now}
}

// check takes the result of a check, or that there is none to make, and reports whether the phase has changed.
func (l *lifecycle) check(now time.Time, failed error) bool {
	phase, message := dispatch.ServiceHealthy, ""
	switch {
	case !l.state.Phase.Runs():
		return false // the process ended meanwhile
	case failed == nil:
		l.failures = 0
	case l.state.Phase == dispatch.ServiceRunning && now.Sub(l.started) < l.grace:
		return false
	default:
		if l.failures++; l.failures < unhealthyAfter {
			return false
		}
		phase, message = dispatch.ServiceUnhealthy, failed.Error()
	}
	if l.state.Phase == phase {
		return false
	}
	l.state = dispatch.ServiceState{Phase: phase, Message: message, Restarts: l.state.Restarts, Since: now}
	return true
}

// down says that the process ended, or could not be started, and returns the pause before another start.
func (l *lifecycle) down(now time.Time, reason dispatch.Reason, code uint32, message string) time.Duration {
	if l.state.Phase.Runs() && now.Sub(l.started) > l.maxPause {
		l.pause = 0
	}
	l.pause = min(max(2*l.pause, l.minPause), l.maxPause)
	l.state = dispatch.ServiceState{
		Phase: dispatch.ServiceRestarting, Reason: reason, ExitCode: code, Message: message, Restarts: l.state.Restarts, Since: now,
	}
	return l.pause
}

// stop ends the service for good.
func (l *lifecycle) stop(now time.Time, reason dispatch.Reason, message string) {
	l.state = dispatch.ServiceState{
		Phase: dispatch.ServiceStopped, Reason: reason, Message: message, Restarts: l.state.Restarts, Since: now,
	}
}
