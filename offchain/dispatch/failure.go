package dispatch

import (
	"errors"
	"fmt"
	"syscall"
)

// Failure is an error that knows why a task ended.
type Failure struct {
	Reason  Reason
	Message string
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Failf makes a Failure.
func Failf(reason Reason, format string, args ...any) *Failure {
	return &Failure{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// NodeFailure blames the machine for err, and says so plainly when its disk is full.
func NodeFailure(doing string, err error) *Failure {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return Failf(ReasonNode, "the node's disk is full: %s: %v", doing, err)
	}
	return Failf(ReasonNode, "the node failed: %s: %v", doing, err)
}
