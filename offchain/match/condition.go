package match

import (
	"math"

	"github.com/foggrid/fogd/offchain/match/constraint"
)

// condition is a compiled constraint. A job whose constraint does not compile takes no node: every oracle sees the same.
type condition struct {
	program *constraint.Program
	err     error
}

func (c condition) holds(f *constraint.Facts) bool { return c.program != nil && c.program.Holds(f) }

// where compiles a source once.
func (s *state) where(source string) condition {
	c, known := s.conditions[source]
	if !known {
		c.program, c.err = constraint.Compile(source)
		s.conditions[source] = c
	}
	return c
}

// facts are what a condition can ask of a node.
func (s *state) facts(n *nodeState, p *Pending, price uint64) *constraint.Facts {
	rtt := RTT(n.RTT, n.Place, p.Wishes.Place)
	f := &constraint.Facts{
		Region: n.Region, Datacenter: n.Datacenter, Arch: n.Arch, OS: n.OS, CPUModel: n.CPUModel, GPUModel: n.GPUModel,
		StorageType: n.StorageType, Grade: gradeText(n.Grade),
		CPU: bounded(n.Free.CPUMilli), Memory: bounded(n.Free.MemoryMiB), Storage: bounded(n.Free.StorageMiB), GPUs: bounded(n.Free.GPUs),
		CPUSingle: bounded(n.CPUSingle), CPUAll: bounded(n.CPUAll), MemoryBandwidth: bounded(n.MemoryBandwidth), DiskRead: int64(n.DiskRead),
		Bandwidth: int64(n.Bandwidth),
		Class:     int64(n.Class), Tasks: int64(n.Running), Price: bounded(price), Reliability: n.reliability,
		Distance: int64(rtt-n.RTT) / usPerKm, RTT: int64(rtt),
	}
	f.Attribute = func(key string) (string, bool) {
		for _, a := range n.Attributes {
			if a.Key == key {
				return a.Value, true
			}
		}
		return "", false
	}
	return f
}

func bounded(v uint64) int64 { return int64(min(v, math.MaxInt64)) }

// gradeText is a grade as conditions compare it; empty if the network was not measured.
func gradeText(grade byte) string {
	if grade == 0 {
		return ""
	}
	return string(rune(grade))
}
