package agent

import (
	"crypto/ed25519"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/agent/bench"
	"github.com/foggrid/fogd/offchain/agent/inventory"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func testInventory() inventory.Inventory {
	return inventory.Inventory{
		CPUModel: "Model\t X", Cores: 8, UsableCores: 4, CPUMaxMHz: 3000, MemoryMiB: 16384, StorageFreeMiB: 1000,
		StorageType: inventory.StorageNVMe, GPUs: []inventory.GPU{{Model: "G1"}, {Model: "G2"}}, OS: "linux", Arch: "amd64",
	}
}

var testMeasured = bench.Result{CPUSingle: 1000, CPUAll: 3999, Cores: 4, MemoryBandwidthMiB: 500, DiskReadMiB: 99}

func testRegistration() Registration {
	return Registration{
		Owner: make([]byte, 20), Salt: "pc", AgentKey: agentKey, BootID: "00112233AABBCCDD", Region: "São Paulo 1",
		Attributes: map[string]string{"zone": "a", "backup-power": "yes"}, Prices: nodestypes.Prices{Cpu: 7}, Deposit: 9,
	}
}

func TestRegistration(t *testing.T) {
	msg, err := testRegistration().Message("fog1owner", testInventory(), testMeasured)
	require.NoError(t, err)
	require.Equal(t, &nodestypes.MsgRegisterNode{
		Owner: "fog1owner", Salt: "pc", AgentKey: agentKey.Public().(ed25519.PublicKey), Boot: "00112233aabbccdd",
		Region: "s-o-paulo-1", Datacenter: "local",
		Capacity: nodestypes.Resources{CpuMilli: 4000, MemoryMib: 16384 - 2048, StorageMib: 900},
		Hardware: nodestypes.Hardware{
			CpuModel: "Model X", Cores: 4, CpuMhzMax: 3000, StorageType: nodestypes.STORAGE_TYPE_NVME, GpuModel: "G1", Os: "linux", Arch: "amd64",
		},
		Declared: nodestypes.Benchmark{
			CpuSingle: 800, CpuAll: 3200, MemoryMib: 16384 - 2048, MemoryBandwidth: 250, DiskRead: 49, StorageMib: 900,
		},
		Attributes: []nodestypes.Attribute{{Key: "backup-power", Value: "yes"}, {Key: "zone", Value: "a"}},
		Prices:     nodestypes.Prices{Cpu: 7}, Deposit: 9,
		AgentSignature: ed25519.Sign(agentKey, nodestypes.RegistrationBytes(make([]byte, 20), "pc")),
	}, msg)
}

func TestRegistrationOptions(t *testing.T) {
	r := testRegistration()
	r.HeadroomPercent = 90
	r.Capacity = nodestypes.Resources{CpuMilli: 1500, MemoryMib: 64, StorageMib: 32}
	r.Datacenter = strings.Repeat("D", 99)
	inv := testInventory()
	inv.CPUModel = strings.Repeat("aß", 200)
	msg, err := r.Message("fog1owner", inv, testMeasured)
	require.NoError(t, err)
	require.Equal(t, r.Capacity, msg.Capacity)
	require.Equal(t, strings.Repeat("d", 32), msg.Datacenter)
	require.Len(t, msg.Hardware.CpuModel, nodestypes.MaxModelLength)
	require.EqualValues(t, 900, msg.Declared.CpuSingle)
	require.EqualValues(t, 49, msg.Declared.DiskRead)
	require.EqualValues(t, 64, msg.Declared.MemoryMib)
	r.HeadroomPercent = 10
	msg, err = r.Message("fog1owner", inv, testMeasured)
	require.NoError(t, err)
	require.EqualValues(t, 399, msg.Declared.CpuAll)
	require.EqualValues(t, 50, msg.Declared.MemoryBandwidth)
}

func TestRegistrationRefusals(t *testing.T) {
	for want, spoil := range map[string]func(*Registration, *inventory.Inventory, *bench.Result){
		"100 %":               func(r *Registration, _ *inventory.Inventory, _ *bench.Result) { r.HeadroomPercent = 101 },
		"agent key":           func(r *Registration, _ *inventory.Inventory, _ *bench.Result) { r.AgentKey = nil },
		"salt":                func(r *Registration, _ *inventory.Inventory, _ *bench.Result) { r.Salt = "" },
		"boot":                func(r *Registration, _ *inventory.Inventory, _ *bench.Result) { r.BootID = "no hex" },
		"capacity.cpu_milli":  func(r *Registration, _ *inventory.Inventory, _ *bench.Result) { r.Capacity.CpuMilli = 4001 },
		"capacity.memory_mib": func(_ *Registration, i *inventory.Inventory, _ *bench.Result) { i.MemoryMiB = 512 },
		"declared.cpu_single": func(_ *Registration, _ *inventory.Inventory, b *bench.Result) { b.CPUSingle = 0 },
		"declared.cpu_all":    func(_ *Registration, _ *inventory.Inventory, b *bench.Result) { b.CPUAll = math.MaxUint32 << 25 },
		"attributes[0].key":   func(r *Registration, _ *inventory.Inventory, _ *bench.Result) { r.Attributes["UPPER"] = "" },
		"prices.cpu":          func(r *Registration, _ *inventory.Inventory, _ *bench.Result) { r.Prices.Cpu = math.MaxUint64 },
	} {
		t.Run(want, func(t *testing.T) {
			r, inv, measured := testRegistration(), testInventory(), testMeasured
			spoil(&r, &inv, &measured)
			_, err := r.Message("fog1owner", inv, measured)
			require.ErrorContains(t, err, want)
		})
	}
}
