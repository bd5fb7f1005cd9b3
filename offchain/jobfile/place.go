package jobfile

import (
	"fmt"
	"strings"
)

// Place is a point on the Earth, in millionths of a degree.
type Place struct{ Latitude, Longitude int32 }

const degree = 1_000_000

// ParsePlace reads LATITUDE,LONGITUDE in decimal degrees, north and east positive, such as 50.11,8.68 or -33.87, 151.21.
func ParsePlace(s string) (Place, error) {
	latitude, longitude, ok := strings.Cut(s, ",")
	if !ok {
		return Place{}, fmt.Errorf("is %q; write LATITUDE,LONGITUDE in degrees, such as 50.11,8.68", clip(s))
	}
	var p Place
	for _, c := range []struct {
		name, text string
		most       int64
		to         *int32
	}{{"latitude", latitude, 90, &p.Latitude}, {"longitude", strings.TrimPrefix(longitude, " "), 180, &p.Longitude}} {
		digits, negative := strings.CutPrefix(c.text, "-")
		v, err := parseDecimal(digits, degree)
		if err != nil {
			return Place{}, fmt.Errorf("has a %s that %w", c.name, err)
		}
		if v > uint64(c.most*degree) { //nolint:gosec // a constant
			return Place{}, fmt.Errorf("has the %s %s; it must lie within ±%d degrees", c.name, clip(c.text), c.most)
		}
		if *c.to = int32(v); negative { //nolint:gosec // at most c.most degrees, see above
			*c.to = -int32(v) //nolint:gosec // at most c.most degrees, see above
		}
	}
	return p, nil
}

// String writes the place in the form that ParsePlace reads.
func (p Place) String() string { return decimal(p.Latitude) + "," + decimal(p.Longitude) }

func decimal(millionths int32) string {
	sign, v := "", int64(millionths)
	if v < 0 {
		sign, v = "-", -v
	}
	text := fmt.Sprintf("%s%d.%06d", sign, v/degree, v%degree)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

func (p *Place) parseScalar(s string) (err error) { *p, err = ParsePlace(s); return err }
