package constraint

// Facts are what an expression can ask of a node.
type Facts struct {
	Region, Datacenter, Arch, OS, CPUModel, GPUModel, StorageType, Grade string
	// CPU is free thousandths of a vCPU; Memory and Storage are free MiB; GPUs are free.
	CPU, Memory, Storage, GPUs int64
	// CPUSingle, CPUAll, MemoryBandwidth and DiskRead are the measured speeds.
	CPUSingle, CPUAll, MemoryBandwidth, DiskRead int64
	// Bandwidth of the network in Mbit/s, rounded down; zero if it was not measured.
	Bandwidth int64
	Class     int64
	// Tasks that run on the node.
	Tasks int64
	// Price in ufog per task-hour of the job.
	Price int64
	// Reliability is the expected share of successes in thousandths.
	Reliability int64
	// Distance in km and RTT in microseconds to the job's place.
	Distance, RTT int64
	// Attribute returns the value of a label.
	Attribute func(key string) (value string, found bool)
}

type kind uint8

const (
	kindBool kind = iota
	kindInt
	kindString
	kindAttribute
)

func (k kind) String() string {
	return [...]string{"a truth value", "an integer", "a string", "an attribute"}[k]
}

// variable is a name of the language.
type variable struct {
	kind kind
	text func(*Facts) string
	num  func(*Facts) int64
}

func textVar(f func(*Facts) string) variable { return variable{kind: kindString, text: f} }
func numVar(f func(*Facts) int64) variable   { return variable{kind: kindInt, num: f} }

var variables = map[string]variable{
	"region":           textVar(func(f *Facts) string { return f.Region }),
	"datacenter":       textVar(func(f *Facts) string { return f.Datacenter }),
	"arch":             textVar(func(f *Facts) string { return f.Arch }),
	"os":               textVar(func(f *Facts) string { return f.OS }),
	"cpu_model":        textVar(func(f *Facts) string { return f.CPUModel }),
	"gpu_model":        textVar(func(f *Facts) string { return f.GPUModel }),
	"storage_type":     textVar(func(f *Facts) string { return f.StorageType }),
	"grade":            textVar(func(f *Facts) string { return f.Grade }),
	"cpu_milli":        numVar(func(f *Facts) int64 { return f.CPU }),
	"memory_mib":       numVar(func(f *Facts) int64 { return f.Memory }),
	"storage_mib":      numVar(func(f *Facts) int64 { return f.Storage }),
	"gpus":             numVar(func(f *Facts) int64 { return f.GPUs }),
	"cpu_single":       numVar(func(f *Facts) int64 { return f.CPUSingle }),
	"cpu_all":          numVar(func(f *Facts) int64 { return f.CPUAll }),
	"memory_bandwidth": numVar(func(f *Facts) int64 { return f.MemoryBandwidth }),
	"disk_read":        numVar(func(f *Facts) int64 { return f.DiskRead }),
	"bandwidth":        numVar(func(f *Facts) int64 { return f.Bandwidth }),
	"class":            numVar(func(f *Facts) int64 { return f.Class }),
	"tasks":            numVar(func(f *Facts) int64 { return f.Tasks }),
	"price":            numVar(func(f *Facts) int64 { return f.Price }),
	"reliability":      numVar(func(f *Facts) int64 { return f.Reliability }),
	"distance":         numVar(func(f *Facts) int64 { return f.Distance }),
	"rtt":              numVar(func(f *Facts) int64 { return f.RTT }),
}
