package selftest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
func newCage(l limits) (*cage, error) { return newCageIn(cgroupRoot, l) }

// limitFile is a file of a control group by which a controller limits it.
type limitFile struct{ controller, file, value string }

// files that hold the limits, in version 2 or 1.
func (l limits) files(second bool) (all []limitFile) {
	if l.milliCPU > 0 {
		quota := strconv.FormatUint(l.milliCPU*quotaPeriod/1000, 10)
		if second {
			all = append(all, limitFile{"cpu", "cpu.max", quota + " " + strconv.Itoa(quotaPeriod)})
		} else {
			all = append(all, limitFile{"cpu", "cpu.cfs_period_us", strconv.Itoa(quotaPeriod)}, limitFile{"cpu", "cpu.cfs_quota_us", quota})
		}
	}
	if l.memoryMiB > 0 {
		f := limitFile{"memory", "memory.limit_in_bytes", strconv.FormatUint(l.memoryMiB<<20, 10)}
		if second {
			f.file = "memory.max"
		}
		all = append(all, f)
	}
	return all
}

func newCageIn(root string, l limits) (*cage, error) {
	c := &cage{}
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	second := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("which control groups are there: %w", err)
	}
	name := "fog-selftest-" + strconv.Itoa(os.Getpid())
	for _, f := range l.files(second) {
		dir := filepath.Join(root, f.controller, name)
		if second {
			dir = filepath.Join(root, name)
			if err := enable(root, f.controller, string(controllers)); err != nil {
				return nil, errors.Join(err, c.remove())
			}
		} else if _, err := os.Stat(filepath.Dir(dir)); err != nil {
			return nil, errors.Join(fmt.Errorf("this machine has no controller %s of control groups: %w", f.controller, err), c.remove())
		}
		if !slices.Contains(c.dirs, dir) {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return nil, errors.Join(fmt.Errorf("make a control group (as root?): %w", err), c.remove())
			}
			c.dirs = append(c.dirs, dir)
		}
		if err := os.WriteFile(filepath.Join(dir, f.file), []byte(f.value), 0o644); err != nil {
			return nil, errors.Join(fmt.Errorf("limit a control group: %w", err), c.remove())
		}
	}
	return c, nil
}

// enable gives the groups below the root of version 2 a controller.
func enable(root, controller, available string) error {
	path := filepath.Join(root, "cgroup.subtree_control")
	on, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	switch {
	case slices.Contains(strings.Fields(string(on)), controller):
		return nil
	case !slices.Contains(strings.Fields(available), controller):
		return fmt.Errorf("the control groups in %s have no controller %s: version 1, or whoever made this container, has it", root, controller)
	}
	if err := os.WriteFile(path, []byte("+"+controller), 0o644); err != nil {
		return fmt.Errorf("turn the controller %s on (as root, and outside of a container?): %w", controller, err)
	}
	return nil
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
