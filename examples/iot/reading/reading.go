// Package reading is what sensors say.
package reading

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Reading is one number of one sensor.
type Reading struct {
	Time   int64  `json:"time"` // Unix seconds
	Sensor string `json:"sensor"`
	Metric string `json:"metric"`
	// Milli is the number times 1000: sums of integers come out the same on every machine.
	Milli int64 `json:"milli"`
}

var topic = regexp.MustCompile(`^sensors/([a-z0-9-]{1,40})/([a-z0-9-]{1,40})$`)

// Parse reads a message of a sensor.
func Parse(name, payload string, now time.Time) (Reading, error) {
	parts := topic.FindStringSubmatch(name)
	if parts == nil {
		return Reading{}, fmt.Errorf("publish to sensors/NAME/METRIC, each of 1 to 40 lower-case letters, digits and dashes")
	}
	milli, err := parseMilli(strings.TrimSpace(payload))
	if err != nil {
		return Reading{}, err
	}
	return Reading{Time: now.Unix(), Sensor: parts[1], Metric: parts[2], Milli: milli}, nil
}

var number = regexp.MustCompile(`^(-?)([0-9]{1,12})(?:\.([0-9]{1,3}))?$`)

func parseMilli(s string) (int64, error) {
	parts := number.FindStringSubmatch(s)
	if parts == nil {
		return 0, fmt.Errorf("%.20q is no number with at most three decimals", s)
	}
	milli, err := strconv.ParseInt(parts[2]+(parts[3] + "000")[:3], 10, 64)
	if parts[1] == "-" {
		milli = -milli
	}
	return milli, err
}
