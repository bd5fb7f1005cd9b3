//go:build unix && !solaris && !illumos && !aix

package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir keeps a second agent out of the folder; the system drops the lock when the process ends, however it does.
func lockDir(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("another agent works in %s; stop it, or give this one a folder of its own", dir)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}
