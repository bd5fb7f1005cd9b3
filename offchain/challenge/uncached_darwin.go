package challenge

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openUncached opens with F_NOCACHE.
func openUncached(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_NOCACHE, 1); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
