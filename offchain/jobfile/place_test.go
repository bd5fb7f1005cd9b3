package jobfile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParsePlace(t *testing.T) {
	for text, want := range map[string]Place{
		"50.11,8.68": {50_110_000, 8_680_000}, "-33.868800, 151.2093": {-33_868_800, 151_209_300}, "0,0": {}, "-0,-0.000001": {0, -1},
		"90,-180": {90_000_000, -180_000_000}, "-90.0,180.0": {-90_000_000, 180_000_000},
	} {
		got, err := ParsePlace(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := ParsePlace(got.String())
		require.NoError(t, err)
		require.Equal(t, want, again)
	}
	require.Equal(t, "-0.5,8.68", Place{-500_000, 8_680_000}.String())
	for text, want := range map[string]string{
		"":                "write LATITUDE,LONGITUDE",
		"50.11 8.68":      "write LATITUDE,LONGITUDE",
		"50.11":           "write LATITUDE,LONGITUDE",
		"50.11,":          "has a longitude that has no number",
		"1,2,3":           "has a longitude that has no number",
		"+1,2":            "has a latitude that has no number",
		"--1,2":           "has a latitude that has no number",
		"1,  2":           "has a longitude that has no number",
		"90.000001,0":     "has the latitude 90.000001; it must lie within ±90 degrees",
		"0,-180.1":        "has the longitude -180.1; it must lie within ±180 degrees",
		"4294967386,0":    "has the latitude 4294967386",
		"50.1234567,0":    "is finer than 1/1000000",
		"99999999999999,": "has a latitude that is too big",
	} {
		_, err := ParsePlace(text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParsePlace(f *testing.F) {
	for _, s := range []string{"50.11,8.68", "-33.8688, 151.2093", "90,-180", "91,0", ",", "1e3,4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePlace(s)
		if err != nil {
			return
		}
		if p.Latitude < -90*degree || p.Latitude > 90*degree || p.Longitude < -180*degree || p.Longitude > 180*degree {
			t.Fatalf("%q is %v, which is not on the Earth", s, p)
		}
		if again, err := ParsePlace(p.String()); err != nil || again != p {
			t.Fatalf("%q is %v, written as %q: %v", s, p, p, err)
		}
	})
}
