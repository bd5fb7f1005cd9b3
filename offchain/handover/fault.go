package handover

import (
	"errors"
	"fmt"

	"github.com/foggrid/fogd/offchain/registry/client"
)

// JobError is a failure that is the job's own: no node could run it. Its tasks end as BAD_IMAGE.
type JobError struct {
	err error
	// Doubtful failures are believed only when they repeat: a registry may be behind, or broken for a moment.
	Doubtful bool
}

func (e *JobError) Error() string { return e.err.Error() }
func (e *JobError) Unwrap() error { return e.err }

// JobFault makes a JobError that is beyond doubt.
func JobFault(format string, args ...any) error { return &JobError{err: fmt.Errorf(format, args...)} }

// Blame finds out whose fault a failure to get content is: the job's, if the content is missing, wrong or too large.
func Blame(err error) error {
	var job *JobError
	switch {
	case errors.As(err, &job):
		return &JobError{err: err, Doubtful: job.Doubtful}
	case errors.Is(err, client.ErrTooLarge):
		return &JobError{err: err}
	case errors.Is(err, client.ErrNotFound), errors.Is(err, client.ErrDigestMismatch):
		return &JobError{err: err, Doubtful: true}
	default:
		return err
	}
}

// Doubts is how often content must be missing or wrong before the job is blamed.
const Doubts = 5

// Verdict counts the failures of one attempt that may be the job's. The zero value has seen none.
type Verdict struct{ faults int }

// IsJobs reports whether a failure is the job's own, as far as those before it leave no doubt.
func (v *Verdict) IsJobs(err error) bool {
	var job *JobError
	if !errors.As(err, &job) {
		return false
	}
	v.faults++
	return !job.Doubtful || v.faults >= Doubts
}
