package sim

// ReferenceSpeed is the speed of one core at which work takes the hours that a job says.
const ReferenceSpeed = 2364.0

// Fleet is what policies see of the nodes, by column: index i of each is node i. Policies must not change it.
type Fleet struct {
	// FreeCPU in thousandths of a vCPU is 0 while the node takes no work; FreeMemory is in MiB.
	FreeCPU, FreeMemory []int32
	// CPU and Memory are what the node offers.
	CPU, Memory []int32
	// PriceCPU and PriceMemory are in dollars for an hour of a vCPU and of a GiB.
	PriceCPU, PriceMemory []float64
	// Speed of one core as declared.
	Speed []float64
	// Owner and Place are dense numbers.
	Owner []int32
	Place []uint8
	// Server is the row of the catalogue that the node was drawn from.
	Server []int32
	// Generation counts the machines that had the index before.
	Generation []uint32

	// Catalogue are the servers; Owners is the number of owners.
	Catalogue []Server
	Owners    int
	// Loss is the objective's parameters.
	Loss LossModel
	// RTT in milliseconds by place of the job and of the node.
	RTT [][]float64
}

// Len is the number of nodes.
func (f *Fleet) Len() int { return len(f.CPU) }

// Hourly is the price in dollars of an hour of the job on node i.
func (f *Fleet) Hourly(j *Job, i int) float64 {
	return f.PriceCPU[i]*float64(j.CPU)/1000 + f.PriceMemory[i]*float64(j.Memory)/1024
}

// fits tells whether node i has room for the job.
func (f *Fleet) fits(j *Job, i int) bool { return f.FreeCPU[i] >= j.CPU && f.FreeMemory[i] >= j.Memory }

// Job asks for a node.
type Job struct {
	// ID counts the jobs of a run from 0; Attempt counts its tries from 0.
	ID, Attempt int
	// At is the simulated time in milliseconds.
	At int64
	// Origin is the place of the user.
	Origin int
	// CPU in thousandths of a vCPU, Memory in MiB.
	CPU, Memory int32
	// Work in hours at the reference speed.
	Work float64
	// Excluded nodes had an earlier attempt. The fleet shows them as full.
	Excluded []int32
}

// Outcome is how a run ended.
type Outcome struct {
	Job  *Job
	Node int
	At   int64
	// OK is a success, Lost a node that went away; neither is the work's failure on the node.
	OK, Lost bool
	// Speed is delivered over declared speed as this run showed it; 0 if it did not end well.
	Speed float64
}

// linear is an objective that is linear in price: hourly price × work × Time[i] + Fixed[i] + λ·RTT.
type linear struct{ time, fixed []float64 }

func newLinear(n int) linear { return linear{make([]float64, n), make([]float64, n)} }

// best is the node with the least objective and its value, −1 if none has room.
func (f *Fleet) best(j *Job, o linear) (node int, value float64) {
	var near [maxPlaces]float64
	for p, ms := range f.RTT[j.Origin] {
		near[p] = f.Loss.RTT * ms
	}
	node, value = -1, 1e300
	n := len(f.FreeCPU)
	freeCPU, freeMemory, cpuPrice, memPrice := f.FreeCPU[:n], f.FreeMemory[:n], f.PriceCPU[:n], f.PriceMemory[:n]
	hours, fixed, place := o.time[:n], o.fixed[:n], f.Place[:n]
	cpu, memory := j.Work*float64(j.CPU)/1000, j.Work*float64(j.Memory)/1024
	for i := range n {
		v := (cpuPrice[i]*cpu+memPrice[i]*memory)*hours[i] + fixed[i]
		if v >= value || freeCPU[i] < j.CPU || freeMemory[i] < j.Memory {
			continue
		}
		if v += near[place[i]&(maxPlaces-1)]; v < value {
			node, value = i, v
		}
	}
	return node, value
}

// maxPlaces is a power of two above the number of places, so that a masked index needs no check.
const maxPlaces = 32
