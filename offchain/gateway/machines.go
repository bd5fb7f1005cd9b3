package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"

	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

type machineKey struct{}

// ProxiedCertificate is the header in which a proxy says whose certificate it has seen: PEM, percent-encoded, as nginx writes it.
const ProxiedCertificate = "X-Fog-Client-Certificate"

// machineOf is whom the certificate of a connection at the machines' door names.
func machineOf(req *http.Request) string {
	identity, _ := req.Context().Value(machineKey{}).(string)
	return identity
}

// ServeMachines answers on the machines' door until the context ends. The gateway's own certificate there is renewed at two thirds of its life; connections go on.
func (s *Server) ServeMachines(ctx context.Context, lis net.Listener) error {
	u, err := url.Parse(s.cfg.Machines.URL)
	if err != nil || s.certificates == nil {
		return errors.Join(err, lis.Close(), errors.New("the gateway has no door for machines"))
	}
	ctx, cancel := context.WithCancel(ctx)
	holder, keeping := &mtls.Holder{}, sync.WaitGroup{}
	defer keeping.Wait()
	defer cancel()
	ready, kept := make(chan struct{}), make(chan error, 1)
	keeping.Go(func() { kept <- s.keepCertificate(ctx, u.Hostname(), holder, sync.OnceFunc(func() { close(ready) })) })
	select {
	case <-ready:
	case err := <-kept:
		return errors.Join(err, lis.Close())
	}
	server := &http.Server{
		Handler: http.HandlerFunc(s.serveMachine), ReadHeaderTimeout: s.patience.header, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		TLSConfig: holder.Server(s.verifier), BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug), // handshakes that fail
	}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(s.listener(lis, perMachineAddress, anybody), "", "") }()
	select {
	case err := <-served:
		return err
	case err := <-kept:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer stop()
		if err := server.Shutdown(end); err != nil {
			return errors.Join(ctx.Err(), server.Close())
		}
		return ctx.Err()
	}
}

// serveMachine looks at the certificate again: the connection may be older than its revocation.
func (s *Server) serveMachine(w http.ResponseWriter, req *http.Request) {
	identity, err := s.machine(req)
	if err != nil {
		w.Header().Set("Connection", "close")
		s.fail(w, req, refuse(http.StatusForbidden, "certificate", "the certificate of this connection: %v", err))
		return
	}
	s.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), machineKey{}, identity)))
}

// machine is whom the certificate of a connection names. A proxy of this gateway shows the gateway's own, and in a header that of who called it; the proxy has seen that
// its holder has the key, and whether it is good is looked at here.
func (s *Server) machine(req *http.Request) (string, error) {
	identity, err := s.verifier.Identity(req.TLS.PeerCertificates)
	proxied := req.Header.Values(ProxiedCertificate)
	req.Header.Del(ProxiedCertificate)
	if err != nil || identity != s.cfg.Machines.Identity || len(proxied) == 0 {
		return identity, err
	}
	if len(proxied) > 1 {
		return "", fmt.Errorf("the proxy passed on %d of the header %s; it must replace what clients send", len(proxied), ProxiedCertificate)
	}
	text, err := url.PathUnescape(proxied[0])
	if err != nil {
		return "", fmt.Errorf("the header %s of the proxy: %w", ProxiedCertificate, err)
	}
	certs, err := mtls.ParsePEM([]byte(text))
	if err != nil {
		return "", fmt.Errorf("the header %s of the proxy: %w", ProxiedCertificate, err)
	}
	return s.verifier.Identity(certs)
}

// keepCertificate has the authority sign certificates for a key of this process, one after the other, and says when the first one is there.
func (s *Server) keepCertificate(ctx context.Context, host string, holder *mtls.Holder, first func()) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return err
	}
	hosts := []string{host}
	if at, err := netip.ParseAddr(host); err == nil && at.IsLoopback() {
		hosts = append(hosts, "localhost") // proxies on this machine that compare names only
	}
	r := secrets.CertificateRequest{Kind: secrets.ServerCertificate, CSR: csr, Identity: s.cfg.Machines.Identity, Hosts: hosts}
	return secrets.KeepCertificate(ctx, s.cfg.Authority, r, s.cfg.Log, func(chain []*x509.Certificate) error {
		holder.Set(mtls.Pair(chain, key))
		first()
		return nil
	})
}
