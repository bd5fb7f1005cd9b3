package challenge

import (
	"fmt"
	"time"
)

// Kind says what a challenge measures.
type Kind int

// The kinds of challenges.
const (
	CPUSingle Kind = iota + 1
	CPUAll
	Memory
	Disk
	Network
)

// String is the kind as people read it.
func (k Kind) String() string {
	switch k {
	case CPUSingle:
		return "cpu one core"
	case CPUAll:
		return "cpu all cores"
	case Memory:
		return "memory"
	case Disk:
		return "disk"
	case Network:
		return "network"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Declared is what a node claims; the units are those of Measurement.
type Declared struct {
	Cores              int
	CPUSingle          uint64
	CPUAll             uint64
	MemoryMiB          uint64
	MemoryBandwidthMiB uint64
	DiskReadMiB        uint64
	StorageMiB         uint64
	// FillMiB of the memory are to be shown; if it is zero, MemoryPortion.
	FillMiB uint64
	// FillSeed is what the memory is filled from, so that all oracles of a round can walk it; nobody may know it before the round is open.
	FillSeed []byte
}

// Measurement is what an oracle found. Zero means not measured.
type Measurement struct {
	// CPUSingle is squarings modulo a 2048-bit number per second on one core.
	CPUSingle uint64
	// CPUAll is the same summed over one copy per declared core.
	CPUAll uint64
	// MemoryMiB is the declared memory times the part of the filled portion that was shown to be resident.
	MemoryMiB uint64
	// MemoryBandwidthMiB is MiB/s read by the dependent walk over blocks of 4 KiB.
	MemoryBandwidthMiB uint64
	// DiskReadMiB is MiB/s of dependent random reads of 64 KiB in four lanes.
	DiskReadMiB uint64
	// StorageMiB is the declared storage, once a file in it was written and read.
	StorageMiB uint64
	// RTTMicros is the shortest round trip of the pings before the challenges, in microseconds.
	RTTMicros uint64
	// BandwidthKbit is kbit/s between oracle and agent, of the slower direction.
	BandwidthKbit uint64
}

// Merge takes from other whatever is larger.
func (m Measurement) Merge(other Measurement) Measurement {
	return Measurement{
		CPUSingle:          max(m.CPUSingle, other.CPUSingle),
		CPUAll:             max(m.CPUAll, other.CPUAll),
		MemoryMiB:          max(m.MemoryMiB, other.MemoryMiB),
		MemoryBandwidthMiB: max(m.MemoryBandwidthMiB, other.MemoryBandwidthMiB),
		DiskReadMiB:        max(m.DiskReadMiB, other.DiskReadMiB),
		StorageMiB:         max(m.StorageMiB, other.StorageMiB),
		RTTMicros:          max(m.RTTMicros, other.RTTMicros),
		BandwidthKbit:      max(m.BandwidthKbit, other.BandwidthKbit),
	}
}

// Spec is one challenge. The zero values of the fields below Declared mean the defaults.
type Spec struct {
	Kind     Kind
	Declared Declared
	// RTT of the agent, so that the timed work can be made long against it.
	RTT time.Duration
	// Tries is the most timed tries, of which the best counts; by default 3 of the CPU, and 6 of memory and disk, which are short.
	// A try that reaches 95 % of the declaration is the last.
	Tries int
	// Window is how long a CPU try takes at the declared speed; by default 0.5 s, or 20 round trips up to 2 s.
	Window time.Duration
	// PortionMiB is the memory to fill or the file to write; by default MemoryPortion or DiskPortion.
	PortionMiB uint64
	// MaxStep is the time for one step of the memory walk up to which nothing is held to be missing; 3 µs by
	// default, some six times what a quiet machine needs, because machines are shared.
	MaxStep time.Duration
	// Seed of the memory, the same for all oracles of a round; a fresh one if it is nil.
	Seed []byte
	// Together, for all cores only, has the tries made at given instants, at which the owner's other nodes are challenged too.
	Together *Together
}

const (
	defaultTries   = 3
	shortTries     = 6
	defaultWindow  = 500 * time.Millisecond
	longestWindow  = 2 * time.Second
	roundTrips     = 20
	defaultMaxStep = 3 * time.Microsecond

	// blockFloor is less time than any processor we know takes for the 256 sequential SHA-256 of a block (30 ns each).
	blockFloor = 7500 * time.Nanosecond
	// typicalStep sizes the walk.
	typicalStep = 500 * time.Nanosecond

	minWalk = 1 << 14
	maxWalk = 1 << 20
	// checkedSteps costs the oracle some 25 ms.
	checkedSteps    = 2048
	leastPicks      = 8
	stepsPerSegment = 64

	diskLanes   = 4
	laneReads   = 64
	pickedReads = 64
)

// fillSpeed is MiB/s that a core fills at least: 40 µs a block, which takes a processor without instructions for SHA-256.
const fillSpeed = 100

// MemoryFill is how much memory a challenge fills: seven eighths of the declared, less what work has reserved, as far as the cores fill that in
// the time, so that a machine with half of what it declares does not hold it; at least MemoryPortion.
func MemoryFill(d Declared, reservedMiB uint64, most time.Duration) uint64 {
	part := d.MemoryMiB - d.MemoryMiB/8
	part -= min(part, reservedMiB)
	inTime := uint64(max(d.Cores, 1)) * fillSpeed * uint64(max(most, 0)/time.Second)
	return max(min(part, inTime), MemoryPortion(d.MemoryMiB))
}

// MemoryPortion is the least memory that a challenge fills: a quarter of the declared, at most 256 MiB.
func MemoryPortion(declaredMiB uint64) uint64 {
	return min(max(declaredMiB/4, 1), 256)
}

// DiskPortion is how large a file a challenge writes: an eighth of the declared storage, at most 128 MiB.
func DiskPortion(declaredMiB uint64) uint64 {
	return min(max(declaredMiB/8, 1), 128)
}

// Plan is the challenges that verify a declaration.
func Plan(d Declared, rtt time.Duration) []Spec {
	return []Spec{
		{Kind: CPUSingle, Declared: d, RTT: rtt},
		{Kind: CPUAll, Declared: d, RTT: rtt},
		{Kind: Memory, Declared: d, RTT: rtt, PortionMiB: d.FillMiB, Seed: d.FillSeed},
		{Kind: Disk, Declared: d, RTT: rtt},
		{Kind: Network, Declared: d, RTT: rtt},
	}
}

// withDefaults fills the zero values and refuses what cannot be measured.
func (s Spec) withDefaults() (Spec, error) {
	if s.Tries == 0 {
		s.Tries = defaultTries
		if s.Kind == Memory || s.Kind == Disk {
			s.Tries = shortTries
		}
	}
	if s.Window == 0 {
		s.Window = min(max(defaultWindow, roundTrips*s.RTT), longestWindow)
	}
	if s.MaxStep == 0 {
		s.MaxStep = defaultMaxStep
	}
	if s.PortionMiB == 0 && s.Kind == Memory {
		s.PortionMiB = MemoryPortion(s.Declared.MemoryMiB)
	}
	if s.PortionMiB == 0 && s.Kind == Disk {
		s.PortionMiB = DiskPortion(s.Declared.StorageMiB)
	}
	var missing string
	switch {
	case s.Kind == CPUSingle && s.Declared.CPUSingle == 0, s.Kind == CPUAll && s.Declared.CPUAll == 0:
		missing = "speed"
	case s.Kind == CPUAll && (s.Declared.Cores < 1 || s.Declared.Cores > maxCores):
		return s, fmt.Errorf("a node declares %d cores; 1 to %d can be challenged", s.Declared.Cores, maxCores)
	case s.Kind == Memory && s.Declared.MemoryMiB == 0:
		missing = "memory"
	case s.Kind == Disk && s.Declared.StorageMiB == 0:
		missing = "storage"
	case s.Together != nil && (s.Kind != CPUAll || len(s.Together.Tries) == 0 || s.Together.Window <= 0):
		return s, fmt.Errorf("challenge %s: only all cores can be challenged together, at given instants and for some time", s.Kind)
	case s.Kind < CPUSingle || s.Kind > Network:
		return s, fmt.Errorf("unknown challenge %s", s.Kind)
	}
	if missing != "" {
		return s, fmt.Errorf("challenge %s: the node declares no %s", s.Kind, missing)
	}
	return s, nil
}
