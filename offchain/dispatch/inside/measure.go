package inside

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// group is where a version of control groups keeps what a container takes.
type group struct {
	cpu, cpuKey       string
	cpuUnit           uint64 // of the number, in ns
	memory            string
	cache, droppable  string
	processes, events string
}

// groups of version 2 and version 1.
var groups = []group{
	{
		cpu: "cpu.stat", cpuKey: "usage_usec", cpuUnit: 1000, memory: "memory.current", cache: "memory.stat", droppable: "inactive_file",
		processes: "pids.current", events: "memory.events",
	},
	{
		cpu: "cpuacct/cpuacct.usage", cpuUnit: 1, memory: "memory/memory.usage_in_bytes", cache: "memory/memory.stat", droppable: "total_inactive_file",
		processes: "pids/pids.current", events: "memory/memory.oom_control",
	},
}

// errNoGroups says that nobody accounts for the container.
var errNoGroups = errors.New("there are no control groups of the container")

// Measure tells what the container around this process takes; root is where its /proc and /sys are.
func Measure(root string) (dispatch.Stats, error) {
	out := dispatch.Stats{At: time.Now().UTC()}
	for _, g := range groups {
		dir := filepath.Join(root, "sys/fs/cgroup")
		memory, ok := number(filepath.Join(dir, g.memory), "")
		if !ok {
			continue
		}
		cpu, _ := number(filepath.Join(dir, g.cpu), g.cpuKey)
		cache, _ := number(filepath.Join(dir, g.cache), g.droppable)
		out.CPUNanos, out.Memory = cpu*g.cpuUnit, memory-min(memory, cache)
		out.Processes, _ = number(filepath.Join(dir, g.processes), "")
		out.Received, out.Sent = traffic(filepath.Join(root, "proc/net/dev"))
		return out, nil
	}
	return out, errNoGroups
}

// number reads a file that holds one, or that of a line that begins with a key.
func number(file, key string) (uint64, bool) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(raw)) {
		text := strings.TrimSpace(line)
		if key != "" {
			name, value, _ := strings.Cut(text, " ")
			if name != key {
				continue
			}
			text = value
		}
		n, err := strconv.ParseUint(text, 10, 64)
		return n, err == nil
	}
	return 0, false
}

// traffic sums up what went over the interfaces, the loopback left out. A line is a name, eight numbers of what came in and eight of what went out.
func traffic(file string) (received, sent uint64) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || strings.TrimSpace(name) == "lo" || len(fields) < 9 {
			continue
		}
		in, inErr := strconv.ParseUint(fields[0], 10, 64)
		out, outErr := strconv.ParseUint(fields[8], 10, 64)
		if inErr == nil && outErr == nil {
			received, sent = received+in, sent+out
		}
	}
	return received, sent
}
