package jobfile

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnits(t *testing.T) {
	cpu := func(s string) (uint64, error) { n, err := ParseCPU(s); return uint64(n), err }
	mib := func(s string) (uint64, error) { n, err := ParseMiB(s); return uint64(n), err }
	ufog := func(s string) (uint64, error) { n, err := ParseUfog(s); return uint64(n), err }
	seconds := func(s string) (uint64, error) { n, err := ParseSeconds(s); return uint64(n), err }
	for _, c := range []struct {
		parse func(string) (uint64, error)
		text  string
		want  uint64
	}{
		{cpu, "1", 1000}, {cpu, "0.5", 500}, {cpu, "500m", 500}, {cpu, "500 m", 500}, {cpu, "0.001", 1}, {cpu, "2.50", 2500}, {cpu, "0", 0},
		{mib, "256MiB", 256}, {mib, "256 MiB", 256}, {mib, "1GiB", 1024}, {mib, "1.5GiB", 1536}, {mib, "0.0009765625GiB", 1}, {mib, "1TiB", 1 << 20},
		{ufog, "1", 1}, {ufog, "0.5FOG", 500_000}, {ufog, "500000ufog", 500_000}, {ufog, "0.000001 FOG", 1}, {ufog, "1.000000000FOG", 1_000_000},
		{ufog, "18446744073709551615", 1<<64 - 1}, {ufog, "18446744073709.551615FOG", 1<<64 - 1},
		{seconds, "45s", 45}, {seconds, "10m", 600}, {seconds, "1h30m", 5400}, {seconds, "2d", 172800}, {seconds, "1d2h3m4s", 93784}, {seconds, "0s", 0},
	} {
		got, err := c.parse(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, c.text)
	}
	for _, c := range []struct {
		parse func(string) (uint64, error)
		bad   string
	}{
		{cpu, "|-1|.5|1.|1.0005|1e3|half|1vcpu|0x10|1 000|0.5m|1  m|18446744073709552"},
		{mib, "|256|256MB|256M|1.5|0.5MiB|-1MiB|MiB|1GiB1|1 gib|17592186044416TiB"},
		{ufog, "|0.5|FOG|0.0000001FOG|0.5ufog|5EUR|1fog|-1|1,5FOG|18446744073709551616|18446744073709.551616FOG|0.1234567890123456789FOG"},
		{seconds, "|10|s|1m1h|1s1s|1.5h|1w|-1s|10ms|1 h|213503982334602d"},
	} {
		for bad := range strings.SplitSeq(c.bad, "|") {
			_, err := c.parse(bad)
			require.Error(t, err, bad)
		}
	}
}

// FuzzUnits holds exact integer parsing against rationals, and durations against their own notation.
func FuzzUnits(f *testing.F) {
	for _, s := range []string{"0.5FOG", "1.5GiB", "500m", "1h30m", "18446744073709.551615FOG", "0.000000000000000001FOG"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		number, unit := splitUnit(s)
		check := func(got, scale uint64) {
			r, ok := new(big.Rat).SetString(number)
			if !ok || len(number) > 100 {
				return
			}
			r.Mul(r, new(big.Rat).SetInt(new(big.Int).SetUint64(scale)))
			if !r.IsInt() || r.Num().Cmp(new(big.Int).SetUint64(got)) != 0 {
				t.Fatalf("%q is %s, not %d", s, r, got)
			}
		}
		if n, err := ParseUfog(s); err == nil {
			check(uint64(n), map[string]uint64{"FOG": ufogPerFOG, "ufog": 1, "": 1}[unit])
		}
		if n, err := ParseMiB(s); err == nil {
			check(uint64(n), map[string]uint64{"MiB": 1, "GiB": 1 << 10, "TiB": 1 << 20}[unit])
		}
		if n, err := ParseCPU(s); err == nil {
			check(uint64(n), map[string]uint64{"": 1000, "m": 1}[unit])
		}
		if n, err := ParseSeconds(s); err == nil {
			if again, err := ParseSeconds(n.String()); err != nil || again != n {
				t.Fatalf("%q is %d, written as %q: %v", s, n, n, err)
			}
		}
	})
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"name", "name", 0}, {"tsaks", "tasks", 1}, {"nam", "name", 1}, {"module", "modul", 1}, {"tasks", "args", 3}} {
		require.Equal(t, c.want, editDistance(c.a, c.b), c.a+" "+c.b)
	}
}
