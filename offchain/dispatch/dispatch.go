package dispatch

import (
	"context"
	"errors"
	"io"
)

// Errors of a Dispatcher, to be matched with errors.Is.
var (
	// ErrUnknownAttempt says that the attempt was never started here, or was removed.
	ErrUnknownAttempt = errors.New("unknown attempt")
	// ErrConflict says that the attempt was started before with another assignment.
	ErrConflict = errors.New("attempt was started with another assignment")
	// ErrRunning says that the attempt has not ended yet.
	ErrRunning = errors.New("attempt is still running")
	// ErrClosed says that the dispatcher was closed.
	ErrClosed = errors.New("dispatcher is closed")
	// ErrInvalidAssignment says that an assignment breaks a rule, or needs more than the node has.
	ErrInvalidAssignment = errors.New("invalid assignment")
)

// Dispatcher runs attempts. All methods may be called from many goroutines.
type Dispatcher interface {
	// Start begins the attempt and returns without waiting for it. Starting an attempt again joins it: if the process restarted in
	// between, the tasks that had finished keep their outcomes and the others run (again). Tasks that fail do not fail Start.
	Start(ctx context.Context, a Assignment) error
	// Stop ends the attempt for good: tasks that have not finished get ReasonStopped, now and after any restart. Stopping an attempt
	// that has ended does nothing. Stop returns when nothing of the attempt runs any more.
	Stop(ctx context.Context, id AttemptID) error
	// Watch waits until the attempt has ended and returns its outcome. Each task's outcome is passed to onTask once, in the order in
	// which tasks finish, those that had finished before first; onTask may be nil.
	Watch(ctx context.Context, id AttemptID, onTask func(TaskOutcome)) (Outcome, error)
	// Logs returns what the task has written to standard output and error so far. A task that has not begun has an empty log.
	Logs(ctx context.Context, id AttemptID, task uint32) (io.ReadCloser, error)
	// Remove forgets an attempt that has ended, with its files. Removing an unknown attempt does nothing.
	Remove(ctx context.Context, id AttemptID) error
}
