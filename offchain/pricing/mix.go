package pricing

import "math/bits"

// Mix is the prices of a node in ufog for an hour of a vCPU, of a GiB of memory, of a GiB of storage and of a GPU. A pricer handles one
// number, the lead price; the others keep their proportion to it.
type Mix struct {
	CPU     uint64 `json:"cpu"`
	Memory  uint64 `json:"memory"`
	Storage uint64 `json:"storage"`
	GPU     uint64 `json:"gpu"`
}

// Lead is the price that stands for the mix: that of a vCPU, or if it is zero that of a GPU, of memory, of storage. It is zero if all are.
func (m Mix) Lead() uint64 {
	for _, v := range [...]uint64{m.CPU, m.GPU, m.Memory, m.Storage} {
		if v > 0 {
			return v
		}
	}
	return 0
}

// At is the mix with another lead price, above zero: each price rounded to the nearest ufog, but not to zero if it was none, and at
// most 2⁶², which no chain takes.
func (m Mix) At(lead uint64) Mix {
	before := m.Lead()
	scale := func(v uint64) uint64 {
		if v == 0 {
			return 0
		}
		hi, lo := bits.Mul64(v, lead)
		lo, carry := bits.Add64(lo, before/2, 0)
		if hi += carry; hi >= before {
			return maxPrice
		}
		q, _ := bits.Div64(hi, lo, before)
		return min(max(q, 1), maxPrice)
	}
	return Mix{CPU: scale(m.CPU), Memory: scale(m.Memory), Storage: scale(m.Storage), GPU: scale(m.GPU)}
}

const maxPrice = 1 << 62
