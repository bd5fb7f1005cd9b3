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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	nginxtest.Program(t)
	upstream := httptest.NewServer(handler)
	t.Cleanup(upstream.Close)
	dir := t.TempDir()
	g := Gateway{
		Host: "grid.example", Upstream: strings.TrimPrefix(upstream.URL, "http://"), Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
		HTTPPort: nginxtest.Port(t), HTTPSPort: nginxtest.Port(t),
	}
	writeCertificate(t, g)
	var conf bytes.Buffer
	require.NoError(t, g.Write(&conf))
	nginxtest.Start(t, strings.NewReplacer(exchange...).Replace(conf.String()))
	s := served{fmt.Sprintf("127.0.0.1:%d", g.HTTPSPort), x509.NewCertPool()}
	raw, err := os.ReadFile(g.Certificate)
	require.NoError(t, err)
	block, _ := pem.Decode(raw)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	s.roots.AddCert(cert)
	return s
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

// What a client says of itself does not reach the gateway as what the proxy says, nor does a body over the limit, and no session is taken up again.
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
	for range 2 {
		req, err := http.NewRequest("GET", "https://"+s.addr+"/v1/nodes", nil)
		require.NoError(t, err)
		req.Host = "grid.example"
		req.Header = http.Header{"X-Forwarded-For": {"198.51.100.1", "198.51.100.2"}, "X-Forwarded-Proto": {"http"}, "X-Fog-Client-Certificate": {"forged"}}
		resp, err := s.client(config).Do(req)
		require.NoError(t, err)
		require.False(t, resp.TLS.DidResume, "neither tickets nor a cache of sessions")
		require.NoError(t, resp.Body.Close())
		header := <-seen
		require.Equal(t, []string{"127.0.0.1"}, header.Values("X-Forwarded-For"))
		require.Equal(t, []string{"https"}, header.Values("X-Forwarded-Proto"))
		require.Empty(t, header.Values("Authorization"))
		require.Empty(t, header.Values("X-Fog-Client-Certificate"))
		for name := range header {
			require.NotContains(t, strings.ToLower(name), "ssl", "the proxy passes no identity on")
		}
	}
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

// One address has some logins and some connections at a time, of which nginx refuses the rest.
func TestNginxLimitsOneAddress(t *testing.T) {
	release := make(chan struct{})
	s := serveNginx(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/wait" {
			<-release
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	client := s.client(s.config())
	status := func(path string) int {
		resp, err := client.Get("https://" + s.addr + path)
		if err != nil {
			return 0
		}
		if resp.Body.Close() != nil {
			return 0
		}
		return resp.StatusCode
	}
	for _, path := range []string{"/v1/login", "/v1/enrol"} { // both out of one bucket of twenty, and two a second
		refused := false
		for range 500 {
			if refused = status(path) == http.StatusServiceUnavailable; refused {
				break
			}
		}
		require.True(t, refused, path)
	}
	const many = 80
	answers := make(chan int, many)
	for range many {
		go func() { answers <- status("/wait") }()
	}
	select {
	case answer := <-answers:
		require.Equal(t, http.StatusServiceUnavailable, answer, "to one of those over the limit: the others wait")
	case <-time.After(time.Minute):
		t.Error("none is over the limit")
	}
	close(release)
	for range many - 1 {
		<-answers
	}
}
