//go:build unix && !solaris && !illumos && !aix

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockPatience is how long an agent waits for one before it to end: a process that was killed keeps its lock until the system is done with it.
const lockPatience = 5 * time.Second

// lockDir keeps a second agent out of the folder; the system drops the lock when the process ends, however it does.
func lockDir(ctx context.Context, dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockPatience); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f.Close, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
		case time.Now().After(end):
			err = fmt.Errorf("another agent works in %s; stop it, or give this one a folder of its own", dir)
		default:
			if err = sleep(ctx, 100*time.Millisecond); err == nil {
				continue
			}
		}
		return nil, errors.Join(err, f.Close())
	}
}
