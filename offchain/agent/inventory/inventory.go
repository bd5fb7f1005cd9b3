// Package inventory finds out what machine an agent runs on. What the system does not tell stays empty or zero: an
// inventory is a proposal for the owner's declaration, and the oracles measure what matters.
package inventory

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
)

// StorageType is the kind of a disk.
type StorageType string

// The kinds of disks; StorageUnknown where the system does not tell.
const (
	StorageUnknown StorageType = ""
	StorageHDD     StorageType = "hdd"
	StorageSSD     StorageType = "ssd"
	StorageNVMe    StorageType = "nvme"
)

// GPU is one graphics processor.
type GPU struct {
	Model string `json:"model"`
	// Address on the PCI bus.
	Address string `json:"address"`
	// ID by which NVIDIA's driver knows it (GPU-…); empty for others, which cannot be given to containers.
	ID string `json:"id,omitempty"`
}

// Inventory describes the machine.
type Inventory struct {
	CPUModel string `json:"cpu_model"`
	// Cores is the number of logical cores.
	Cores int `json:"cores"`
	// UsableCores is how many of them this process may keep busy (affinity, container quota).
	UsableCores int `json:"usable_cores"`
	CPUMaxMHz   int `json:"cpu_max_mhz"`
	// MemoryMiB is the memory of the machine, or of the container if that has less.
	MemoryMiB          uint64 `json:"memory_mib"`
	MemoryAvailableMiB uint64 `json:"memory_available_mib"`
	// StorageMiB and StorageFreeMiB are of the file system that holds the agent's folder.
	StorageMiB     uint64      `json:"storage_mib"`
	StorageFreeMiB uint64      `json:"storage_free_mib"`
	StorageType    StorageType `json:"storage_type"`
	GPUs           []GPU       `json:"gpus"`
	OS             string      `json:"os"`
	Platform       string      `json:"platform"`
	Arch           string      `json:"arch"`
	// KernelBootID changes when the machine restarts; empty where there is none.
	KernelBootID string `json:"kernel_boot_id"`
}

const mib = 1 << 20

// Collect reads the inventory; dir is the folder in which the agent will work, or one of its parents if it is yet to be made.
// An error means that cores, memory or storage could not be read.
func Collect(ctx context.Context, dir string) (Inventory, error) {
	inv := Inventory{OS: runtime.GOOS, Arch: runtime.GOARCH, UsableCores: runtime.GOMAXPROCS(0)}
	var err error
	if inv.Cores, err = cpu.CountsWithContext(ctx, true); err != nil {
		return inv, fmt.Errorf("count the cores: %w", err)
	}
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return inv, fmt.Errorf("read the size of the memory: %w", err)
	}
	inv.MemoryMiB, inv.MemoryAvailableMiB = memory.Total/mib, memory.Available/mib
	if limit := memoryLimit(); limit > 0 {
		inv.MemoryMiB, inv.MemoryAvailableMiB = min(inv.MemoryMiB, limit/mib), min(inv.MemoryAvailableMiB, limit/mib)
	}
	folder, err := existingParent(dir)
	if err != nil {
		return inv, err
	}
	usage, err := disk.UsageWithContext(ctx, folder)
	if err != nil {
		return inv, fmt.Errorf("read the size of the storage at %s: %w", folder, err)
	}
	inv.StorageMiB, inv.StorageFreeMiB = usage.Total/mib, usage.Free/mib
	inv.StorageType = storageType(folder)

	// The rest is for people; a system that does not tell leaves it empty.
	if infos, err := cpu.InfoWithContext(ctx); err == nil && len(infos) > 0 {
		inv.CPUModel, inv.CPUMaxMHz = strings.TrimSpace(infos[0].ModelName), int(infos[0].Mhz)
	}
	if mhz := maxMHz("/sys"); mhz > 0 {
		inv.CPUMaxMHz = mhz
	}
	if info, err := host.InfoWithContext(ctx); err == nil {
		inv.Platform = strings.TrimSpace(info.Platform + " " + info.PlatformVersion)
	}
	inv.GPUs = gpus("/proc", "/sys")
	if !slices.ContainsFunc(inv.GPUs, func(g GPU) bool { return g.ID != "" }) {
		inv.GPUs = withSMI(ctx, inv.GPUs)
	}
	inv.KernelBootID = readLine("/proc/sys/kernel/random/boot_id")
	return inv, ctx.Err()
}

// NewBootID is 16 random bytes in hex: an agent draws one at every start, so that oracles see restarts.
func NewBootID() string {
	id := make([]byte, 16)
	rand.Read(id) // never fails: it ends the program instead
	return hex.EncodeToString(id)
}

func existingParent(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the agent's folder: %w", err)
	}
	for {
		_, err := os.Stat(dir)
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, os.ErrNotExist) || filepath.Dir(dir) == dir {
			return "", fmt.Errorf("find the agent's folder: %w", err)
		}
		dir = filepath.Dir(dir)
	}
}
