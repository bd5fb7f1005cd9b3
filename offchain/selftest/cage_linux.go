package selftest

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
)

// limits of the agents' processes; zero is none.
type limits struct{ milliCPU, memoryMiB uint64 }

const (
	cgroupRoot = "/sys/fs/cgroup"
	// quotaPeriod in microseconds.
	quotaPeriod = 100_000
)

// cage is the control groups with the limits, one a controller in version 1.
type cage struct{ dirs []string }

// newCage makes the groups; it needs root.
func newCage(l limits) (*cage, error) {
	c := &cage{}
	name := "fog-selftest-" + strconv.Itoa(os.Getpid())
	_, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers"))
	second := err == nil
	quota, memory := strconv.FormatUint(l.milliCPU*quotaPeriod/1000, 10), strconv.FormatUint(l.memoryMiB<<20, 10)
	var files []struct{ controller, file, value string }
	if l.milliCPU > 0 {
		files = append(files, struct{ controller, file, value string }{"cpu", "cpu.cfs_quota_us", quota})
		if second {
			files[len(files)-1].file, files[len(files)-1].value = "cpu.max", quota+" "+strconv.Itoa(quotaPeriod)
		}
	}
	if l.memoryMiB > 0 {
		files = append(files, struct{ controller, file, value string }{"memory", "memory.limit_in_bytes", memory})
		if second {
			files[len(files)-1].file = "memory.max"
		}
	}
	for _, f := range files {
		var enable error
		dir := filepath.Join(cgroupRoot, f.controller, name)
		if second {
			dir = filepath.Join(cgroupRoot, name)
			// It may be on already; the file of the limit tells.
			enable = os.WriteFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"), []byte("+"+f.controller), 0o644)
		}
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			c.dirs = append(c.dirs, dir)
		} else if !second || !errors.Is(err, os.ErrExist) {
			return nil, errors.Join(fmt.Errorf("make a control group (as root?): %w", err), c.remove())
		}
		if err := os.WriteFile(filepath.Join(dir, f.file), []byte(f.value), 0o644); err != nil {
			return nil, errors.Join(fmt.Errorf("limit a control group: %w", err), enable, c.remove())
		}
	}
	return c, nil
}

// take puts a process into the groups.
func (c *cage) take(pid int) error {
	for _, dir := range c.dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("put an agent into a control group: %w", err)
		}
	}
	return nil
}

// remove removes the groups, for which their processes must have ended.
func (c *cage) remove() error {
	var errs []error
	for _, dir := range c.dirs {
		var err error
		// The kernel lets go of a process a moment after it has ended.
		for range 50 {
			if err = os.Remove(dir); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		errs = append(errs, err)
	}
	c.dirs = nil
	return errors.Join(errs...)
}

// swapOn makes sure that there is swap, if need be in a file; off takes the file away again.
func swapOn(ctx context.Context, dir string, mib int) (off func() error, err error) {
	active, err := os.ReadFile("/proc/swaps")
	if err == nil && strings.Count(string(active), "\n") > 1 {
		return func() error { return nil }, nil
	}
	f, err := os.CreateTemp(dir, "fog-selftest-swap-*")
	if err != nil {
		return nil, err
	}
	path := f.Name()
	remove := func() error { return os.Remove(path) }
	zeros := make([]byte, 1<<20)
	for range mib {
		if _, err = f.Write(zeros); err != nil {
			break
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, remove())
	}
	for _, args := range [][]string{{"mkswap", path}, {"swapon", path}} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("no swap can be made (as root?): %s: %w: %s", args[0], err, strings.TrimSpace(string(out))), remove())
		}
	}
	return func() error {
		// Also when the context has ended: a swap file cannot stay.
		if err := exec.Command("swapoff", path).Run(); err != nil {
			return fmt.Errorf("swapoff %s: %w", path, err)
		}
		return remove()
	}, nil
}
