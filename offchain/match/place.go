package match

import "math/bits"

// earthRadius in metres.
const earthRadius = 6_371_000

// usPerKm is the round trip over a kilometre of cable in microseconds: light in glass, both ways, with detours.
const usPerKm = 20

// Place is a point on the Earth's surface, in metres from its centre: X towards 0°N 0°E, Y towards 0°N 90°E, Z towards
// the pole. The zero value is no place.
type Place struct{ X, Y, Z int32 }

// PlaceAt is the place at a latitude and longitude in millionths of a degree.
func PlaceAt(latitude, longitude int32) Place {
	sinLat, cosLat := sinCos(int64(latitude))
	sinLon, cosLon := sinCos(int64(longitude))
	metres := func(q30 int64) int32 { return int32((q30*earthRadius + 1<<29) >> 30) }
	return Place{X: metres(cosLat * cosLon >> 30), Y: metres(cosLat * sinLon >> 30), Z: metres(sinLat)}
}

const quarter = 90_000_000 // a right angle in millionths of a degree

// sinCos are the sine and cosine of an angle in millionths of a degree, in Q30.
func sinCos(angle int64) (sin, cos int64) {
	angle %= 4 * quarter
	if angle < 0 {
		angle += 4 * quarter
	}
	at := angle % quarter
	sin, cos = sinEighth(at), cosEighth(at)
	if at > quarter/2 {
		sin, cos = cosEighth(quarter-at), sinEighth(quarter-at)
	}
	switch angle / quarter {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	default:
		return sin, cos
	}
}

// perMicroDegree is π/180·10⁻⁶ in Q62.
const perMicroDegree = 80_489_105_090

const one30 = 1 << 30

// sinEighth is the sine of an angle up to 45° by its Taylor series.
func sinEighth(angle int64) int64 {
	x := angle * perMicroDegree >> 32
	xx := x * x >> 30
	sum := int64(one30)
	for _, d := range [...]int64{110, 72, 42, 20, 6} {
		sum = one30 - (xx*sum>>30)/d
	}
	return x * sum >> 30
}

// cosEighth is the cosine of an angle up to 45° by its Taylor series.
func cosEighth(angle int64) int64 {
	x := angle * perMicroDegree >> 32
	xx := x * x >> 30
	sum := int64(one30)
	for _, d := range [...]int64{90, 56, 30, 12, 2} {
		sum = one30 - (xx*sum>>30)/d
	}
	return sum
}

// Chord is the distance of two places in metres, straight through the Earth, rounded down.
func (p Place) Chord(q Place) uint32 {
	dx, dy, dz := int64(p.X)-int64(q.X), int64(p.Y)-int64(q.Y), int64(p.Z)-int64(q.Z)
	return uint32(isqrt(uint64(dx*dx) + uint64(dy*dy) + uint64(dz*dz)))
}

// arcStep is the distance of the entries of arcs, as a power of two.
const arcStep = 17

// arc is the length over the Earth's surface of a chord, both in metres. It grows with the chord.
func arc(chord uint32) uint32 {
	k := min(chord>>arcStep, uint32(len(arcs)-2))
	over := min(chord-k<<arcStep, 1<<arcStep)
	return arcs[k] + uint32(uint64(arcs[k+1]-arcs[k])*uint64(over)>>arcStep)
}

// RTT is the round trip in microseconds between a node with the round trip base to its exchange and a place. It never
// falls as the chord grows. A node whose place is unknown counts as the farthest, so that none gains by hiding it.
func RTT(base uint32, node, place Place) uint32 {
	switch {
	case place == (Place{}):
		return base
	case node == (Place{}):
		return rttOver(base, farthest)
	}
	return rttOver(base, node.Chord(place))
}

// farthest is a chord that none exceeds: arc ends at half of the Earth's circumference.
const farthest = ^uint32(0)

func rttOver(base, chord uint32) uint32 {
	return base + uint32(uint64(arc(chord))*usPerKm/1000)
}

// isqrt is ⌊√v⌋.
func isqrt(v uint64) uint64 {
	if v == 0 {
		return 0
	}
	// Newton from above converges downwards. The first guess is on the tangent in the middle of v's two powers of four, at most 7 % too large.
	const root, half = 46_341, 23_171 // √½ and √⅛ of 2^16, rounded up
	s := (bits.Len64(v) - 1) / 2
	x := (root<<s+half*(v>>s))>>16 + 1
	for {
		y := (x + v/x) / 2
		if y >= x {
			return x
		}
		x = y
	}
}
