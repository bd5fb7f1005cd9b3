package selftest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// swapOn makes sure that there is swap, if need be in a file; off takes the file away again.
func swapOn(ctx context.Context, dir string, mib int) (off func() error, err error) {
	active, err := os.ReadFile("/proc/swaps")
	if err == nil && strings.Count(string(active), "\n") > 1 {
		return func() error { return nil }, nil
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("this machine has no swap, and only root can make some; run it as root")
	}
	if err := swappable(dir); err != nil {
		return nil, err
	}
	s := &swapFile{}
	if err := s.make(ctx, dir, mib); err != nil {
		return nil, errors.Join(fmt.Errorf("this machine has no swap, and none can be made: %w", err), s.remove())
	}
	return s.remove, nil
}

// swappable refuses folders in memory: what is swapped there frees none.
func swappable(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC {
		return fmt.Errorf("this machine has no swap, and none can be made in %s, which is memory; choose a folder on disk with --dir", dir)
	}
	return nil
}

// swapFile is swap in a file, or on a loop device of it where the file system cannot swap to its files.
type swapFile struct{ path, device, active string }

func (s *swapFile) make(ctx context.Context, dir string, mib int) error {
	f, err := os.CreateTemp(dir, "fog-selftest-swap-*")
	if err != nil {
		return err
	}
	s.path = f.Name()
	zeros := make([]byte, 1<<20)
	for range mib { // written, since a file with holes is no swap
		if _, err = f.Write(zeros); err != nil {
			break
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if _, err := tool(ctx, "mkswap", s.path); err != nil {
		return err
	}
	_, direct := tool(ctx, "swapon", s.path)
	if direct == nil {
		s.active = s.path
		return nil
	}
	if s.device, err = tool(ctx, "losetup", "--find", "--show", s.path); err != nil {
		return errors.Join(direct, err)
	}
	if _, err := tool(ctx, "swapon", s.device); err != nil {
		return errors.Join(direct, err)
	}
	s.active = s.device
	return nil
}

// remove takes away what was made. It does so also when what wanted it was interrupted: a swap file must not stay.
func (s *swapFile) remove() error {
	ctx := context.Background()
	if s.active != "" {
		if _, err := tool(ctx, "swapoff", s.active); err != nil {
			return fmt.Errorf("%w; turn it off and remove %s yourself", err, s.path)
		}
	}
	var err error
	if s.device != "" {
		_, err = tool(ctx, "losetup", "--detach", s.device)
	}
	if s.path != "" {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}

// tool runs a program of util-linux and returns what it says.
func tool(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, text)
	}
	return text, nil
}
