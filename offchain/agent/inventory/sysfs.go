package inventory

import (
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// This file reads /proc and /sys of Linux. Elsewhere the files do not exist and everything is empty. The roots are
// arguments so that tests can lay out a machine.

// readLine is the first line of a file, or empty.
func readLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

// maxMHz is the highest frequency of any core, or 0.
func maxMHz(sys string) int {
	var most int
	for _, path := range glob(sys, "devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq") {
		if khz, err := strconv.Atoi(readLine(path)); err == nil {
			most = max(most, khz/1000)
		}
	}
	return most
}

// diskType classifies the block device that /sys/dev/block/<device> points to.
func diskType(sys, device string) StorageType {
	path, err := filepath.EvalSymlinks(filepath.Join(sys, "dev/block", device))
	if err != nil {
		return StorageUnknown
	}
	// A partition has no queue of its own; its disk is the folder above.
	rotational := readLine(filepath.Join(path, "queue/rotational"))
	if rotational == "" {
		path = filepath.Dir(path)
		rotational = readLine(filepath.Join(path, "queue/rotational"))
	}
	switch {
	case strings.HasPrefix(filepath.Base(path), "nvme"):
		return StorageNVMe
	case rotational == "1":
		return StorageHDD
	case rotational == "0":
		return StorageSSD
	}
	return StorageUnknown
}

// Vendors of processors that can compute; what a hypervisor emulates is not among them.
var gpuVendors = map[string]string{"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}

// gpus lists what NVIDIA's driver reports, then the cards of other known vendors, by address.
func gpus(proc, sys string) []GPU {
	found := map[string]GPU{}
	for _, path := range glob(sys, "class/drm/card[0-9]*/device/vendor") {
		if strings.Contains(filepath.Base(filepath.Dir(filepath.Dir(path))), "-") {
			continue // a connector of a card, such as card0-HDMI-A-1
		}
		device, err := filepath.EvalSymlinks(filepath.Dir(path))
		vendor := gpuVendors[readLine(path)]
		if err != nil || vendor == "" {
			continue
		}
		model := vendor + " " + readLine(filepath.Join(device, "device"))
		if name := readLine(filepath.Join(device, "product_name")); name != "" {
			model = vendor + " " + name
		}
		found[filepath.Base(device)] = GPU{Model: model, Address: filepath.Base(device)}
	}
	for _, path := range glob(proc, "driver/nvidia/gpus/*/information") {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		address := filepath.Base(filepath.Dir(path))
		card := GPU{Address: address}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(line, ":")
			switch strings.TrimSpace(name) {
			case "Model":
				card.Model = strings.TrimSpace(value)
			case "GPU UUID": // unknown, with question marks, until the card was used
				if id := strings.TrimSpace(value); validGPU(id) {
					card.ID = id
				}
			}
		}
		if card.Model != "" {
			found[address] = card
		}
	}
	list := make([]GPU, 0, len(found))
	for _, g := range found {
		list = append(list, g)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Address < list[j].Address })
	return list
}

// cgroupLimit is the least memory.max on the way from the process's cgroup to the root, or 0 if there is none.
func cgroupLimit(proc, sys string) uint64 {
	_, group, ok := strings.Cut(readLine(filepath.Join(proc, "self/cgroup")), "::")
	if !ok {
		return 0
	}
	root := filepath.Join(sys, "fs/cgroup")
	var least uint64
	for path := filepath.Join(root, group); ; path = filepath.Dir(path) {
		if v, err := strconv.ParseUint(readLine(filepath.Join(path, "memory.max")), 10, 64); err == nil && (least == 0 || v < least) {
			least = v
		}
		if len(path) <= len(root) {
			return least
		}
	}
}

func memoryLimit() uint64 { return cgroupLimit("/proc", "/sys") }

// glob never meets a malformed pattern here, which is its only error.
func glob(root, pattern string) []string {
	paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
	if err != nil {
		return nil
	}
	return paths
}
