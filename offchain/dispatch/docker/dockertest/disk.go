package dockertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Disk is a volume.Disk without file systems and devices, for machines that cannot make them: the device of a file is the file, and sizes
// mean nothing.
type Disk struct{}

// Make implements volume.Disk.
func (Disk) Make(_ context.Context, file string, mib uint32) error {
	return errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, int64(mib)<<20))
}

// Resize implements volume.Disk.
func (Disk) Resize(_ context.Context, file string, mib uint32) error {
	return os.Truncate(file, int64(mib)<<20)
}

// Attach implements volume.Disk.
func (Disk) Attach(_ context.Context, file string) (string, error) {
	_, err := os.Stat(file)
	return file, err
}

// Detach implements volume.Disk.
func (Disk) Detach(string) error { return nil }

// contentOf is where the stand-in keeps what is on a device: beside the file that is behind it, so that it goes when that is wiped.
func contentOf(device string) string {
	if raw, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), "loop/backing_file")); err == nil {
		device = strings.TrimSpace(string(raw))
	}
	return device + ".content"
}
