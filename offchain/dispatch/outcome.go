package dispatch

import (
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Reason says why a task ended.
type Reason string

// The reasons. Each but ReasonOK and ReasonStopped has its namesake on chain (fog.jobs.v1.FailureReason).
const (
	ReasonOK       Reason = "ok"        // exit code 0
	ReasonExit     Reason = "exit"      // an exit code other than 0
	ReasonMemory   Reason = "memory"    // wanted more memory than its limit
	ReasonTimeout  Reason = "timeout"   // ran longer than its limit
	ReasonOutput   Reason = "output"    // wrote more than its limit
	ReasonTrap     Reason = "trap"      // executed an illegal operation
	ReasonBadImage Reason = "bad-image" // the module cannot run
	ReasonNode     Reason = "node"      // the machine failed, not the task
	ReasonStopped  Reason = "stopped"   // the attempt was stopped; never reported
)

// MaxExitCode is the largest exit code that is reported; larger ones are cut to it.
const MaxExitCode = 255

// TaskAtFault reports whether the task's own behaviour ended it, rather than the node or whoever stopped it.
func (r Reason) TaskAtFault() bool {
	switch r {
	case ReasonOK, ReasonStopped, ReasonNode:
		return false
	default:
		return true
	}
}

// KeepsOutput reports whether a task that ended so keeps what it wrote.
func (r Reason) KeepsOutput() bool { return r == ReasonOK || r == ReasonExit }

// TaskOutcome is how one task ended.
type TaskOutcome struct {
	// Task is the task's number in the job.
	Task   uint32 `json:"task"`
	Reason Reason `json:"reason"`
	// ExitCode is 1 to MaxExitCode for ReasonExit, else 0.
	ExitCode uint32 `json:"exit_code"`
	// Message explains a failure in one line; it may differ between runs and is never compared.
	Message string `json:"message,omitempty"`
	// Result is the digest of the archive at ResultPath, which has ResultSize bytes. After ReasonNode the file may be missing: then
	// ResultPath is empty and Result names the empty archive.
	Result     artifact.Digest `json:"result"`
	ResultSize int64           `json:"result_size"`
	ResultPath string          `json:"-"`
	// LogPath is the local file with the task's standard output and error.
	LogPath  string    `json:"-"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
}

// Duration is how long the task ran.
func (t TaskOutcome) Duration() time.Duration { return t.Finished.Sub(t.Started) }

// Outcome is how an attempt ended: the outcomes of its tasks in their order, one for each.
type Outcome struct {
	ID    AttemptID     `json:"id"`
	Tasks []TaskOutcome `json:"tasks"`
}

// ResultRoot is the Merkle root of the tasks' result digests.
func (o Outcome) ResultRoot() [32]byte {
	leaves := make([][32]byte, len(o.Tasks))
	for i, t := range o.Tasks {
		leaves[i] = t.Result
	}
	return artifact.MerkleRoot(leaves)
}

// TaskTime is the sum of the times that the tasks ran, which is what is paid for.
func (o Outcome) TaskTime() time.Duration {
	var sum time.Duration
	for _, t := range o.Tasks {
		sum += t.Duration()
	}
	return sum
}
