package vault

import "github.com/prometheus/client_golang/prometheus"

var (
	descReachable = prometheus.NewDesc("fog_vault_reachable", "1 if Vault answered the last request.", nil, nil)
	descSince     = prometheus.NewDesc("fog_vault_since_seconds", "Unix time since which Vault is reachable or not.", nil, nil)
	descLogins    = prometheus.NewDesc("fog_vault_logins_total", "Tokens that were got.", nil, nil)
	descRenewals  = prometheus.NewDesc("fog_vault_renewals_total", "How often a token was prolonged.", nil, nil)
	descFailures  = prometheus.NewDesc("fog_vault_failures_total", "Requests without an answer, by cause.", []string{"cause"}, nil)
)

var _ prometheus.Collector = (*Store)(nil)

// Describe implements prometheus.Collector.
func (s *Store) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReachable, descSince, descLogins, descRenewals, descFailures} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Store) Collect(out chan<- prometheus.Metric) {
	status, reachable := s.Status(), 0.0
	if status.Reachable {
		reachable = 1
	}
	out <- prometheus.MustNewConstMetric(descReachable, prometheus.GaugeValue, reachable)
	out <- prometheus.MustNewConstMetric(descSince, prometheus.GaugeValue, float64(status.Since.Unix()))
	out <- prometheus.MustNewConstMetric(descLogins, prometheus.CounterValue, float64(status.Logins))
	out <- prometheus.MustNewConstMetric(descRenewals, prometheus.CounterValue, float64(status.Renewals))
	for cause := range causes {
		out <- prometheus.MustNewConstMetric(descFailures, prometheus.CounterValue, float64(status.Causes[cause]), cause)
	}
}
