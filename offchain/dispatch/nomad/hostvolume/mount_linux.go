package hostvolume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

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

const (
	// releasePatience is how long a file system may stay mounted elsewhere, as in the namespace of a container that is just ending.
	releasePatience = 15 * time.Second
	releasePause    = 100 * time.Millisecond
)

// Unmount implements Mounter. When it returns nil nothing of the file system is under way to the device any more: what is mounted elsewhere too would be
// written to later, over whatever was done to it meanwhile.
func (s System) Unmount(dir string) error {
	device, err := s.Mounted(dir)
	if err != nil {
		return err
	}
	if err := unix.Unmount(dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	for deadline := time.Now().Add(releasePatience); ; time.Sleep(releasePause) {
		err := released(device)
		if err == nil || !errors.Is(err, unix.EBUSY) {
			return err
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("%s is still mounted elsewhere: %w", device, err), s.Mount(device, dir))
		}
	}
}

// released reports whether nobody has a device mounted, in whatever namespace: then it can be had alone.
func released(device string) error {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: device, Err: err}
	}
	return unix.Close(fd)
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
