// Command rollup is a periodic job for WebAssembly: it sums readings up by sensor, metric and hour.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"slices"

	"github.com/foggrid/fogd/examples/iot/reading"
)

func main() {
	log.SetFlags(0)
	in, err := os.Open("/in/readings.jsonl")
	if err != nil {
		log.Fatal(err)
	}
	hours, err := rollUp(in)
	if err != nil {
		log.Fatal(err)
	}
	raw, err := json.MarshalIndent(hours, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("/out/rollup.json", append(raw, '\n'), 0o600); err != nil {
		log.Fatal(err)
	}
}

// hour is what one sensor said of one metric within an hour.
type hour struct {
	Hour   int64  `json:"hour"` // its first Unix second
	Sensor string `json:"sensor"`
	Metric string `json:"metric"`
	Count  int64  `json:"count"`
	Min    int64  `json:"min_milli"`
	Mean   int64  `json:"mean_milli"` // rounded towards zero
	Max    int64  `json:"max_milli"`

	sum int64
}

// rollUp reads lines of JSON in any order; equal readings make equal bytes.
func rollUp(r io.Reader) ([]*hour, error) {
	type key struct {
		hour           int64
		sensor, metric string
	}
	found := map[key]*hour{}
	all := []*hour{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		var v reading.Reading
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		k := key{v.Time - v.Time%3600, v.Sensor, v.Metric}
		h := found[k]
		if h == nil {
			h = &hour{Hour: k.hour, Sensor: k.sensor, Metric: k.metric, Min: v.Milli, Max: v.Milli}
			found[k], all = h, append(all, h)
		}
		h.Count++
		h.sum += v.Milli
		h.Min, h.Max = min(h.Min, v.Milli), max(h.Max, v.Milli)
		h.Mean = h.sum / h.Count
	}
	slices.SortFunc(all, func(a, b *hour) int {
		return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Sensor, b.Sensor), cmp.Compare(a.Metric, b.Metric))
	})
	return all, lines.Err()
}
