//go:build unix && !solaris && !illumos && !aix

package audit

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lockPatience is how long a log is waited for whose process was just killed.
const lockPatience = time.Second

// lock keeps a second process from the log, wherever links to it lie: two would write over each other's records. The system drops it when the file
// is closed, or the process ends.
func lock(f *os.File) error {
	for end := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 20) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(end) {
			return ErrInUse
		}
	}
}
