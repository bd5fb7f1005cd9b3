package cmd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/foggrid/fogd/offchain/secrets"
)

// serveMetrics serves what a store tells of itself until ctx ends; nothing else is exported.
func (a *app) serveMetrics(ctx context.Context, address string, store secrets.Store) error {
	registry := prometheus.NewRegistry()
	if collector, ok := store.(prometheus.Collector); ok {
		if err := registry.Register(collector); err != nil {
			return err
		}
	}
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return hint(err, "choose another --metrics")
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
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
