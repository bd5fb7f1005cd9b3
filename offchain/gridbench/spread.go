package gridbench

import (
	"slices"
	"time"
)

// Spread is what many measurements of one time are, in milliseconds. Percentiles are by the nearest rank.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func spreadOf(times []time.Duration) Spread {
	if len(times) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(times))
	rank := func(percent int) float64 { return millis(sorted[(percent*len(sorted)+99)/100-1]) }
	return Spread{len(sorted), rank(50), rank(99), millis(sorted[len(sorted)-1])}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
