package nginx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
)

// authority has certificates in files, as nginx reads them.
type authority struct {
	*file.Store
	dir string
}

func (a authority) write(t *testing.T, name string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, name), text, 0o600))
}

// trust writes what `fog cert trust` does.
func (a authority) trust(t *testing.T) *x509.CertPool {
	t.Helper()
	trust, err := a.Trust(t.Context())
	require.NoError(t, err)
	a.write(t, "ca.pem", mtls.PEM(trust.Roots))
	a.write(t, "crl.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: trust.Revoked.Raw}))
	pool := x509.NewCertPool()
	pool.AddCert(trust.Roots[0])
	return pool
}

func (a authority) server(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	require.NoError(t, err)
	chain, err := a.Issue(t.Context(), secrets.CertificateRequest{
		Kind: secrets.ServerCertificate, CSR: csr, Identity: "fog://gateway/main", Hosts: []string{"grid.example"},
	})
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	a.write(t, "cert.pem", mtls.PEM(chain))
	a.write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (a authority) agent(t *testing.T) tls.Certificate {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	require.NoError(t, err)
	chain, err := a.Issue(t.Context(), secrets.CertificateRequest{Kind: secrets.AgentCertificate, CSR: csr, Identity: secrets.NodeIdentity("node1x")})
	require.NoError(t, err)
	return mtls.Pair(chain, key)
}

// A proxy that demands certificates lets a revoked one in no more once it has read the list: neither on a new connection, nor by a session that is
// taken up again, nor on a connection that is older.
func TestNginxRevokes(t *testing.T) {
	store, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	a := authority{store, t.TempDir()}
	roots := a.trust(t)
	a.server(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(upstream.Close)
	g := Gateway{
		Host: "grid.example", Upstream: strings.TrimPrefix(upstream.URL, "http://"), Certificate: filepath.Join(a.dir, "cert.pem"),
		Key: filepath.Join(a.dir, "key.pem"), Trust: a.dir, HTTPPort: port(t), HTTPSPort: port(t),
	}
	var conf bytes.Buffer
	require.NoError(t, g.Write(&conf))
	address := fmt.Sprintf("127.0.0.1:%d", g.HTTPSPort)
	server := nginxtest.Start(t, t.TempDir(), address, conf.String())

	jailed, other := a.agent(t), a.agent(t)
	clients := map[string]*http.Client{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, keep := range []bool{false, true} {
			config := &tls.Config{
				RootCAs: roots, ServerName: "grid.example", MinVersion: version, MaxVersion: version,
				Certificates: []tls.Certificate{jailed}, ClientSessionCache: tls.NewLRUClientSessionCache(8),
			}
			name := fmt.Sprintf("%s, connection kept: %v", tls.VersionName(version), keep)
			clients[name] = &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: !keep}}
		}
	}
	status := func(c *http.Client) int {
		resp, err := c.Get("https://" + address)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	for name, c := range clients {
		require.Equal(t, http.StatusOK, status(c), name)
		require.Equal(t, http.StatusOK, status(c), name)
	}
	nobody := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "grid.example", MinVersion: tls.VersionTLS12}}}
	require.Equal(t, http.StatusBadRequest, status(nobody), "no certificate")

	require.NoError(t, a.Revoke(t.Context(), jailed.Leaf.SerialNumber))
	a.trust(t)
	server.Reload(t)
	for name, c := range clients {
		// For a moment workers of before the reload answer too.
		require.Eventually(t, func() bool { return status(c) == http.StatusBadRequest }, time.Minute, 50*time.Millisecond, name)
	}
	good := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: "grid.example", MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{other},
	}}}
	require.Equal(t, http.StatusOK, status(good))
}
