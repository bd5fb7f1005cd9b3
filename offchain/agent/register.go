package agent

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/agent/bench"
	"github.com/foggrid/fogd/offchain/agent/inventory"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	// What is offered by default leaves the machine itself this much: 1/8 of its memory but at least 512 MiB, a tenth of the free disk.
	memoryShare, memoryLeast = 8, 512
	storageShare             = 10
)

// Registration is what a machine's owner decides about it.
type Registration struct {
	// Owner is the address (20 or 32 bytes) of the provider's account, which signs the message.
	Owner sdk.AccAddress
	// Salt makes the node's id and is unique for this owner.
	Salt     string
	AgentKey ed25519.PrivateKey
	// BootID is the agent's, in hex.
	BootID string
	// Region and Datacenter are brought into the form that the chain takes; "local" if empty.
	Region, Datacenter string
	// Capacity is what is offered; zero fields mean all cores, and memory and storage with a part left for the machine.
	Capacity   nodestypes.Resources
	Attributes map[string]string
	Prices     nodestypes.Prices
	// Engines that the machine runs, in order; none is WebAssembly only.
	Engines []nodestypes.Engine
	// Deposit in ufog.
	Deposit uint64
	// HeadroomPercent of what was measured is declared, so that a busy minute does not fail a benchmark; 80. Of the speeds of memory and
	// disk, which vary more, it is at most half, as bench.Result.Promise advises.
	HeadroomPercent uint64
}

// Message builds the message that registers a machine with this inventory and these results of its benchmark.
func (r Registration) Message(owner string, inv inventory.Inventory, measured bench.Result) (*nodestypes.MsgRegisterNode, error) {
	if r.HeadroomPercent > 100 {
		return nil, fmt.Errorf("%d %% of what was measured cannot be declared; declare at most 100 %%", r.HeadroomPercent)
	}
	if len(r.AgentKey) != ed25519.PrivateKeySize {
		return nil, errors.New("no agent key; make it with `fog agent init`")
	}
	cores := cmp.Or(measured.Cores, inv.UsableCores, inv.Cores) // cpu_all is of that many copies
	capacity := r.offer(inv, uint64(cores))
	declared := declare(measured, r.HeadroomPercent)
	msg := &nodestypes.MsgRegisterNode{
		Owner: owner, Salt: r.Salt, AgentKey: r.AgentKey.Public().(ed25519.PublicKey), Boot: strings.ToLower(r.BootID),
		Region: place(r.Region), Datacenter: place(r.Datacenter),
		Capacity: capacity,
		Hardware: nodestypes.Hardware{
			CpuModel: printable(inv.CPUModel), Cores: uint32(cores), CpuMhzMax: uint32(max(0, inv.CPUMaxMHz)),
			StorageType: storageTypes[inv.StorageType], GpuModel: gpuModel(inv.GPUs), Os: place(inv.OS), Arch: place(inv.Arch),
		},
		Declared: nodestypes.Benchmark{
			CpuSingle: declared.CPUSingle, CpuAll: declared.CPUAll,
			MemoryMib: capacity.MemoryMib, MemoryBandwidth: declared.MemoryBandwidthMiB,
			DiskRead: declared.DiskReadMiB, StorageMib: capacity.StorageMib,
		},
		Attributes: attributes(r.Attributes), Prices: r.Prices, Deposit: r.Deposit, Engines: r.Engines,
		AgentSignature: ed25519.Sign(r.AgentKey, nodestypes.RegistrationBytes(r.Owner, r.Salt)),
	}
	if err := msg.Validate(r.Owner); err != nil {
		return nil, fmt.Errorf("register the node: %w", err)
	}
	return msg, nil
}

// declare is the part of the results that the owner vouches for.
func declare(r bench.Result, percent uint64) bench.Result {
	promised := r.Promise()
	if percent == 0 {
		return promised
	}
	promised.CPUSingle, promised.CPUAll = r.CPUSingle*percent/100, r.CPUAll*percent/100
	promised.MemoryBandwidthMiB = min(promised.MemoryBandwidthMiB, r.MemoryBandwidthMiB*percent/100)
	promised.DiskReadMiB = min(promised.DiskReadMiB, r.DiskReadMiB*percent/100)
	return promised
}

// offer fills in what the owner left open.
func (r Registration) offer(inv inventory.Inventory, cores uint64) nodestypes.Resources {
	offer := r.Capacity
	if offer.CpuMilli == 0 {
		offer.CpuMilli = cores * 1000
	}
	if offer.MemoryMib == 0 {
		if left := max(inv.MemoryMiB/memoryShare, memoryLeast); inv.MemoryMiB > left {
			offer.MemoryMib = inv.MemoryMiB - left
		}
	}
	if offer.StorageMib == 0 {
		offer.StorageMib = inv.StorageFreeMiB - inv.StorageFreeMiB/storageShare
	}
	return offer
}

var storageTypes = map[inventory.StorageType]nodestypes.StorageType{
	inventory.StorageUnknown: nodestypes.STORAGE_TYPE_UNSPECIFIED,
	inventory.StorageHDD:     nodestypes.STORAGE_TYPE_HDD,
	inventory.StorageSSD:     nodestypes.STORAGE_TYPE_SSD,
	inventory.StorageNVMe:    nodestypes.STORAGE_TYPE_NVME,
}

func gpuModel(gpus []inventory.GPU) string {
	if len(gpus) == 0 {
		return ""
	}
	return printable(gpus[0].Model)
}

// attributes in order of their keys, as the chain wants them. Their form is left to validation: what an owner wrote is not changed
// in silence.
func attributes(from map[string]string) []nodestypes.Attribute {
	var all []nodestypes.Attribute
	for key, value := range from {
		all = append(all, nodestypes.Attribute{Key: key, Value: value})
	}
	slices.SortFunc(all, func(a, b nodestypes.Attribute) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// place turns a name into what the chain takes for places and systems: lower case, other characters as dashes; "local" for none.
func place(name string) string {
	s := strings.Map(func(c rune) rune {
		switch c = unicode.ToLower(c); {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			return c
		default:
			return '-'
		}
	}, strings.TrimSpace(name))
	s = s[:min(len(s), nodestypes.MaxPlaceLength)]
	if s == "" {
		return "local"
	}
	return s
}

// printable drops from a model's name what the chain refuses.
func printable(name string) string {
	s := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, strings.TrimSpace(name))
	return s[:min(len(s), nodestypes.MaxModelLength)]
}
