package hostvolume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// System mounts on this machine, as root.
type System struct{}

// mountFlags keep what is in a volume from being devices and from giving rights.
const mountFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME

// Mounted implements Mounter.
func (System) Mounted(dir string) (string, error) {
	resolved, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	device := ""
	for line := range strings.Lines(string(raw)) { // the last one lies on top
		at, source, ok := parseMount(line)
		if ok && at == resolved {
			device = source
		}
	}
	return device, nil
}

// parseMount reads where a line of mountinfo is mounted, and what: fields up to " - ", of which the fifth is the folder, then type and source.
func parseMount(line string) (at, source string, ok bool) {
	before, after, found := strings.Cut(strings.TrimSpace(line), " - ")
	fields, rest := strings.Fields(before), strings.Fields(after)
	if !found || len(fields) < 5 || len(rest) < 2 {
		return "", "", false
	}
	return mountEscapes.Replace(fields[4]), mountEscapes.Replace(rest[1]), true
}

// mountEscapes are the kernel's.
var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// Mount implements Mounter.
func (System) Mount(device, dir string) error {
	if err := unix.Mount(device, dir, "ext4", mountFlags, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", device, dir, err)
	}
	return nil
}

// Unmount implements Mounter.
func (System) Unmount(dir string) error {
	if err := unix.Unmount(dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// lock waits until no other process has the file.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: file, Err: err}, f.Close())
	}
	return func() { f.Close() }, nil // which unlocks it
}
