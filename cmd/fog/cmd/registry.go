package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/auth"
)

// registryFlags of `fog registry serve`.
type registryFlags struct {
	listen, data string
	gc           time.Duration
	gcAge        time.Duration
	copyFlags
	serverFiles
	// Of a registry that takes tokens of a gateway.
	tokenCert, tokenRealm, tokenService string
}

func newRegistryCmd(a *app) *cobra.Command {
	var f registryFlags
	serve := &cobra.Command{
		Use: "serve", Short: "Serve an OCI registry from a folder until it is interrupted", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serveRegistry(cmd.Context(), f) },
	}
	serve.Flags().StringVar(&f.listen, "listen", "127.0.0.1:5000", "host:port to listen on; port 0 takes a free one")
	serve.Flags().StringVar(&f.data, "data", "", "folder of the content (default: registry in the home)")
	serve.Flags().DurationVar(&f.gc, "gc-interval", 0, "how often content that no manifest needs is removed; 0: never")
	serve.Flags().DurationVar(&f.gcAge, "gc-age", time.Hour, "how old such content must be")
	f.copyFlags.register(serve)
	f.serverFiles.register(serve.Flags())
	serve.Flags().StringVar(&f.tokenCert, "token-cert", "", "token-cert.pem of a gateway: take its tokens, and nobody without one")
	serve.Flags().StringVar(&f.tokenRealm, "token-realm", "", "URL of that gateway's token service, such as https://gateway.example/registry/token")
	serve.Flags().StringVar(&f.tokenService, "token-service", "", "name of this registry in the tokens (the gateway's --registry-service)")
	return group("registry", "Run the registry of modules, inputs and results", serve, newRegistryRestoreCmd(a))
}

// guard is nil for a registry that takes everybody.
func (f registryFlags) guard() (registry.Guard, error) {
	if f.tokenCert == "" && f.tokenRealm == "" && f.tokenService == "" {
		return nil, nil
	}
	if f.tokenCert == "" || f.tokenRealm == "" || f.tokenService == "" {
		return nil, usagef("--token-cert, --token-realm and --token-service go together")
	}
	cert, err := auth.LoadCertificate(f.tokenCert)
	if err != nil {
		return nil, hint(fmt.Errorf("--token-cert: %w", err), "take token-cert.pem out of the gateway's folder")
	}
	verifier, err := auth.NewVerifier(cert, gateway.IssuerName, f.tokenService, time.Now)
	if err != nil {
		return nil, err
	}
	return auth.NewGuard(verifier, f.tokenRealm), nil
}

// shutdownTime is how long requests may take to end.
const shutdownTime = 5 * time.Second

func (a *app) serveRegistry(ctx context.Context, f registryFlags) (err error) {
	if f.data == "" {
		f.data = filepath.Join(a.home, "registry")
	}
	if err := errors.Join(f.check(), f.mayListen(a)); err != nil {
		return err
	}
	kept, err := f.open()
	if err != nil {
		return err
	}
	guard, err := f.guard()
	if err != nil {
		return err
	}
	keepCtx, stopKeeping := context.WithCancel(ctx)
	defer stopKeeping()
	config, err := f.config(keepCtx, a)
	if err != nil {
		return err
	}
	lis, err := net.Listen("tcp", f.listen)
	if err != nil {
		return hint(err, "choose another --listen; port 0 takes a free one")
	}
	r, err := registry.Open(f.data, registry.Options{Logger: a.log, Guard: guard, Copies: kept})
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	var keeping sync.WaitGroup
	defer func() {
		stopKeeping()
		err = errors.Join(err, r.Close())
		keeping.Wait()
	}()
	keeping.Go(func() { f.keep(keepCtx, r) })
	if f.metrics != "" {
		if err := a.serveMetrics(keepCtx, "--metrics-listen", f.metrics, r); err != nil {
			return errors.Join(err, lis.Close())
		}
	}
	server, scheme := &http.Server{
		Handler: r, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, TLSConfig: config,
	}, "http"
	served, serve := make(chan error, 1), server.Serve
	if config != nil {
		server.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug) // handshakes that fail
		serve, scheme = func(l net.Listener) error { return server.ServeTLS(l, "", "") }, "https"
	}
	go func() { served <- serve(lis) }()

	v := struct {
		URL  string `json:"url"`
		Data string `json:"data"`
	}{scheme + "://" + lis.Addr().String(), f.data}
	if err := a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "registry at %s, content in %s\n", v.URL, v.Data)
		return err
	}); err != nil {
		return errors.Join(err, server.Close())
	}
	var tick <-chan time.Time
	if f.gc > 0 {
		ticker := time.NewTicker(f.gc)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case err := <-served:
			return fmt.Errorf("serve the registry: %w", err)
		case <-tick:
			a.collectGarbage(ctx, r, f.gcAge)
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
			defer cancel()
			if err := server.Shutdown(end); err != nil { // someone holds on to a request
				return errors.Join(ctx.Err(), server.Close())
			}
			return ctx.Err()
		}
	}
}

func (a *app) collectGarbage(ctx context.Context, r *registry.Registry, age time.Duration) {
	report, err := r.GC(ctx, registry.GCOptions{MinAge: age})
	if err != nil {
		a.log.Warn("cannot collect garbage", "error", err)
		return
	}
	a.log.Info("collected garbage", "blobs", report.Blobs, "manifests", report.Manifests, "uploads", report.Uploads, "freed_bytes", report.FreedBytes)
}
