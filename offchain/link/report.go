package link

import (
	"errors"
	"fmt"
)

// MaxTasks is the most tasks in a slice.
const MaxTasks = 256

const maxIDLength = 128

// ErrMalformed is wrapped by whatever refuses a message for its form.
var ErrMalformed = errors.New("malformed")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// Reason says why a task did not succeed. The numbers are those of fog.jobs.v1.FailureReason.
type Reason uint32

// The reasons; ReasonNone is success.
const (
	ReasonNone Reason = iota
	ReasonExit
	ReasonMemory
	ReasonTimeout
	ReasonOutput
	ReasonTrap
	ReasonBadImage
	ReasonNotStarted
	ReasonNode
)

// TaskOutcome is how one task ended.
type TaskOutcome struct {
	// Task is the number within the job.
	Task uint32
	// ExitCode is 1…255 for ReasonExit, else zero.
	ExitCode   uint32
	Reason     Reason
	DurationMS uint64
}

// Report is the outcome of an attempt at a slice.
type Report struct {
	NodeID  string
	JobID   string
	Slice   uint32
	Attempt uint32
	// Tasks by strictly increasing number, 1 to MaxTasks.
	Tasks []TaskOutcome
	// ResultRoot is the Merkle root of the tasks' result digests.
	ResultRoot [32]byte
	// ManifestDigest is the SHA-256 of the result manifest in the registry; zeros if nothing was pushed.
	ManifestDigest [32]byte
}

// SignedReport is a report with the agent key's signature of its SigningBytes.
type SignedReport struct {
	Report
	Signature []byte
}

// Validate checks the form of a report, not its truth.
func (r Report) Validate() error {
	if err := errors.Join(checkID("node_id", r.NodeID), checkID("job_id", r.JobID)); err != nil {
		return err
	}
	if len(r.Tasks) < 1 || len(r.Tasks) > MaxTasks {
		return malformed("report of %d tasks; send 1 to %d", len(r.Tasks), MaxTasks)
	}
	for i, t := range r.Tasks {
		switch {
		case i > 0 && t.Task <= r.Tasks[i-1].Task:
			return malformed("task %d follows task %d; send them by increasing number", t.Task, r.Tasks[i-1].Task)
		case t.Reason > ReasonNode:
			return malformed("task %d has the unknown reason %d", t.Task, t.Reason)
		case (t.Reason == ReasonExit) != (t.ExitCode != 0), t.ExitCode > 255:
			return malformed("task %d has exit code %d with reason %d; a code of 1 to 255 goes with the reason exit, and only with it", t.Task, t.ExitCode, t.Reason)
		}
	}
	return nil
}

func checkID(name, id string) error {
	if len(id) < 1 || len(id) > maxIDLength {
		return malformed("%s has %d bytes; send 1 to %d", name, len(id), maxIDLength)
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return malformed("%s has the byte %#x; send printable ASCII without spaces", name, c)
		}
	}
	return nil
}

// ProgressState is where an attempt at a slice is.
type ProgressState uint32

// The states of an attempt.
const (
	ProgressStarted ProgressState = iota + 1
	ProgressRunning
	ProgressFinished

	ProgressServing   // a service runs and is healthy
	ProgressUnhealthy // a service runs, or ended by its own fault, and is not healthy
	ProgressDown      // a service does not run, through the node's fault or because it is not ready yet
)

// Progress is a hint about an attempt; it is not signed and may be lost.
type Progress struct {
	JobID      string
	Slice      uint32
	Attempt    uint32
	State      ProgressState
	TasksDone  uint32
	TasksTotal uint32
}

// Validate checks the form of a progress event.
func (p Progress) Validate() error {
	if err := checkID("job_id", p.JobID); err != nil {
		return err
	}
	if p.State < ProgressStarted || p.State > ProgressDown {
		return malformed("unknown progress state %d", p.State)
	}
	if p.TasksTotal > MaxTasks || p.TasksDone > p.TasksTotal {
		return malformed("%d tasks done of %d", p.TasksDone, p.TasksTotal)
	}
	return nil
}

// Hello is what an agent says of itself.
type Hello struct {
	NodeID string
	// BootID is hex, new at every start of the agent.
	BootID string
	// Version of the agent's program.
	Version string
	// Watch says that the agent shows tasks; NewClient sets it.
	Watch bool
	// Network says that the agent takes the tasks that measure its network; NewClient sets it.
	Network bool
	// Events and Exec say that it shows what happens to attempts, and runs owners' commands.
	Events, Exec bool
}

// Validate checks the form of a hello.
func (h Hello) Validate() error {
	err := errors.Join(checkID("node_id", h.NodeID), checkID("version", h.Version))
	if n := len(h.BootID); n < 16 || n > 64 || n%2 != 0 {
		return errors.Join(err, malformed("boot_id has %d digits; send 16 to 64", n))
	}
	for _, c := range []byte(h.BootID) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return errors.Join(err, malformed("boot_id has the byte %#x; send lower-case hex", c))
		}
	}
	return err
}
