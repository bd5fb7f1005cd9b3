package classify

import "github.com/foggrid/fogd/offchain/classify/quant"

// Node is what the chain knows of a machine, as far as classes go by it. Of measurements 0 is "not measured".
type Node struct {
	MemoryMiB, StorageMiB     uint64
	Bandwidth                 uint64 // kbit/s
	Price                     uint64 // ufog an hour for all of it
	CPUSingle, CPUAll, Memory uint64 // speeds of the benchmark: one core, all cores, memory bandwidth
	RTT, Jitter               uint64 // µs
	Loss                      uint64 // parts per million; means something if RTT does
	Successes, Tasks          uint64
	StorageType, Arch         string
}

// priorSuccesses of priorTasks is what is thought of a node before its first task: the Beta prior of its reliability.
const (
	priorSuccesses = 9
	priorTasks     = 10
	million        = 1_000_000
)

// NodeFeatures are the numeric columns of Nodes.
func NodeFeatures() []Feature {
	const tenth = 0.1 // of a natural logarithm: 10 %
	return []Feature{
		{Name: "memory", Log: true, Floor: tenth},
		{Name: "storage", Log: true, Floor: tenth},
		{Name: "bandwidth", Log: true, Floor: tenth},
		{Name: "price", Log: true, Floor: tenth},
		{Name: "cpu_single", Floor: 50},
		{Name: "cpu_all", Log: true, Floor: tenth},
		{Name: "memory_bandwidth", Log: true, Floor: tenth},
		{Name: "rtt", Log: true, Unit: 1000, Floor: tenth},
		{Name: "jitter", Log: true, Unit: 1000, Floor: tenth},
		{Name: "loss", Unit: million, Floor: 0.02},
		{Name: "reliability", Unit: million, Floor: 0.05},
	}
}

// The levels of the categories of Nodes; other values count as missing.
var (
	storageTypes  = []string{"hdd", "ssd", "nvme"}
	architectures = []string{"amd64", "arm64", "riscv64", "386", "arm"}
)

// Nodes is the table of the machines.
func Nodes(nodes []Node) *Integers {
	dim := len(NodeFeatures())
	t := &Integers{Rows: len(nodes), Dim: dim, Values: make([]int64, 0, len(nodes)*dim)}
	storage, arch := Category{Name: "storage_type", Levels: storageTypes}, Category{Name: "arch", Levels: architectures}
	for _, n := range nodes {
		t.Values = append(t.Values, known(n.MemoryMiB), known(n.StorageMiB), known(n.Bandwidth), known(n.Price), known(n.CPUSingle),
			known(n.CPUAll), known(n.Memory), known(n.RTT), known(n.Jitter))
		loss, reliability := int64(quant.Missing), int64(quant.Missing)
		if n.RTT > 0 {
			loss = int64(min(n.Loss, million))
		}
		if n.Tasks > 0 {
			reliability = Reliability(n.Successes, n.Tasks)
		}
		t.Values = append(t.Values, loss, reliability)
		storage.Values = append(storage.Values, level(storageTypes, n.StorageType))
		arch.Values = append(arch.Values, level(architectures, n.Arch))
	}
	t.Categories = []Category{storage, arch}
	return t
}

// Reliability is the posterior mean of the chance of success in parts per million: few tasks say little against the prior.
func Reliability(successes, tasks uint64) int64 {
	const most = 1 << 40
	tasks = min(tasks, most)
	successes = min(successes, tasks)
	return int64((successes + priorSuccesses) * million / (tasks + priorTasks))
}

func known(v uint64) int64 {
	if v == 0 {
		return quant.Missing
	}
	return int64(min(v, 1<<62))
}

func level(levels []string, value string) int32 {
	for i, l := range levels {
		if l == value {
			return int32(i)
		}
	}
	return -1
}
