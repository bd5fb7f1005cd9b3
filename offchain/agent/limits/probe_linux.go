package limits

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Supported says whether this system can be asked if it is in use.
const Supported = true

// Probe looks at the machine. Make it with NewProbe; it is not safe for concurrent use.
type Probe struct {
	proc, cgroup, dev string
	self              int
	desktop           func(context.Context) bool

	known      bool
	total, own uint64 // clock ticks at the last look
}

// ticks a second that /proc counts in; the kernel shows 100 on all systems that Go runs on.
const ticks = 100

// NewProbe looks at this machine.
func NewProbe() *Probe {
	return &Probe{proc: "/proc", cgroup: "/sys/fs/cgroup", dev: "/dev", self: os.Getpid(), desktop: desktopInUse}
}

// Look takes a sample. The first one knows nothing of the load.
func (p *Probe) Look(ctx context.Context) (Sample, error) {
	input, err := p.lastInput()
	if err != nil {
		return Sample{}, err
	}
	s := Sample{Input: input, Desktop: p.desktop(ctx)}
	total, busy, err := p.processors()
	if err != nil {
		return Sample{}, err
	}
	own, err := p.ownTicks()
	if err != nil {
		return Sample{}, err
	}
	others := busy - min(busy, own+p.containerTicks())
	if p.known && total > p.total && others > p.own {
		s.Others = int((others - p.own) * 1000 / (total - p.total))
	}
	p.known, p.total, p.own = true, total, others
	return s, nil
}

// lastInput is the newest time at which somebody's program read from a terminal, as w(1) has it. Consoles at which nobody is logged in belong to root.
func (p *Probe) lastInput() (newest time.Time, err error) {
	for _, pattern := range []string{"pts/[0-9]*", "tty[0-9]*"} {
		files, err := filepath.Glob(filepath.Join(p.dev, pattern))
		if err != nil {
			return newest, err
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if errors.Is(err, fs.ErrNotExist) { // it has just been closed
				continue
			}
			if err != nil {
				return newest, err
			}
			stat, ok := info.Sys().(*syscall.Stat_t)
			if !ok || strings.HasPrefix(filepath.Base(file), "tty") && stat.Uid == 0 {
				continue
			}
			if at := time.Unix(stat.Atim.Unix()); at.After(newest) {
				newest = at
			}
		}
	}
	return newest, nil
}

// processors are the ticks that all processors have had, and those in which they worked.
func (p *Probe) processors() (total, busy uint64, err error) {
	raw, err := os.ReadFile(filepath.Join(p.proc, "stat"))
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 6 || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("%s/stat begins with %.80q; expected the sum of all processors", p.proc, line)
	}
	for i, field := range fields[1:min(len(fields), 9)] { // what guests take is in user time already
		v, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		total += v
		if i != 3 && i != 4 && i != 7 { // idle, waiting for a disk, or stolen by the host
			busy += v
		}
	}
	return total, busy, nil
}

// ownTicks are those of the agent and all that it started, so far as it is there or was waited for.
func (p *Probe) ownTicks() (sum uint64, err error) {
	type process struct {
		parent int
		ticks  uint64
	}
	all := map[int]process{}
	entries, err := os.ReadDir(p.proc)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(p.proc, e.Name(), "stat"))
		if err != nil { // it has just ended
			continue
		}
		// The name of the program, in parentheses, may hold anything.
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		if len(fields) < 15 {
			continue
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		var taken uint64
		for _, field := range fields[11:15] { // its own and its children's, user and system
			v, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s/%d/stat: %w", p.proc, pid, err)
			}
			taken += v
		}
		all[pid] = process{parent, taken}
	}
	for pid, it := range all {
		for up := pid; up > 1; up = all[up].parent {
			if up == p.self {
				sum += it.ticks
				break
			}
		}
	}
	return sum, nil
}

// containerTicks are those of all containers that run, of whoever they are: tasks are containers, and nobody sits in one. It knows control groups of
// the second version only.
func (p *Probe) containerTicks() (sum uint64) {
	for _, pattern := range []string{"system.slice/docker-*.scope/cpu.stat", "docker/*/cpu.stat"} {
		files, err := filepath.Glob(filepath.Join(p.cgroup, pattern))
		if err != nil {
			continue // the pattern is ours
		}
		for _, file := range files {
			sum += usage(file)
		}
	}
	return sum
}

func usage(file string) uint64 {
	f, err := os.Open(file)
	if err != nil { // the container has just ended
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), "usage_usec "); found {
			micros, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return 0
			}
			return micros * ticks / 1_000_000
		}
	}
	return 0
}

// desktopInUse asks systemd-logind, where there is one, for graphical sessions that are not idle. A desktop that does not say when it is idle is in use
// for as long as somebody is logged in.
func desktopInUse(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	list, err := exec.CommandContext(ctx, "loginctl", "list-sessions", "--no-legend", "--no-pager").Output()
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(list)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		session, err := exec.CommandContext(ctx, "loginctl", "show-session", fields[0], "-p", "Type", "-p", "State", "-p", "IdleHint", "-p", "Class").Output() //nolint:gosec // the id of a session, as loginctl itself listed it; there is no shell
		if err == nil && graphicalInUse(string(session)) {
			return true
		}
	}
	return false
}

// graphicalInUse reads what loginctl shows of a session.
func graphicalInUse(shown string) bool {
	lines := strings.Fields(shown)
	has := func(line string) bool { return slices.Contains(lines, line) }
	return (has("Type=x11") || has("Type=wayland") || has("Type=mir")) && has("State=active") && has("Class=user") && has("IdleHint=no")
}
