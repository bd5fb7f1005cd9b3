package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Owner is the user and group id that the root folder of a new file system belongs to: that of every container.
const Owner = 65532

const (
	loopControl = "/dev/loop-control"
	// attachTries bound how often somebody else may take the device that was free just now.
	attachTries = 16
	// leavePatience is how long a device that is on its way out may take.
	leavePatience = 15 * time.Second
	leavePause    = 100 * time.Millisecond
)

// toolDirs are where the tools of e2fsprogs are, which need not be on a user's path.
var toolDirs = []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"}

// Loop is the Disk of Linux: ext4 made with e2fsprogs, in files that are loop devices.
type Loop struct {
	mkfs, fsck, resize, debug string
}

// NewLoop reports what is missing on this machine, if anything: the tools, or the right to make loop devices, which root has.
func NewLoop() (*Loop, error) {
	l := &Loop{}
	for _, t := range []struct {
		path *string
		name string
	}{{&l.mkfs, "mkfs.ext4"}, {&l.fsck, "e2fsck"}, {&l.resize, "resize2fs"}, {&l.debug, "debugfs"}} {
		if *t.path = tool(t.name); *t.path == "" {
			return nil, fmt.Errorf("%s is not installed; it is part of e2fsprogs", t.name)
		}
	}
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("loop devices cannot be made; run as root with the kernel's module loop: %w", err)
	}
	return l, control.Close()
}

func tool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range toolDirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// Make implements Disk.
func (l *Loop) Make(ctx context.Context, file string, mib uint32) error {
	if err := allocate(file, mib); err != nil {
		return err
	}
	// nodiscard: mkfs would give back what was allocated just now.
	owner := fmt.Sprintf("root_owner=%d:%d,nodiscard", Owner, Owner)
	if err := run(ctx, l.mkfs, "-q", "-F", "-m", "0", "-E", owner, file); err != nil {
		return err
	}
	// Programs that want an empty folder get one.
	return run(ctx, l.debug, "-w", "-R", "rmdir lost+found", file)
}

// allocate makes a file of a size, or makes it larger, that the disk has set aside.
func allocate(file string, mib uint32) (err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size := int64(mib) << 20
	err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) { // the limit holds without it
		err = f.Truncate(size)
	}
	if err != nil {
		return &os.PathError{Op: "allocate", Path: file, Err: err}
	}
	return f.Sync()
}

// Resize implements Disk.
func (l *Loop) Resize(ctx context.Context, file string, mib uint32) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	// e2fsck exits with 1 if it has mended something.
	var exit *exec.ExitError
	if err := run(ctx, l.fsck, "-f", "-p", file); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return err
	}
	size := int64(mib) << 20
	if info.Size() < size {
		if err := allocate(file, mib); err != nil {
			return err
		}
		return run(ctx, l.resize, file)
	}
	if err := run(ctx, l.resize, file, strconv.FormatUint(uint64(mib), 10)+"M"); err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return os.Truncate(file, size)
}

// run executes a tool, whose last line of output is the error's reason.
func run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // mkfs and its like, with paths of the store; there is no shell
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBUGFS_PAGER=cat")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return fmt.Errorf("%s: %w: %.200s", filepath.Base(program), err, lines[len(lines)-1])
}

// Attach implements Disk.
func (l *Loop) Attach(ctx context.Context, file string) (string, error) {
	for deadline := time.Now().Add(leavePatience); ; {
		number, leaving, err := attached(file)
		switch {
		case err != nil:
			return "", err
		case number < 0:
			return attach(file)
		case !leaving:
			return device(number), nil
		case time.Now().After(deadline):
			return "", fmt.Errorf("%s is still mounted by somebody and was to be given back; unmount it", device(number))
		}
		// A second device of the same file would be a second file system on the same blocks.
		select {
		case <-time.After(leavePause):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

func device(number int) string { return "/dev/loop" + strconv.Itoa(number) }

// attached finds the device of a file, -1 if there is none, and whether it goes as soon as nobody has it mounted.
func attached(file string) (number int, leaving bool, err error) {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return -1, false, err
	}
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return -1, false, err
	}
	for _, b := range backing {
		raw, err := os.ReadFile(b)
		if err != nil || strings.TrimSuffix(string(raw), "\n") != path {
			continue // a device that has gone meanwhile is none
		}
		dir := filepath.Dir(b)
		number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(dir)), "loop"))
		if err != nil {
			return -1, false, err
		}
		auto, err := os.ReadFile(filepath.Join(dir, "autoclear"))
		if err != nil {
			return -1, false, err
		}
		return number, strings.TrimSpace(string(auto)) == "1", nil
	}
	return -1, false, nil
}

func attach(file string) (_ string, err error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	for range attachTries {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", fmt.Errorf("find a free loop device: %w", err)
		}
		err = configure(device(number), f)
		if err == nil {
			return device(number), nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return "", fmt.Errorf("%s: %w", device(number), err)
		}
	}
	return "", errors.New("every free loop device was taken by somebody else; try again")
}

func configure(path string, file *os.File) (err error) {
	dev, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	return unix.IoctlLoopConfigure(int(dev.Fd()), &unix.LoopConfig{Fd: uint32(file.Fd())})
}

// Detach implements Disk. The kernel gives back a device that is still mounted when it no longer is.
func (l *Loop) Detach(file string) (err error) {
	number, leaving, err := attached(file)
	if errors.Is(err, os.ErrNotExist) || err == nil && (number < 0 || leaving) {
		return nil
	}
	if err != nil {
		return err
	}
	dev, err := os.OpenFile(device(number), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	err = unix.IoctlSetInt(int(dev.Fd()), unix.LOOP_CLR_FD, 0)
	if errors.Is(err, unix.ENXIO) { // somebody else did
		return nil
	}
	return err
}
