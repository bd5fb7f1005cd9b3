package inventory

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCollectThisMachine(t *testing.T) {
	inv, err := Collect(t.Context(), filepath.Join(t.TempDir(), "not", "yet"))
	require.NoError(t, err)
	require.Positive(t, inv.Cores)
	require.Positive(t, inv.UsableCores)
	require.Positive(t, inv.MemoryMiB)
	require.LessOrEqual(t, inv.MemoryAvailableMiB, inv.MemoryMiB)
	require.Positive(t, inv.StorageMiB)
	require.LessOrEqual(t, inv.StorageFreeMiB, inv.StorageMiB)
	require.Equal(t, runtime.GOOS, inv.OS)
	require.Equal(t, runtime.GOARCH, inv.Arch)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Collect(ctx, t.TempDir())
	require.ErrorIs(t, err, context.Canceled)
}

func TestBootIDsDiffer(t *testing.T) {
	a, b := NewBootID(), NewBootID()
	require.Len(t, a, 32)
	require.NotEqual(t, a, b)
}

// layout writes files below a new root; a value that begins with "->" is a symbolic link.
func layout(t *testing.T, files map[string]string) string {
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if len(content) > 2 && content[:2] == "->" {
			require.NoError(t, os.Symlink(filepath.Join(root, content[2:]), path))
			continue
		}
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return root
}

func TestDiskType(t *testing.T) {
	sys := layout(t, map[string]string{
		"devices/nvme0/nvme0n1/queue/rotational":            "0\n",
		"devices/nvme0/nvme0n1/nvme0n1p1/start":             "2048\n",
		"devices/ata1/sda/queue/rotational":                 "1\n",
		"devices/ata1/sda/sda1/start":                       "2048\n",
		"devices/virtio0/vda/queue/rotational":              "0\n",
		"devices/odd/thing/size":                            "1\n",
		"dev/block/259:1":                                   "->devices/nvme0/nvme0n1/nvme0n1p1",
		"dev/block/8:1":                                     "->devices/ata1/sda/sda1",
		"dev/block/254:0":                                   "->devices/virtio0/vda",
		"dev/block/1:1":                                     "->devices/odd/thing",
		"devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq":  "3400000\n",
		"devices/system/cpu/cpu10/cpufreq/cpuinfo_max_freq": "4100000\n",
	})
	require.Equal(t, StorageNVMe, diskType(sys, "259:1"))
	require.Equal(t, StorageHDD, diskType(sys, "8:1"))
	require.Equal(t, StorageSSD, diskType(sys, "254:0"))
	require.Equal(t, StorageUnknown, diskType(sys, "1:1"))
	require.Equal(t, StorageUnknown, diskType(sys, "0:42"))
	require.Equal(t, 4100, maxMHz(sys))
	require.Zero(t, maxMHz(t.TempDir()))
}

func TestGPUs(t *testing.T) {
	sys := layout(t, map[string]string{
		"devices/0000:01:00.0/vendor":       "0x10de\n",
		"devices/0000:01:00.0/device":       "0x2684\n",
		"devices/0000:02:00.0/vendor":       "0x1002\n",
		"devices/0000:02:00.0/device":       "0x744c\n",
		"devices/0000:02:00.0/product_name": "Radeon RX 7900\n",
		"devices/0000:00:02.0/vendor":       "0x1234\n",
		"class/drm/card0/device":            "->devices/0000:00:02.0",
		"class/drm/card1/device":            "->devices/0000:01:00.0",
		"class/drm/card2/device":            "->devices/0000:02:00.0",
		"class/drm/card2-HDMI-A-1/device":   "->class/drm/card2",
	})
	proc := layout(t, map[string]string{
		"driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 77\nGPU UUID: \t GPU-0a1b-ff\nBus Type: \t PCIe\n",
		"driver/nvidia/gpus/0000:03:00.0/information": "Model: \t\t NVIDIA L4\nGPU UUID: \t GPU-????????-????\n",
	})
	require.Equal(t, []GPU{
		{Model: "NVIDIA GeForce RTX 4090", Address: "0000:01:00.0", ID: "GPU-0a1b-ff"},
		{Model: "AMD Radeon RX 7900", Address: "0000:02:00.0"},
		{Model: "NVIDIA L4", Address: "0000:03:00.0"},
	}, gpus(proc, sys))
	require.Empty(t, gpus(t.TempDir(), t.TempDir()))
}

func TestCgroupLimit(t *testing.T) {
	proc := layout(t, map[string]string{"self/cgroup": "0::/user.slice/agent.service\n"})
	for name, c := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"none":   {map[string]string{"fs/cgroup/user.slice/agent.service/memory.max": "max\n"}, 0},
		"own":    {map[string]string{"fs/cgroup/user.slice/agent.service/memory.max": "1048576\n"}, 1 << 20},
		"parent": {map[string]string{"fs/cgroup/user.slice/memory.max": "2097152\n", "fs/cgroup/user.slice/agent.service/memory.max": "4194304\n"}, 2 << 20},
		"root":   {map[string]string{"fs/cgroup/memory.max": "5\n"}, 5},
	} {
		require.Equal(t, c.want, cgroupLimit(proc, layout(t, c.files)), name)
	}
	require.Zero(t, cgroupLimit(t.TempDir(), t.TempDir()))
	v1 := layout(t, map[string]string{"self/cgroup": "3:memory:/x\n"})
	require.Zero(t, cgroupLimit(v1, t.TempDir()))
}
