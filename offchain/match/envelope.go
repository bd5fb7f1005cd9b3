package match

import "math/bits"

// A bound joins the costs of one node with the odds of another, and counts nodes that have no room. The envelope of nodes does not: for
// each mix it is the least of cost + ρ·odds over those with room for so many units of it, at a few ρ. Between two of them the
// least is concave in ρ, so the chord bounds it. To find one costs several looks at the nodes, so that is done where many were in vain.

const (
	// levels of room: nodes with any, and with 1, 2, 4 … 32 units of a mix.
	levels = 7
	// points are the ρ: none, and four that are steps of 2^rhoStep apart.
	points, rhoStep = 5, 4
	// rhoBits is the fixed point of a query's ρ.
	rhoBits = 16
	// rhoMost keeps cost + ρ·odds in 64 bits.
	rhoMost = 28
	// never is the cost of what no node offers.
	never = ^uint64(0)
)

// ration is the memory in GiB that a mix has with each vCPU.
var ration = [mixMemory]uint32{0, 1, 2, 4, 8}

// envelope is by level of room, mix and ρ.
type envelope [levels][common][points]uint64

// upkeep tells how far the envelopes of a super-block and its blocks hold, with a bit for each block.
type upkeep struct {
	unknown uint64 // blocks that changed since their envelope was found
	apart   uint64 // blocks that changed since that of the super-block was found, which does not count them
	effort  uint64 // bounds of blocks apart that queries have asked for since
}

// What it costs to find envelopes, in bounds of blocks.
const (
	blockEffort = 128
	superEffort = 256
	// every block of a super-block.
	every uint64 = 1<<superSize - 1
)

// level of the room for a mix.
func level(mix int, cpu, memory uint32) int {
	units := memory / mibPerGiB
	if mix != mixMemory {
		units = cpu / milliPerCPU
		if k := ration[mix]; k > 0 {
			units = min(units, memory/(k*mibPerGiB))
		}
	}
	return min(bits.Len32(units), levels-1)
}

// rhoOf is the exponent of the second ρ, from the node that is typical: at the fourth, a chance of about 0.9 costs it as much as the run of a vCPU.
func rhoOf(h *column) int {
	const tenth = oddsBits - 3
	return min(max(bits.Len64(h.rates[colCPU])-tenth-2*rhoStep, 0), rhoMost-(points-2)*rhoStep)
}

// changed forgets the envelope of a block.
func (o *sequence) changed(b int) {
	u, bit := &o.upkeep[b/superSize], uint64(1)<<(b%superSize)
	u.unknown |= bit
	u.apart |= bit
}

// known reports whether the envelope of a block holds.
func (o *sequence) known(b int) bool { return o.upkeep[b/superSize].unknown>>(b%superSize)&1 == 0 }

// clear makes it the envelope of no node.
func (v *envelope) clear() {
	for l := range v {
		for m := range v[l] {
			for i := range v[l][m] {
				v[l][m][i] = never
			}
		}
	}
}

// merge lets it be the envelope of the nodes of another as well.
func (v *envelope) merge(o *envelope) {
	for l := range v {
		for m := range v[l] {
			for i, least := range o[l][m] {
				v[l][m][i] = min(v[l][m][i], least)
			}
		}
	}
}

// outline finds the envelope of a block.
func (o *sequence) outline(b int) {
	for len(o.envelopes) < len(o.blocks) {
		o.envelopes = append(o.envelopes, envelope{})
	}
	v := &o.envelopes[b]
	v.clear()
	for i := b * blockSize; i < (b+1)*blockSize; i++ {
		s := &o.slots[i]
		if s.ref == nowhere {
			continue
		}
		odds := uint64(s.odds) << o.rho
		for m, cost := range mixed(s.cpuRate, s.memoryRate) {
			row := &v[level(m, s.cpu, s.memory)][m]
			row[0] = min(row[0], cost)
			for i := 1; i < points; i++ {
				row[i] = min(row[i], cost+odds<<((i-1)*rhoStep))
			}
		}
	}
	for l := levels - 2; l >= 0; l-- { // who has room for more has room for less
		for m := range v[l] {
			for i, above := range v[l+1][m] {
				v[l][m][i] = min(v[l][m][i], above)
			}
		}
	}
	o.upkeep[b/superSize].unknown &^= 1 << (b % superSize)
}

// outlineSuper finds the envelope of a super-block, and those of its blocks.
func (o *sequence) outlineSuper(s int) {
	for len(o.around) < len(o.supers) {
		o.around = append(o.around, envelope{})
	}
	v := &o.around[s]
	v.clear()
	for b := s * superSize; b < min((s+1)*superSize, len(o.blocks)); b++ {
		if !o.known(b) {
			o.outline(b)
		}
		v.merge(&o.envelopes[b])
	}
	o.upkeep[s] = upkeep{}
}

// demand is a query as envelopes answer it.
type demand struct {
	point int // the ρ below that of the query
	parts [2]struct {
		mix, level int
		near, far  uint64 // weights of the ρ below and above
	}
	rest uint64 // of the weight of a failure, above the last ρ
}

// ask turns a query into a demand; rho is that of the envelopes.
func (w *weights) ask(rho int) (d demand) {
	sum := w.parts[0].weight + w.parts[1].weight
	if sum == 0 {
		return demand{rest: w.fail}
	}
	var at [points + 1]uint64 // the ρ, and none above
	for i := 1; i < points; i++ {
		at[i] = 1 << (rho + (i-1)*rhoStep + rhoBits)
	}
	own := ^uint64(0)
	if hi, lo := bits.Mul64(w.fail, 1<<(oddsBits-5+rhoBits)); hi < sum {
		own, _ = bits.Div64(hi, lo, sum)
	}
	for d.point < points-1 && at[d.point+1] <= own {
		d.point++
	}
	for i, p := range w.parts {
		far := uint64(0)
		if d.point < points-1 {
			far = mulDiv(p.weight, own-at[d.point], at[d.point+1]-at[d.point])
		}
		x := &d.parts[i]
		x.mix, x.level = p.mix, level(p.mix, w.floor[colCPU], w.floor[colMemory])
		x.near, x.far = p.weight-far, far
	}
	if d.point == points-1 {
		// what sum·ρ takes of the weight of a failure, rounded up
		hi, lo := bits.Mul64(sum, at[d.point])
		taken := hi<<(64-(oddsBits-5+rhoBits)) | lo>>(oddsBits-5+rhoBits)
		d.rest = w.fail - min(w.fail, taken+1)
	}
	return d
}

// least is a bound of the run and failure costs of nodes from their envelope, apart from storage and GPUs; ok is false if none has
// room. The roundings of the costs themselves are taken off.
func (d *demand) least(v *envelope, odds uint32) (cost uint64, ok bool) {
	sum := upper(d.rest, uint64(odds)<<(oddsBits-5))
	for i := range d.parts {
		p := &d.parts[i]
		row := &v[p.level][p.mix]
		if row[0] == never {
			return 0, false
		}
		sum += upper(p.near, row[d.point])
		if p.far > 0 {
			sum += upper(p.far, row[d.point+1])
		}
	}
	return sum - min(sum, 3), true
}
