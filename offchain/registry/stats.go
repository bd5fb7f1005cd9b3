package registry

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stats are counts since the start.
type stats struct {
	corrupt, repaired, copiesCorrupt, copiedContents, copiedBytes atomic.Int64

	mu     sync.Mutex
	scrub  ScrubReport
	ended  time.Time
	failed map[string]int64 // passes by copy that did not end well
	fresh  map[string]time.Time
}

func (s *stats) copied(name string, report MirrorReport, err error) {
	s.copiedContents.Add(int64(report.Copied))
	s.copiedBytes.Add(report.Bytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed[name]++
		return
	}
	s.fresh[name] = time.Now()
}

func (s *stats) scrubbed(report ScrubReport, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scrub, s.ended = report, at
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fog_registry_"+name, help, labels, nil)
}

var (
	descCorrupt  = describe("corrupt_total", "Contents that were found to have another digest and were set aside.")
	descRepaired = describe("repaired_total", "Contents that came back from a copy.")
	descCopied   = describe("copied_total", "Contents written to copies.")
	descBytes    = describe("copied_bytes_total", "Bytes written to copies.")
	descBadCopy  = describe("copies_corrupt_total", "Copies that were found to have another digest.")
	descFailed   = describe("copy_failures_total", "Passes over a copy that failed.", "copy")
	descFresh    = describe("copy_current_timestamp_seconds", "When a copy last held all that the registry holds.", "copy")
	descScrubbed = describe("scrubbed_contents", "Contents that the last scrub read and found right.")
	descLost     = describe("lost_contents", "Contents that the last scrub found neither here nor on a copy.")
	descScrub    = describe("scrub_timestamp_seconds", "When the last scrub ended.")
)

// Describe names the metrics.
func (r *Registry) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descCorrupt, descRepaired, descCopied, descBytes, descBadCopy, descFailed, descFresh, descScrubbed, descLost, descScrub,
	} {
		ch <- d
	}
}

// Collect makes Registry a prometheus.Collector.
func (r *Registry) Collect(ch chan<- prometheus.Metric) {
	s := &r.stats
	count := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count(descCorrupt, s.corrupt.Load())
	count(descRepaired, s.repaired.Load())
	count(descCopied, s.copiedContents.Load())
	count(descBytes, s.copiedBytes.Load())
	count(descBadCopy, s.copiesCorrupt.Load())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range r.mirrors.all {
		name := m.store.Name()
		count(descFailed, s.failed[name], name)
		if at, ok := s.fresh[name]; ok {
			gauge(descFresh, float64(at.UnixMilli())/1000, name)
		}
	}
	if !s.ended.IsZero() {
		gauge(descScrubbed, float64(s.scrub.Contents))
		gauge(descLost, float64(len(s.scrub.Lost)))
		gauge(descScrub, float64(s.ended.UnixMilli())/1000)
	}
}
