package challenge

import (
	"errors"
	"fmt"
)

const (
	// SeedSize is the length of seeds and starts in bytes.
	SeedSize = 32
	// MemoryBlockSize is the size of a block in memory in bytes.
	MemoryBlockSize = 4096
	// DiskBlockSize is the size of a block on disk, and of one read, in bytes.
	DiskBlockSize = 64 << 10

	modulusSize        = 256
	memoryBlocksPerMiB = 1 << 20 / MemoryBlockSize
	diskBlocksPerMiB   = 1 << 20 / DiskBlockSize

	// Bounds of the protocol; an agent narrows them by its Limits.
	maxCores     = 1024
	maxSquarings = 1 << 32
	maxSegments  = 4096
	maxSteps     = 1 << 16
	maxLanes     = 64
	maxReads     = 4096
)

// ErrBadTask is wrapped by every refusal of a task that breaks a bound of the protocol or of the agent.
var ErrBadTask = errors.New("challenge task refused")

// Task is one of the seven things that an oracle can ask for: CPUTask, MemoryFillTask, MemoryWalkTask, DiskPrepareTask, DiskReadTask,
// NetworkSendTask, NetworkReceiveTask.
type Task interface {
	validate(Limits) error
}

// CPUTask asks for Bases[i]^(2^Squarings) mod Modulus, all bases at once, one core each. Numbers are big-endian.
type CPUTask struct {
	Modulus   []byte
	Bases     [][]byte
	Squarings uint64
}

// MemoryFillTask asks to fill Blocks blocks of MemoryBlockSize from Seed.
type MemoryFillTask struct {
	Seed   []byte
	Blocks uint64
}

// MemoryWalkTask asks to walk the filled blocks, Segments times Steps steps, and for the checkpoint after each segment.
type MemoryWalkTask struct {
	Start    []byte
	Segments uint32
	Steps    uint32
}

// DiskPrepareTask asks to write Blocks blocks of DiskBlockSize from Seed to disk.
type DiskPrepareTask struct {
	Seed   []byte
	Blocks uint64
}

// DiskReadTask asks for Reads dependent reads in each of Lanes parallel lanes, and for the digests, lane after lane.
type DiskReadTask struct {
	Start []byte
	Lanes uint32
	Reads uint32
}

// NetworkSendTask asks for Bytes bytes of the stream of Seed, in values of NetworkPiece.
type NetworkSendTask struct {
	Seed  []byte
	Bytes uint64
}

// NetworkReceiveTask carries a Payload of Bytes bytes and asks for its SHA-256.
type NetworkReceiveTask struct {
	Bytes   uint64
	Payload []byte
}

// Limits are what an agent lends to challenges.
type Limits struct {
	// Cores is the most copies of the CPU task that run at once.
	Cores int
	// MemoryMiB is the most memory that a challenge may fill.
	MemoryMiB uint64
	// DiskMiB is the largest file that a challenge may write.
	DiskMiB uint64
	// Dir is where that file goes.
	Dir string
	// HoldMiB, for selftests of the challenges only, makes a machine that has no more memory than this: it makes what it does not hold anew
	// when it is asked for it. Zero holds all.
	HoldMiB uint64
	// Held keeps filled memory for the other oracles of a round; nil keeps it for one challenge.
	Held *Held `json:"-"`
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadTask}, args...)...)
}

func checkSeed(name string, b []byte) error {
	if len(b) != SeedSize {
		return refuse("%s has %d bytes; send %d", name, len(b), SeedSize)
	}
	return nil
}

func checkRange(name string, v, most uint64) error {
	if v < 1 || v > most {
		return refuse("%s is %d; send 1 to %d", name, v, most)
	}
	return nil
}

func (t CPUTask) validate(l Limits) error {
	switch {
	case len(t.Modulus) != modulusSize || t.Modulus[0]&0x80 == 0 || t.Modulus[modulusSize-1]&1 == 0:
		return refuse("modulus is not an odd number of %d bits", modulusSize*8)
	case len(t.Bases) < 1 || len(t.Bases) > min(l.Cores, maxCores):
		return refuse("%d bases; this agent takes 1 to %d", len(t.Bases), min(l.Cores, maxCores))
	}
	for _, b := range t.Bases {
		if len(b) == 0 || len(b) > modulusSize {
			return refuse("a base has %d bytes; send 1 to %d", len(b), modulusSize)
		}
	}
	return checkRange("squarings", t.Squarings, maxSquarings)
}

func (t MemoryFillTask) validate(l Limits) error {
	if err := checkSeed("seed", t.Seed); err != nil {
		return err
	}
	return checkRange("memory blocks", t.Blocks, l.MemoryMiB*memoryBlocksPerMiB)
}

func (t MemoryWalkTask) validate(Limits) error {
	return errors.Join(checkSeed("start", t.Start),
		checkRange("segments", uint64(t.Segments), maxSegments), checkRange("steps", uint64(t.Steps), maxSteps))
}

func (t DiskPrepareTask) validate(l Limits) error {
	if err := checkSeed("seed", t.Seed); err != nil {
		return err
	}
	return checkRange("disk blocks", t.Blocks, l.DiskMiB*diskBlocksPerMiB)
}

func (t DiskReadTask) validate(Limits) error {
	return errors.Join(checkSeed("start", t.Start),
		checkRange("lanes", uint64(t.Lanes), maxLanes), checkRange("reads", uint64(t.Lanes)*uint64(t.Reads), maxReads))
}

func (t NetworkSendTask) validate(Limits) error {
	return errors.Join(checkSeed("seed", t.Seed), checkRange("bytes to send", t.Bytes, MaxNetworkBytes))
}

func (t NetworkReceiveTask) validate(Limits) error {
	if uint64(len(t.Payload)) != t.Bytes {
		return refuse("%d bytes were received of %d", len(t.Payload), t.Bytes)
	}
	return checkRange("bytes to receive", t.Bytes, MaxNetworkBytes)
}
