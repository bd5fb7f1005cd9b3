package cmd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// processUsage is what the process has taken: CPU time of all threads, and the most memory it held at once, its program included.
type processUsage struct {
	cpu     time.Duration
	peakRSS int64
}

func usedByProcess() (processUsage, error) {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return processUsage{}, fmt.Errorf("measure the process: %w", err)
	}
	t, err := p.Times()
	if err != nil {
		return processUsage{}, fmt.Errorf("measure the CPU time: %w", err)
	}
	m, err := p.MemoryInfo()
	if err != nil {
		return processUsage{}, fmt.Errorf("measure the memory: %w", err)
	}
	u := processUsage{time.Duration((t.User + t.System) * float64(time.Second)), int64(max(m.HWM, m.RSS))}
	if peak, ok := peakOfLinux(); ok {
		u.peakRSS = peak
	}
	return u, nil
}

// peakOfLinux reads the high-water mark, which is counted from the start of this program only.
func peakOfLinux() (int64, bool) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}
