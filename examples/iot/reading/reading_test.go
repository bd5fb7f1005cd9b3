package reading

import (
	"math/big"
	"strings"
	"testing"
	"time"
)

// FuzzParse holds numbers against exact ones, and sees that nothing but plain names gets in.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"21.5", "-0.001", "0", "999999999999.999", "1e3", "", ".5", "1.2345", " 7 "} {
		f.Add("sensors/kitchen/temperature", s)
	}
	f.Add("sensors/a/b/c", "1")
	f.Add("sensors//b", "1")
	f.Fuzz(func(t *testing.T, name, payload string) {
		r, err := Parse(name, payload, time.Unix(1000, 0))
		if err != nil {
			return
		}
		if name != "sensors/"+r.Sensor+"/"+r.Metric || r.Time != 1000 {
			t.Fatalf("%q became %+v", name, r)
		}
		want, ok := new(big.Rat).SetString(strings.TrimSpace(payload))
		if !ok || want.Mul(want, big.NewRat(1000, 1)).Cmp(new(big.Rat).SetInt64(r.Milli)) != 0 {
			t.Fatalf("%q became %d thousandths", payload, r.Milli)
		}
	})
}
