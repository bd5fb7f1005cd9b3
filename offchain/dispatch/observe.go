package dispatch

import (
	"context"
	"errors"
	"io"
	"time"
)

// Observer is a dispatcher that shows what an attempt does while it runs.
type Observer interface {
	// Follow passes the log of a task from an offset on, as it grows, until the task has ended or emit returns an error, which Follow
	// then returns. The offset counts bytes from the beginning of the log; what is no longer kept is left out, which the offset of the
	// next piece shows. A piece has at most MaxLogPiece bytes and is only valid during the call.
	Follow(ctx context.Context, id AttemptID, task uint32, from uint64, emit func(offset uint64, piece []byte) error) error
	// Stats tells what a task takes now.
	Stats(ctx context.Context, id AttemptID, task uint32) (Stats, error)
}

// Executor is a dispatcher that runs commands beside the program of a task that runs now, in its container and within its limits.
type Executor interface {
	// Exec runs a command of an attempt whose assignment lets it, with what it may read on standard input, writes its output to out, and returns
	// its exit code. When the context ends it is no longer listened to, but may go on as long as the container.
	Exec(ctx context.Context, id AttemptID, task uint32, command Command) (exitCode uint32, err error)
}

// Command is what an Executor runs.
type Command struct {
	Args  []string
	Stdin []byte
	// Out gets standard output and error.
	Out io.Writer
}

// ErrNoExec says that commands must not be run in an attempt.
var ErrNoExec = errors.New("the job does not let commands be run; it needs exec: true in its job file")

// MaxLogPiece is the most of a log that is passed at a time.
const MaxLogPiece = 32 << 10

// Stats is what a task takes. Modules share a process, so that only their times are known.
type Stats struct {
	// At is when it was measured; Started when the task, or the service's newest run, began, zero if it has not.
	At      time.Time `json:"at"`
	Started time.Time `json:"started"`
	Running bool      `json:"running"`
	// Over says that the task has ended for good.
	Over bool `json:"over"`
	// Measured says that the fields below hold something.
	Measured bool `json:"measured"`
	// CPUNanos is processor time since the start, in 1e-9 s.
	CPUNanos uint64 `json:"cpu_ns"`
	// Memory in bytes, file cache that can be dropped not counted, and its limit.
	Memory      uint64 `json:"memory"`
	MemoryLimit uint64 `json:"memory_limit"`
	Processes   uint64 `json:"processes"`
	// Received and Sent are bytes over the network since the start.
	Received uint64 `json:"received"`
	Sent     uint64 `json:"sent"`
}
