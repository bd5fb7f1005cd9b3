package nginx

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
)

// served is nginx with the configuration, in front of a handler.
type served struct {
	addr  string
	roots *x509.CertPool
}

// serveNginx starts nginx for as long as the test runs, with old and new texts exchanged in its configuration; without one, it is skipped, and said so.
func serveNginx(t *testing.T, handler http.Handler, exchange ...string) served {
	t.Helper()
	upstream := httptest.NewServer(handler)
	t.Cleanup(upstream.Close)
	dir := t.TempDir()
	g := Gateway{
		Host: "grid.example", Upstream: strings.TrimPrefix(upstream.URL, "http://"), Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
		HTTPPort: port(t), HTTPSPort: port(t),
	}
	writeCertificate(t, g)
	var conf bytes.Buffer
	require.NoError(t, g.Write(&conf))
	// On the loopback only, and in the foreground, as a child of the test.
	exchange = append(exchange, fmt.Sprintf("listen %d", g.HTTPPort), fmt.Sprintf("listen 127.0.0.1:%d", g.HTTPPort),
		fmt.Sprintf("listen %d", g.HTTPSPort), fmt.Sprintf("listen 127.0.0.1:%d", g.HTTPSPort))
	text := strings.NewReplacer(exchange...).Replace(conf.String())
	s := served{fmt.Sprintf("127.0.0.1:%d", g.HTTPSPort), x509.NewCertPool()}
	nginxtest.Start(t, dir, s.addr, text)
	raw, err := os.ReadFile(g.Certificate)
	require.NoError(t, err)
	block, _ := pem.Decode(raw)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	s.roots.AddCert(cert)
	return s
}

func port(t *testing.T) uint16 {
	t.Helper()
	address, err := netip.ParseAddrPort(nginxtest.FreeAddress(t))
	require.NoError(t, err)
	return address.Port()
}

func (s served) config() *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: "grid.example", MinVersion: tls.VersionTLS10}
}

func (s served) client(c *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
}

// The protocols of the configuration decide, whatever the library would let through: its own level is set to nothing here.
func TestNginxRefusesOldTLS(t *testing.T) {
	versions := []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}
	taken := func(exchange ...string) (all []bool) {
		s := serveNginx(t, http.NotFoundHandler(), append(exchange, "ssl_ciphers ", "ssl_ciphers ALL:@SECLEVEL=0:")...)
		for _, version := range versions {
			c := s.config()
			c.MinVersion, c.MaxVersion = version, version
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
			conn, err := tls.Dial("tcp", s.addr, c)
			if all = append(all, err == nil); err == nil {
				require.NoError(t, conn.Close())
			}
		}
		return all
	}
	require.Equal(t, []bool{false, false, true, true}, taken())
	// The test can tell.
	require.Equal(t, []bool{true, true, true, true}, taken("ssl_protocols TLSv1.2", "ssl_protocols TLSv1 TLSv1.1 TLSv1.2"))
}

// What a client says of itself does not reach the gateway as what the proxy says, nor does a body over the limit, and a session that is taken up again
// says of nobody who it is.
func TestNginxForgeries(t *testing.T) {
	seen := make(chan http.Header, 1)
	s := serveNginx(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		_, err := io.Copy(w, r.Body)
		if err != nil {
			panic(err)
		}
	}))
	config := s.config()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := false
	for range 2 {
		req, err := http.NewRequest("GET", "https://"+s.addr+"/v1/nodes", nil)
		require.NoError(t, err)
		req.Host = "grid.example"
		req.Header = http.Header{"X-Forwarded-For": {"198.51.100.1", "198.51.100.2"}, "X-Forwarded-Proto": {"http"}}
		resp, err := s.client(config).Do(req)
		require.NoError(t, err)
		resumed = resumed || resp.TLS.DidResume
		require.NoError(t, resp.Body.Close())
		header := <-seen
		require.Equal(t, []string{"127.0.0.1"}, header.Values("X-Forwarded-For"))
		require.Equal(t, []string{"https"}, header.Values("X-Forwarded-Proto"))
		require.Empty(t, header.Values("Authorization"))
		for name := range header {
			require.NotContains(t, strings.ToLower(name), "ssl", "the proxy passes no identity on")
		}
	}
	t.Logf("resumed: %v", resumed)
	resp, err := s.client(config).Post("https://"+s.addr+"/v1/tokens", "application/json", bytes.NewReader(make([]byte, 513<<10)))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	require.Empty(t, seen)
}

// Clients that never end their header are cut off, and hold up nobody meanwhile.
func TestNginxSlowClients(t *testing.T) {
	s := serveNginx(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	var conns []*tls.Conn
	for range 50 {
		conn, err := tls.Dial("tcp", s.addr, s.config())
		require.NoError(t, err)
		_, err = conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: grid.example\r\nX-Slow: "))
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	resp, err := s.client(s.config()).Get("https://" + s.addr + "/healthz")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	for _, conn := range conns {
		// Reading ends when nginx hangs up; if it never did, so would the test.
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Log(err)
		}
		require.NotContains(t, string(text), "HTTP/1.1 2")
		require.NoError(t, conn.Close())
	}
}
