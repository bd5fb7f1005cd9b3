package direct

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// failure is an error that knows why a task ended.
type failure struct {
	reason  dispatch.Reason
	message string
}

func (f *failure) Error() string { return f.message }

func failf(reason dispatch.Reason, format string, args ...any) *failure {
	return &failure{reason: reason, message: fmt.Sprintf(format, args...)}
}

// nodeFailure blames the machine for err, and says so plainly when its disk is full.
func nodeFailure(doing string, err error) *failure {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return failf(dispatch.ReasonNode, "the node's disk is full: %s: %v", doing, err)
	}
	return failf(dispatch.ReasonNode, "the node failed: %s: %v", doing, err)
}

// isNodeFault tells errors of the machine from errors that a program's own request deserves.
func isNodeFault(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.EROFS, syscall.ENOMEM,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// guard ends a running task: the first failure counts. Only the task's own goroutine uses it.
type guard struct {
	cancel context.CancelCauseFunc
	failed *failure
}

func (g *guard) fail(f *failure) {
	if g.failed == nil {
		g.failed = f
		g.cancel(f)
	}
}
