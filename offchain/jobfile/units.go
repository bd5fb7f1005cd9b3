package jobfile

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// MilliCPU is an amount of processors in thousandths of a vCPU.
type MilliCPU uint64

// MiB is an amount of memory or storage in units of 2^20 bytes.
type MiB uint64

// Ufog is an amount of money in ufog; 10^6 ufog are 1 FOG.
type Ufog uint64

// Seconds is a duration.
type Seconds uint64

const ufogPerFOG = 1_000_000

var errTooBig = errors.New("is too big; use a smaller number")

// maxFraction is the most digits after the dot, zeros at the end not counted.
const maxFraction = 18

// parseDecimal returns s × scale exactly; s is digits with at most one dot inside, and the result must be whole.
func parseDecimal(s string, scale uint64) (uint64, error) {
	whole, fraction, dotted := strings.Cut(s, ".")
	if !isDigits(whole) || (dotted && !isDigits(fraction)) {
		return 0, fmt.Errorf("has no number that can be read in %q; write digits, with a dot if needed", clip(s))
	}
	n, err := strconv.ParseUint(whole, 10, 64)
	if err != nil {
		return 0, errTooBig
	}
	hi, total := bits.Mul64(n, scale)
	if hi != 0 {
		return 0, errTooBig
	}
	fraction = strings.TrimRight(fraction, "0")
	if fraction == "" {
		return total, nil
	}
	tooFine := fmt.Errorf("is finer than 1/%d: %q; round it", scale, clip(s))
	if len(fraction) > maxFraction {
		return 0, tooFine
	}
	f, err := strconv.ParseUint(fraction, 10, 64)
	if err != nil {
		return 0, err
	}
	power := uint64(1)
	for range fraction {
		power *= 10
	}
	// f < power, so the quotient is below scale and the division cannot overflow.
	hi, lo := bits.Mul64(f, scale)
	part, rest := bits.Div64(hi, lo, power)
	if rest != 0 {
		return 0, tooFine
	}
	if total > math.MaxUint64-part {
		return 0, errTooBig
	}
	return total + part, nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// splitUnit divides "256 MiB" into number and unit; one space between them is allowed.
func splitUnit(s string) (number, unit string) {
	i := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimPrefix(s[i:], " ")
}

// ParseCPU reads vCPUs, such as 2 or 0.5, or thousandths of one, such as 500m.
func ParseCPU(s string) (MilliCPU, error) {
	number, unit := splitUnit(s)
	switch unit {
	case "":
		n, err := parseDecimal(number, 1000)
		return MilliCPU(n), err
	case "m":
		n, err := parseDecimal(number, 1)
		return MilliCPU(n), err
	}
	return 0, fmt.Errorf("has the unit %q; write vCPUs (0.5) or thousandths (500m)", clip(unit))
}

func (c MilliCPU) String() string { return strconv.FormatUint(uint64(c), 10) + "m" }

// ParseMiB reads an amount with its unit, MiB, GiB or TiB; it must be whole MiB.
func ParseMiB(s string) (MiB, error) {
	number, unit := splitUnit(s)
	scale, ok := map[string]uint64{"MiB": 1, "GiB": 1 << 10, "TiB": 1 << 20}[unit]
	if !ok {
		if unit == "" {
			return 0, fmt.Errorf("has no unit; write %sMiB or %sGiB", clip(number), clip(number))
		}
		return 0, fmt.Errorf("has the unit %q; use MiB, GiB or TiB", clip(unit))
	}
	n, err := parseDecimal(number, scale)
	return MiB(n), err
}

func (m MiB) String() string { return strconv.FormatUint(uint64(m), 10) + "MiB" }

// ParseUfog reads an amount of money: 0.5FOG, 500000ufog, or a plain integer, which is ufog.
func ParseUfog(s string) (Ufog, error) {
	number, unit := splitUnit(s)
	scale := uint64(1)
	switch unit {
	case "FOG":
		scale = ufogPerFOG
	case "ufog":
	case "":
		if strings.Contains(number, ".") {
			return 0, fmt.Errorf("has no unit; write %sFOG, or whole ufog", clip(number))
		}
	default:
		return 0, fmt.Errorf("has the unit %q; use FOG or ufog", clip(unit))
	}
	n, err := parseDecimal(number, scale)
	return Ufog(n), err
}

func (u Ufog) String() string { return strconv.FormatUint(uint64(u), 10) + "ufog" }

// ParseSeconds reads a duration such as 45s, 10m, 1h30m or 2d: whole numbers, larger units first, each unit once.
func ParseSeconds(s string) (Seconds, error) {
	const form = "; write it like 45s, 10m, 1h30m or 2d"
	if isDigits(s) {
		return 0, fmt.Errorf("has no unit: %q%s", clip(s), form)
	}
	units := []struct {
		name    byte
		seconds uint64
	}{{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}}
	var total uint64
	rest, next := s, 0
	for rest != "" {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 {
			return 0, fmt.Errorf("is not a duration: %q%s", clip(s), form)
		}
		for next < len(units) && units[next].name != rest[i] {
			next++
		}
		if next == len(units) {
			return 0, fmt.Errorf("is not a duration: %q%s", clip(s), form)
		}
		n, err := parseDecimal(rest[:i], units[next].seconds)
		if err != nil {
			return 0, err
		}
		if total > math.MaxUint64-n {
			return 0, errTooBig
		}
		total += n
		rest = rest[i+1:]
		next++
	}
	if s == "" {
		return 0, fmt.Errorf("is empty%s", form)
	}
	return Seconds(total), nil
}

// String writes the duration in the form that ParseSeconds reads.
func (s Seconds) String() string {
	if s == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range []struct {
		name    string
		seconds Seconds
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		if n := s / u.seconds; n > 0 {
			b.WriteString(strconv.FormatUint(uint64(n), 10) + u.name)
			s %= u.seconds
		}
	}
	return b.String()
}

// clip keeps messages short whatever the file holds.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func (c *MilliCPU) parseScalar(s string) (err error) { *c, err = ParseCPU(s); return err }
func (m *MiB) parseScalar(s string) (err error)      { *m, err = ParseMiB(s); return err }
func (u *Ufog) parseScalar(s string) (err error)     { *u, err = ParseUfog(s); return err }
func (s *Seconds) parseScalar(text string) (err error) {
	*s, err = ParseSeconds(text)
	return err
}
