package cmd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
)

// flagMetrics is the flag of all programs that serve metrics.
const flagMetrics = "metrics-listen"

func addMetricsFlag(cmd *cobra.Command, address *string) {
	cmd.Flags().StringVar(address, flagMetrics, "", "host:port to serve /metrics on in Prometheus' format, without access control (default: none)")
}

// deprecate keeps an old name of a flag working, and says what to write.
func deprecate(cmd *cobra.Command, old, name string) {
	if err := cmd.Flags().MarkDeprecated(old, "write --"+name); err != nil {
		panic(err) // there is no such flag
	}
}

// serveMetrics answers /metrics with what the collectors tell, and nothing else, until ctx ends.
func (a *app) serveMetrics(ctx context.Context, address string, collectors ...prometheus.Collector) error {
	registry := prometheus.NewRegistry()
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return hint(err, "choose another --%s; port 0 takes a free one", flagMetrics)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	a.log.Info("serving metrics", "url", "http://"+lis.Addr().String()+"/metrics")
	context.AfterFunc(ctx, func() {
		if err := server.Close(); err != nil {
			a.log.Warn("cannot close the metrics", "error", err)
		}
	})
	go func() {
		if err := server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("metrics are not served any more", "error", err)
		}
	}()
	return nil
}
