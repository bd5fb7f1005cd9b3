package match

import (
	"encoding/hex"
	"fmt"
)

// ID is the 20-byte id of a node, a job or an owner's provider account.
type ID [20]byte

// String is the id in hex.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText is the id in hex, for vectors and traces.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads 40 hex digits.
func (id *ID) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(id) {
		return fmt.Errorf("match: %q is no id; give 40 hex digits", text)
	}
	copy(id[:], raw)
	return nil
}

// Seed decides between equals: the hash of the block after the snapshot.
type Seed [32]byte

// Resources is an amount of machine.
type Resources struct {
	// CPUMilli is thousandths of a vCPU.
	CPUMilli   uint64
	MemoryMiB  uint64
	StorageMiB uint64
	GPUs       uint64
}

// Prices are in ufog per hour of one vCPU, one GiB of memory, one GiB of storage and one GPU.
type Prices struct{ CPU, Memory, Storage, GPU uint64 }

// Runtime is what runs a task: an engine of x/nodes, by its number there. Zero is RuntimeWASM.
type Runtime uint8

// The runtimes.
const (
	RuntimeWASM   Runtime = 1
	RuntimeDocker Runtime = 2
)

// Runtimes is a set of runtimes; the empty set stands for RuntimeWASM alone.
type Runtimes uint32

// With is the set with one more runtime.
func (s Runtimes) With(r Runtime) Runtimes { return s | 1<<r }

// has reports whether the set holds a runtime.
func (s Runtimes) has(r Runtime) bool {
	if r == 0 {
		r = RuntimeWASM
	}
	if s == 0 {
		s = s.With(RuntimeWASM)
	}
	return s>>r&1 == 1
}

// Attribute is a label of a node.
type Attribute struct{ Key, Value string }

// DiskVolumes is the attribute of nodes that have the volumes of services on disk.
var DiskVolumes = Attribute{Key: "volumes", Value: "disk"}

// Node is a machine that takes work; the caller leaves out those that are not active or wait for a benchmark. What changes
// often stands together at the end, so that a change touches few cache lines.
type Node struct {
	ID ID
	// Index is the dense index by which a batch names the node.
	Index uint32
	// Owner is the id of the owner's provider account, which pays the collateral of all nodes of the owner.
	Owner ID
	// Runtimes that the node has.
	Runtimes   Runtimes
	Region     string
	Datacenter string
	Arch       string
	OS         string
	Attributes []Attribute

	// CPUAll is the measured speed of all cores together, MemoryBandwidth and DiskRead are MiB per second, Bandwidth of the network is Mbit per
	// second, zero if less or not measured. These, the models and the grade are read by conditions only.
	CPUAll, MemoryBandwidth         uint64
	DiskRead, Bandwidth             uint32
	CPUModel, GPUModel, StorageType string
	// Class is the one that the recorded model gives the node; zero if there is none.
	Class uint32
	// Place is where the node stands; RTT its round trip to the nearest exchange in microseconds.
	Place Place
	RTT   uint32

	// Grade of the network: the letter A, B or C; zero if it was not measured.
	Grade byte
	// Probation nodes take one task at a time.
	Probation bool
	// Running is the number of tasks on the node.
	Running uint32
	// CPUSingle is the measured speed of one core; zero counts as one.
	CPUSingle uint64
	// Free is the capacity that nothing has reserved.
	Free   Resources
	Prices Prices
	// Stats are the rated outcomes; lowest-cost does without.
	Stats Stats
}

// Constraints are hard; empty lists allow all.
type Constraints struct {
	Regions     []string
	Datacenters []string
	Arch        []string
	OS          []string
	// Attributes that the node must have.
	Attributes []Attribute
	// MinCPUSingle is the least measured speed of one core.
	MinCPUSingle uint64
	// Nodes, if not empty, are the only ones allowed.
	Nodes []ID
	// ExcludeNodes are never allowed.
	ExcludeNodes []ID
}

// Pending is a slice of equal tasks that waits for nodes.
type Pending struct {
	Job   ID
	Slice uint32
	// Owner is the id of the provider account that the job's owner has or would have.
	Owner ID
	// First is the number of the first task within the job, Count how many there are.
	First, Count uint32
	// Height at which the slice was queued.
	Height int64
	// Runtime of the tasks.
	Runtime Runtime
	// Task is what one task takes.
	Task        Resources
	Constraints Constraints
	// PriceCap in ufog per task-hour.
	PriceCap uint64
	// MaxDuration of a task in seconds.
	MaxDuration uint64
	// TaskBudget in ufog is what is locked for one task, with its fee.
	TaskBudget uint64
	// Service: the task runs until it is ended; the collateral is of Params.ServiceCollateral seconds.
	Service bool
	// KeepsVolumes: only nodes with DiskVolumes will do.
	KeepsVolumes bool
	// Ports that a task takes of the node: static ones by number, zero for any.
	Ports []uint32
	// MinGrade of the node's network, a letter; zero asks for none.
	MinGrade byte
	// Stay is for how many seconds a node must not be announced to be offline.
	Stay uint64
	// ExcludedNodes had an earlier attempt; nodes of ExcludedOwners must not rerun the tasks.
	ExcludedNodes  []ID
	ExcludedOwners []ID
	// Where is a further constraint in the language of package constraint; empty allows all.
	Where string
	// Wishes are what the job asks beyond its hard constraints.
	Wishes Wishes
}

// Wishes weigh nodes against each other and say how the tasks of a job lie. The zero value asks for nothing.
type Wishes struct {
	// Work of a task: its run time in seconds times the CPUSingle of the core that it takes that on. Zero is half of
	// MaxDuration on the median node.
	Work uint64
	// FailureCost Φ is what a lost attempt costs the developer in ufog. Zero is the task's budget.
	FailureCost uint64
	// LatencyPrice λ is ufog for a second of round trip to Place.
	LatencyPrice uint64
	Place        Place
	// Prefer are conditions that a node had better meet.
	Prefer []Preference
	// Affinity is to nodes that run tasks of other jobs.
	Affinity []Affinity
	// Spread puts as equal numbers of tasks as possible into each part of the grid.
	Spread Scope
	// Pack in ufog is what a node that runs nothing must be better by.
	Pack uint64
	// PerNode and PerOwner are the most tasks of the job on a node and on all nodes of an owner; zero is no limit.
	PerNode, PerOwner uint32
	// Gang takes all tasks of the slice or none.
	Gang bool
}

// Preference is a soft condition: a node that does not meet it must be better by Weight ufog.
type Preference struct {
	Where  string
	Weight uint64
}

// Affinity is to the nodes that run tasks of a job, or away from them.
type Affinity struct {
	Job   ID
	Apart bool
	// Weight in ufog is what a node on the wrong side must be better by; zero is a hard constraint.
	Weight uint64
}

// Scope is the part of the grid that a spread counts in.
type Scope uint8

// The scopes.
const (
	ScopeNone Scope = iota
	ScopeNode
	ScopeOwner
	ScopeDatacenter
	ScopeRegion
)

// Funds is the free balance of a provider account, from which collateral is locked. An owner without an entry has none.
type Funds struct {
	Owner     ID
	Available uint64
}

// Params are those of x/jobs that bear on a batch.
type Params struct {
	// MaxItems of a batch.
	MaxItems uint32
	// MaxSliceTasks of an item.
	MaxSliceTasks uint32
	// Fee and Collateral are basis points of agreed price × max_duration.
	Fee, Collateral uint32
	// ServiceCollateral is the seconds in the place of max_duration for the collateral of services.
	ServiceCollateral uint64
}

// Snapshot is the chain's state at one height.
type Snapshot struct {
	Nodes   []Node
	Pending []Pending
	Funds   []Funds
	Params  Params
	// Time of the block in Unix seconds, by which the nodes' counts age.
	Time int64
	// Residents are the tasks that run, for affinities, spreads and limits.
	Residents []Resident
	// Ports of the nodes that have any. They are not in Node, whose size the engine depends on and which has no use for them.
	Ports []NodePorts
	// Leaving are the nodes that are announced to be offline at some time; they are not in Node for the same reason.
	Leaving []Leaving
}

// Leaving says that a node is announced to be offline.
type Leaving struct {
	Node ID
	// In is the seconds from the snapshot's time until then.
	In uint64
	// NoServices: it is so for too much of each week to take services.
	NoServices bool
}

// Resident says that tasks of a job run on a node.
type Resident struct {
	Job, Node ID
	Tasks     uint32
}

// Item gives the first Count tasks that are left of a pending slice to a node. Several items of one slice follow each
// other, each from the front of what the one before left.
type Item struct {
	Job       ID
	Slice     uint32
	First     uint32
	Count     uint32
	Node      ID
	NodeIndex uint32
	// Price in ufog per task-hour.
	Price uint64
	// Runners are the indexes of the next best nodes, the best first, for the record.
	Runners []uint32
}

// Unmatched says why tasks of a pending slice found no node.
type Unmatched struct {
	Job   ID
	Slice uint32
	// Tasks that are left.
	Tasks uint32
	// Full is true if the batch was full before the nodes were all tried; Reasons is then empty.
	Full bool
	// Reasons by Reason, each with at least one node.
	Reasons []ReasonCount
}

// ReasonCount is the number of nodes that a slice lost to a reason.
type ReasonCount struct {
	Reason Reason
	Nodes  uint32
}

// Batch is what a policy decided.
type Batch struct {
	Items     []Item
	Unmatched []Unmatched
}

// Policy decides which node runs what. Match must depend on nothing but its arguments, and not on the order within the
// snapshot's lists; it must not keep or change them. The error is for a snapshot that contradicts itself.
type Policy interface {
	Match(Snapshot, Seed) (Batch, error)
}
