package direct

import (
	"fmt"
	"os"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// logWriter is the standard output and error of a task: a file, up to a limit. What comes after is counted and dropped, because a
// program that talks too much still computes.
type logWriter struct {
	f       *os.File
	left    int64
	dropped int64
	guard   *guard
}

// Write takes all of p.
func (l *logWriter) Write(p []byte) (int, error) {
	keep := min(int64(len(p)), l.left)
	if keep > 0 {
		if _, err := l.f.Write(p[:keep]); err != nil {
			l.guard.fail(dispatch.NodeFailure("write the log", err))
			return 0, err
		}
		l.left -= keep
	}
	l.dropped += int64(len(p)) - keep
	return len(p), nil
}

func (l *logWriter) close() error {
	if l.dropped > 0 {
		if _, err := fmt.Fprintf(l.f, "\n[fog: the log is full; %d more bytes were dropped]\n", l.dropped); err != nil {
			l.guard.fail(dispatch.NodeFailure("write the log", err))
		}
	}
	return l.f.Close()
}
