package dispatch

import (
	"context"
	"time"
)

// Event is something that happened to an attempt where it runs.
type Event struct {
	Time time.Time `json:"time"`
	// Event is assigned, waiting, pulled, starting, running, healthy, unhealthy, restarting, stopped, began, ended, exec or over; on Nomad it is what Nomad
	// calls the event of an allocation's task, such as Started or Terminated.
	Event    string  `json:"event"`
	Task     *uint32 `json:"task,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	ExitCode uint32  `json:"exit_code,omitempty"`
	Restarts uint32  `json:"restarts,omitempty"`
	Message  string  `json:"message,omitempty"`
}

// Chronicler is a dispatcher that tells what happened to an attempt.
type Chronicler interface {
	// Events passes events of a task as lines of JSON, from an offset on, until the task has ended, or with once only those that there are; an error of
	// emit ends it. The offset of a piece and its length together are where to go on.
	Events(ctx context.Context, id AttemptID, task uint32, from uint64, once bool, emit func(offset uint64, piece []byte) error) error
}
