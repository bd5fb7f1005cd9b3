package match

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// The loss of giving a task to a node is
//
//	L = price·time/s + Φ·(1−p)/p + λ·RTT + penalties
//
// in units of 2^-shift ufog; shift depends on the query alone, so that no term can overflow. Each term is the upper half
// of a 128-bit product of a weight of the query and a column of the node: it grows with both, so the same sum over the
// least columns of a block is a lower bound of every node's loss in it.

const (
	// rateBits is the fixed point of a rate: the price of a unit-hour over the effective speed.
	rateBits = 32
	// weightBits is the size of the largest weight of a query.
	weightBits = 62
	// maxColumn is the largest rate, maxMix the largest cost of a mix of them.
	maxColumn = 1<<57 - 1
	maxMix    = 9 * maxColumn
	// oddsBits is the fixed point of (1−p)/p.
	oddsBits = 27
	// maxShift is the finest unit of the loss.
	maxShift = 16
	// minP is the least chance of success that enters the loss, 0.05, in Q32.
	minP = 1<<32/20 + 1
	oneP = 1 << 32
)

// resources that have a price, in the order of the columns.
const (
	colCPU = iota
	colMemory
	colStorage
	colGPU
	priced
)

// perUnit is how many units of an amount its price is for.
var perUnit = [priced]uint64{milliPerCPU, mibPerGiB, mibPerGiB, 1}

func (r Resources) columns() [priced]uint64 {
	return [priced]uint64{r.CPUMilli, r.MemoryMiB, r.StorageMiB, r.GPUs}
}

func (p Prices) columns() [priced]uint64 { return [priced]uint64{p.CPU, p.Memory, p.Storage, p.GPU} }

// weights are a query in the fixed point of its loss.
type weights struct {
	shift   int
	run     [priced]uint64 // for rates
	fail    uint64         // for odds
	latency uint64         // for microseconds
	floor   [priced]uint32 // what a task takes
	place   Place
	placed  bool
	parts   [2]part
	noise   uint64 // key of the noise of this decision
	thomp   bool
}

// part is how much of a mix a task takes.
type part struct {
	mix    int
	weight uint64
}

// split writes a task's CPU and memory as a sum of two mixes, rounded down.
func (w *weights) split() {
	c, m := w.run[colCPU], w.run[colMemory]
	switch {
	case m>>3 >= c:
		w.parts = [2]part{{mix8, c}, {mixMemory, m - c<<3}}
	default:
		for i, k := range [...]uint64{0, 1, 2, 4} {
			next := max(1, 2*k)
			if next == 8 || m/next < c {
				b := (m - min(m, k*c)) / (next - k)
				w.parts = [2]part{{mixCPU + i, c - b}, {mixCPU + i + 1, b}}
				return
			}
		}
	}
}

// weigh turns a query into weights; ok is false if a task takes more than any node can have.
func (q *Query) weigh() (w weights, ok bool) {
	amounts := q.Task.columns()
	for i, a := range amounts {
		if a > 1<<32-1 {
			return weights{}, false
		}
		w.floor[i] = uint32(a)
	}
	work := min(q.Work, 1<<62)
	for w.shift = maxShift; ; w.shift-- {
		fits := true
		for i, a := range amounts {
			w.run[i], ok = scaled(a, work, 64-rateBits+w.shift, perUnit[i]*secondsPerHour)
			fits = fits && ok
		}
		w.fail, ok = scaled(q.FailureCost, 1, 64-2*oddsBits+5+w.shift, 1)
		fits = fits && ok
		w.latency, ok = scaled(q.LatencyPrice, 1, 32+w.shift, 1_000_000)
		if fits = fits && ok; fits {
			break
		}
		if w.shift == -40 {
			return weights{}, false
		}
	}
	w.split()
	w.place, w.placed = q.Place, q.Place != Place{}
	return w, true
}

// scaled is ⌊a·b·2^by/c⌋; ok is false if it has more than weightBits bits.
func scaled(a, b uint64, by int, c uint64) (uint64, bool) {
	hi, lo := bits.Mul64(a, b)
	switch {
	case by < 0:
		by = -by
		lo, hi = lo>>by|hi<<(64-by), hi>>by
	case bits.Len64(hi)+by > 64 || (hi == 0 && bits.Len64(lo)+by > 128):
		return 0, false
	case by >= 64:
		hi, lo = lo<<(by-64), 0
	case by > 0:
		hi, lo = hi<<by|lo>>(64-by), lo<<by
	}
	if hi >= c {
		return 0, false
	}
	out, _ := bits.Div64(hi, lo, c)
	return out, out>>weightBits == 0
}

func upper(a, b uint64) uint64 {
	hi, _ := bits.Mul64(a, b)
	return hi
}

// runCost is the term price·time/s.
func (w *weights) runCost(rates *[priced]uint64) uint64 {
	sum := upper(w.run[colCPU], rates[colCPU]) + upper(w.run[colMemory], rates[colMemory])
	if w.run[colStorage] != 0 {
		sum += upper(w.run[colStorage], rates[colStorage])
	}
	if w.run[colGPU] != 0 {
		sum += upper(w.run[colGPU], rates[colGPU])
	}
	return sum
}

// leastCost is a bound of the run cost of nodes from the least costs of the mixes. The two roundings of the run cost itself
// are taken off.
func (w *weights) leastCost(m *[mixes]uint64) uint64 {
	sum := upper(w.parts[0].weight, m[w.parts[0].mix]) + upper(w.parts[1].weight, m[w.parts[1].mix])
	sum -= min(sum, 2)
	return sum + w.rareCost(m)
}

// rareCost is what storage and GPUs add to a bound.
func (w *weights) rareCost(m *[mixes]uint64) (sum uint64) {
	if w.run[colStorage] != 0 {
		sum = upper(w.run[colStorage], m[mixStorage])
	}
	if w.run[colGPU] != 0 {
		sum += upper(w.run[colGPU], m[mixGPU])
	}
	return sum
}

// failCost is the term Φ·(1−p)/p.
func (w *weights) failCost(odds uint32) uint64 { return upper(w.fail, uint64(odds)<<(oddsBits-5)) }

// latencyCost is the term λ·RTT.
func (w *weights) latencyCost(rtt uint32) uint64 { return upper(w.latency, uint64(rtt)<<32) }

// rateOf is price/speed in the fixed point of a rate.
func rateOf(price, speed uint64) uint64 {
	hi, lo := price>>(64-rateBits), price<<rateBits
	if hi >= speed {
		return maxColumn
	}
	out, _ := bits.Div64(hi, lo, speed)
	return min(out, maxColumn)
}

// oddsOf is (1−p)/p for p in Q32.
func oddsOf(p uint64) uint32 {
	p = min(max(p, minP), oneP)
	return uint32((oneP - p) << oddsBits / p)
}

// key is what one decision draws its randomness from: SHA-256(seed ‖ job ‖ task), once.
type key [4]uint64

func newKey(seed Seed, job ID, task uint32) key {
	var b [len(seed) + len(job) + 4]byte
	at := copy(b[:], seed[:])
	at += copy(b[at:], job[:])
	binary.BigEndian.PutUint32(b[at:], task)
	sum := sha256.Sum256(b[:])
	var k key
	for i := range k {
		k[i] = binary.BigEndian.Uint64(sum[8*i:])
	}
	return k
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// zMax is the largest quantile that noise can draw, in Q16.
var zMax = int64(quantiles[len(quantiles)-1])

// draw is a node's standard normal noise for one decision in Q16.
func draw(noise, node uint64) int64 {
	i := mix(noise^node) >> 54
	if i < 512 {
		return -int64(quantiles[511-i])
	}
	return int64(quantiles[i-512])
}

// noisy is p + z·σ, p and σ in Q32 and z in Q16.
func noisy(p, sigma uint32, z int64) uint64 {
	out := int64(p) + int64(sigma)*z>>16
	return uint64(min(max(out, minP), oneP))
}
