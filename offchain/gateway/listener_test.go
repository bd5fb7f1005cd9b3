package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/mtls/mtlstest"
	"github.com/foggrid/fogd/offchain/tlscheck"
)

// arrivals are connections that come from where the test says.
type arrivals struct{ next chan net.Conn }

func (a arrivals) Accept() (net.Conn, error) {
	if c, ok := <-a.next; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (arrivals) Close() error   { return nil }
func (arrivals) Addr() net.Addr { return &net.TCPAddr{} }

type arrival struct {
	net.Conn
	from   net.Addr
	hungUp func()
}

func (a arrival) RemoteAddr() net.Addr { return a.from }
func (a arrival) Close() error {
	a.hungUp()
	return nil
}

// Whatever the order in which connections come and go, no address has more than its share, this machine and proxies have what they want, and what is not for strangers has none.
func TestListenerBoundsAddresses(t *testing.T) {
	from := []string{"127.0.0.1:1", "[::1]:1", "10.0.0.7:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:2", "192.0.2.2:1", "[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:1::1]:1"}
	keys := []string{"", "", "", "192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::/64", "2001:db8::/64", "2001:db8:1::/64"}
	s := &Server{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	rapid.Check(t, func(t *rapid.T) {
		a := arrivals{make(chan net.Conn)}
		defer close(a.next)
		may, most := anybody, rapid.IntRange(1, 3).Draw(t, "most")
		if rapid.Bool().Draw(t, "plain") {
			may, most = s.nearby, 0
		}
		l := s.listener(a, most, may)
		taken := make(chan net.Conn)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				taken <- c
			}
		}()
		open := map[string][]net.Conn{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, len(from)-1).Draw(t, "from")
			key := keys[i]
			if n := len(open[key]); n > 0 && rapid.Bool().Draw(t, "goes") {
				require.NoError(t, open[key][n-1].Close())
				require.NoError(t, open[key][n-1].Close(), "twice counts once")
				open[key] = open[key][:n-1]
				continue
			}
			hungUp := make(chan struct{})
			a.next <- arrival{nil, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from[i])), sync.OnceFunc(func() { close(hungUp) })}
			select {
			case c := <-taken:
				require.True(t, key == "" || len(open[key]) < most, "%s has %d", key, len(open[key]))
				open[key] = append(open[key], c)
			case <-hungUp:
				require.True(t, key != "" && len(open[key]) >= most, "%s has %d", key, len(open[key]))
			}
		}
	})
}

// Without a proxy the gateway ends TLS as nginx would, and a certificate that is replaced is shown from the next connection on.
func TestGatewayEndsTLS(t *testing.T) {
	ours, dir := mtlstest.New(t), t.TempDir()
	ours.WritePair(dir, "", ours.Issue(nil))
	files, err := mtls.OpenFiles(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	require.NoError(t, err)
	w := newWorld(t, func(c *Config) { c.Certificate = files.Certificate })
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Serve(ctx, lis) }()
	defer func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}()
	address := lis.Addr().String()
	for _, f := range tlscheck.Examine(t.Context(), tlscheck.Endpoint{Address: address, Host: "127.0.0.1", HTTP: true}, tlscheck.Options{Roots: ours.Pool(), Patience: time.Minute, Now: time.Now}) {
		require.Equal(t, tlscheck.OK, f.Level, "%s: %s", f.Check, f.Found)
	}

	client := func() (serial int64) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ours.Pool(), ClientSessionCache: tls.NewLRUClientSessionCache(1)}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		for range 2 {
			resp, err := (&http.Client{Transport: transport}).Get("https://" + address + "/healthz")
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, 2, resp.ProtoMajor)
			require.NotEmpty(t, resp.Header.Get("Strict-Transport-Security"))
			require.False(t, resp.TLS.DidResume)
			serial = resp.TLS.PeerCertificates[0].SerialNumber.Int64()
		}
		return serial
	}
	require.EqualValues(t, 7, client())
	ours.WritePair(dir, "", ours.Node(8, "x"))
	require.EqualValues(t, 8, client())

	resp, err := http.Get("http://" + address + "/healthz")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, "in the clear")
}
