package direct

import (
	"context"
	"errors"
	"syscall"

	"github.com/foggrid/fogd/offchain/dispatch"
)

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
	failed *dispatch.Failure
}

func (g *guard) fail(f *dispatch.Failure) {
	if g.failed == nil {
		g.failed = f
		g.cancel(f)
	}
}
