package nginx

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/mtls/mtlstest"
)

// machines is nginx with a port for machines in front of a handler, which serves those alone who show what the authority has signed.
type machines struct {
	*nginxtest.Server
	t         *testing.T
	authority *mtlstest.Authority
	dir       string
	people    served
	addr      string
}

func serveMachines(t *testing.T, upstream tls.Certificate, authority *mtlstest.Authority, handler http.Handler) *machines {
	t.Helper()
	nginxtest.Program(t)
	m := &machines{t: t, authority: authority, dir: t.TempDir()}
	holder, verifier := &mtls.Holder{}, mtls.NewVerifier(time.Now)
	holder.Set(upstream)
	verifier.Set(authority.Trust())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	door := &http.Server{Handler: handler, TLSConfig: holder.Server(verifier), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- door.ServeTLS(lis, "", "") }()
	t.Cleanup(func() {
		require.NoError(t, door.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)

	authority.WritePair(m.dir, "", authority.Issue(nil))
	authority.WriteTrust(m.dir)
	g := Gateway{
		Host: "localhost", Upstream: plain.Listener.Addr().String(), Certificate: filepath.Join(m.dir, "cert.pem"), Key: filepath.Join(m.dir, "key.pem"),
		HTTPPort: nginxtest.Port(t), HTTPSPort: nginxtest.Port(t), Machines: &Machines{Upstream: lis.Addr().String(), Dir: m.dir, Port: nginxtest.Port(t)},
	}
	var conf bytes.Buffer
	require.NoError(t, g.Write(&conf))
	m.Server = nginxtest.Start(t, conf.String())
	m.people = served{fmt.Sprintf("127.0.0.1:%d", g.HTTPSPort), authority.Pool()}
	m.addr = fmt.Sprintf("127.0.0.1:%d", g.Machines.Port)
	return m
}

func (m *machines) get(c *tls.Config, header http.Header) (int, string, error) {
	req, err := http.NewRequest("GET", "https://"+m.addr+"/v1/whoami", nil)
	require.NoError(m.t, err)
	if header != nil {
		req.Header = header
	}
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, "", err
	}
	if resp.TLS.DidResume {
		m.t.Error("a session was taken up again")
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(m.t, err)
	return resp.StatusCode, string(body), resp.Body.Close()
}

func (m *machines) as(pair tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: m.authority.Pool(), Certificates: []tls.Certificate{pair}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

// shown answers with the serial number of the certificate that the proxy says it has seen.
func shown(w http.ResponseWriter, r *http.Request) {
	values := r.Header.Values("X-Fog-Client-Certificate")
	if len(values) != 1 {
		http.Error(w, fmt.Sprintf("%d headers", len(values)), http.StatusTeapot)
		return
	}
	text, err := url.PathUnescape(values[0])
	if err == nil {
		var certs []*x509.Certificate
		if certs, err = mtls.ParsePEM([]byte(text)); err == nil {
			_, err = fmt.Fprint(w, certs[0].SerialNumber)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
	}
}

// The port for machines lets in exactly those with a good certificate, says whose it was whatever they say themselves, and takes no session up again: not those of the
// other port either.
func TestNginxMachines(t *testing.T) {
	ours, other := mtlstest.New(t), mtlstest.New(t)
	m := serveMachines(t, ours.Issue(nil), ours, http.HandlerFunc(shown))
	good := ours.Node(21, "node1x")
	for _, pair := range []tls.Certificate{good, ours.Node(22, "node1y")} {
		config := m.as(pair)
		for range 2 {
			status, body, err := m.get(config, http.Header{"X-Fog-Client-Certificate": {"forged", "twice"}})
			require.NoError(t, err)
			require.Equal(t, []any{http.StatusOK, pair.Leaf.SerialNumber.String()}, []any{status, body})
		}
	}

	none := m.as(good)
	none.Certificates = nil
	// A session of the port for people opens nothing at that for machines.
	resp, err := m.people.client(none).Get("https://" + m.people.addr + "/healthz")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	refused := func(name string, config *tls.Config) {
		status, body, err := m.get(config, nil)
		if err == nil { // nginx says so in HTTP
			require.Equal(t, http.StatusBadRequest, status, "%s: %s", name, body)
			require.Contains(t, body, "SSL certificate", name)
		} else {
			require.ErrorContains(t, err, "tls: ", name)
		}
	}
	refused("no certificate", none)
	refused("another authority's", m.as(other.Node(21, "node1x")))
	refused("expired", m.as(ours.Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })))
	old := m.as(good)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	refused("TLS 1.1", old)
}

// A revoked certificate is let in no more once nginx has read the list: neither on a new connection, nor by a session that is taken up again, nor on a connection that is
// older.
func TestNginxRevokes(t *testing.T) {
	ours := mtlstest.New(t)
	m := serveMachines(t, ours.Issue(nil), ours, http.HandlerFunc(shown))
	clients := map[string]*http.Client{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, keep := range []bool{false, true} {
			config := m.as(ours.Node(22, "node1y"))
			config.MinVersion, config.MaxVersion = version, version
			name := fmt.Sprintf("%s, connection kept: %v", tls.VersionName(version), keep)
			clients[name] = &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: !keep}}
		}
	}
	status := func(c *http.Client) int {
		resp, err := c.Get("https://" + m.addr)
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
	ours.WriteTrust(m.dir, 22)
	m.Reload()
	for name, c := range clients { // for a moment workers of before the reload answer too
		require.Eventually(t, func() bool { return status(c) == http.StatusBadRequest }, time.Minute, 50*time.Millisecond, name)
	}
	code, _, err := m.get(m.as(ours.Node(21, "node1x")), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, code)
}

// The proxy looks at the gateway's certificate too: one of another authority, or another name's, gets no request.
func TestNginxChecksTheGateway(t *testing.T) {
	ours, other := mtlstest.New(t), mtlstest.New(t)
	for name, upstream := range map[string]tls.Certificate{
		"another authority's": other.Issue(nil),
		"another name's":      ours.Issue(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"elsewhere.example"} }),
		"expired":             ours.Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
	} {
		m := serveMachines(t, upstream, ours, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error(name + " was asked") }))
		status, _, err := m.get(m.as(ours.Node(21, "node1x")), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadGateway, status, name)
	}
}

// curl and openssl see the same as our own client.
func TestNginxMachinesForOthers(t *testing.T) {
	ours := mtlstest.New(t)
	m := serveMachines(t, ours.Issue(nil), ours, http.HandlerFunc(shown))
	ours.WritePair(m.dir, "node-", ours.Node(21, "node1x"))
	run := func(stdin, name string, args ...string) (string, error) {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("SKIPPED: no %s on PATH", name)
		}
		cmd := exec.Command(path, args...)
		cmd.Dir, cmd.Stdin = m.dir, strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	t.Run("curl", func(t *testing.T) {
		out, err := run("", "curl", "-sS", "--fail", "--cacert", "ca.pem", "--cert", "node-cert.pem", "--key", "node-key.pem", "https://"+m.addr+"/")
		require.NoError(t, err, out)
		require.Equal(t, "21", out)
		out, err = run("", "curl", "-sS", "--fail", "--cacert", "ca.pem", "https://"+m.addr+"/")
		require.Error(t, err, out)
		out, err = run("", "curl", "-sS", "--fail", "--cacert", "ca.pem", "--cert", "node-cert.pem", "--key", "node-key.pem", "--tls-max", "1.1", "https://"+m.addr+"/")
		require.Error(t, err, out)
	})
	t.Run("openssl", func(t *testing.T) {
		const request = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
		args := []string{"s_client", "-connect", m.addr, "-CAfile", "ca.pem", "-verify_return_error", "-ign_eof", "-cert", "node-cert.pem", "-key", "node-key.pem"}
		out, err := run(request, "openssl", append(args, "-tls1_2")...)
		require.NoError(t, err, out)
		require.Contains(t, out, "\r\n\r\n21")
		require.Contains(t, out, "Session-ID: \n", "no session that could be taken up again")
		require.NotContains(t, out, "TLS session ticket:")
		for _, no := range [][]string{{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, {"-tls1_2", "-cipher", "AES128-SHA"}} {
			out, err := run(request, "openssl", append(args, no...)...)
			require.Error(t, err, out)
		}
	})
}

// Websockets, and what is streamed, go through at both ports.
func TestNginxPassesStreams(t *testing.T) {
	ours := mtlstest.New(t)
	next := make(chan struct{})
	m := serveMachines(t, ours.Issue(nil), ours, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			for i := range 3 {
				if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				<-next
			}
			return
		}
		if !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			t.Error("no Connection: upgrade")
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer io.Closer(conn).Close()
		if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"); err != nil {
			return
		}
		if _, err := io.Copy(conn, buffered); err != nil { // says everything again, until the other side has enough
			return
		}
	}))
	for addr, config := range map[string]*tls.Config{m.people.addr: m.people.config(), m.addr: m.as(ours.Node(21, "node1x"))} {
		config.ServerName = "127.0.0.1"
		resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: config}}).Get("https://" + addr + "/v1/stream")
		require.NoError(t, err)
		lines := bufio.NewScanner(resp.Body)
		for i := range 3 { // each is read before the next is written
			require.True(t, lines.Scan())
			require.Equal(t, fmt.Sprintf("line %d", i), lines.Text())
			next <- struct{}{}
		}
		require.NoError(t, resp.Body.Close())

		conn, err := tls.Dial("tcp", addr, config)
		require.NoError(t, err)
		say(t, conn, "GET /v1/socket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "HTTP/1.1 101 ")
		say(t, conn, "ping", "ping")
		require.NoError(t, conn.Close())

		// Nothing else may be switched to.
		plain, err := tls.Dial("tcp", addr, config)
		require.NoError(t, err)
		say(t, plain, "GET /v1/socket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", "HTTP/1.1 200 ")
		require.NoError(t, plain.Close())
		for range 3 {
			next <- struct{}{}
		}
	}
}

// say writes, and reads until what is expected was there.
func say(t *testing.T, conn net.Conn, text, expected string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
	var got []byte
	for buf := make([]byte, 1024); !strings.Contains(string(got), expected); {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		require.NoError(t, err, string(got))
	}
}
