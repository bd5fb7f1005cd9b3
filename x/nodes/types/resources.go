package types

import escrowtypes "github.com/foggrid/fogd/x/escrow/types"

// component is one kind of resource by name, for messages that say which.
type component struct {
	name  string
	value uint64
}

func (r Resources) components() [4]component {
	return [4]component{{"cpu_milli", r.CpuMilli}, {"memory_mib", r.MemoryMib}, {"storage_mib", r.StorageMib}, {"gpus", r.Gpus}}
}

// Add returns r + o, or ErrOverflow.
func (r Resources) Add(o Resources) (Resources, error) {
	var out Resources
	var err error
	if out.CpuMilli, err = escrowtypes.AddChecked(r.CpuMilli, o.CpuMilli); err != nil {
		return Resources{}, err
	}
	if out.MemoryMib, err = escrowtypes.AddChecked(r.MemoryMib, o.MemoryMib); err != nil {
		return Resources{}, err
	}
	if out.StorageMib, err = escrowtypes.AddChecked(r.StorageMib, o.StorageMib); err != nil {
		return Resources{}, err
	}
	out.Gpus, err = escrowtypes.AddChecked(r.Gpus, o.Gpus)
	return out, err
}

// Sub returns r − o, or ErrUnderflow.
func (r Resources) Sub(o Resources) (Resources, error) {
	var out Resources
	var err error
	if out.CpuMilli, err = escrowtypes.SubChecked(r.CpuMilli, o.CpuMilli); err != nil {
		return Resources{}, err
	}
	if out.MemoryMib, err = escrowtypes.SubChecked(r.MemoryMib, o.MemoryMib); err != nil {
		return Resources{}, err
	}
	if out.StorageMib, err = escrowtypes.SubChecked(r.StorageMib, o.StorageMib); err != nil {
		return Resources{}, err
	}
	out.Gpus, err = escrowtypes.SubChecked(r.Gpus, o.Gpus)
	return out, err
}

// FitsIn returns nil if every component of r is at most that of capacity, else an error that names the first that is not.
func (r Resources) FitsIn(capacity Resources) error {
	have := capacity.components()
	for i, c := range r.components() {
		if c.value > have[i].value {
			return ErrNoCapacity.Wrapf("%s: %d is asked for, %d is there", c.name, c.value, have[i].value)
		}
	}
	return nil
}

// Live says whether a node in this status holds its agent key and deposit.
func (s NodeStatus) Live() bool {
	return s != NODE_STATUS_UNSPECIFIED && s != NODE_STATUS_RETIRED && s != NODE_STATUS_REFUSED
}

// figure is one figure of a benchmark by name.
type figure struct {
	name  string
	value *uint64
}

// figures that are both declared and measured.
func (b *Benchmark) figures() []figure {
	return []figure{
		{"cpu_single", &b.CpuSingle}, {"cpu_all", &b.CpuAll}, {"memory_mib", &b.MemoryMib},
		{"memory_bandwidth", &b.MemoryBandwidth}, {"disk_read", &b.DiskRead}, {"storage_mib", &b.StorageMib},
	}
}

// speeds are the figures that work on a node takes a share of.
func (b *Benchmark) speeds() []figure {
	return []figure{
		{"cpu_single", &b.CpuSingle}, {"cpu_all", &b.CpuAll}, {"memory_bandwidth", &b.MemoryBandwidth}, {"disk_read", &b.DiskRead},
	}
}

// measuredOnly are the figures that owners do not declare: they depend on where the oracles are.
func (b *Benchmark) measuredOnly() []figure {
	return []figure{{"rtt_us", &b.RttUs}, {"bandwidth_kbit", &b.BandwidthKbit}}
}

// Raises says whether any figure of b is above that of before.
func (b Benchmark) Raises(before Benchmark) bool {
	old := before.figures()
	for i, f := range b.figures() {
		if *f.value > *old[i].value {
			return true
		}
	}
	return false
}
