package tlscheck_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/mtls/mtlstest"
	"github.com/foggrid/fogd/offchain/tlscheck"
)

// door is how our gateways serve machines.
func door(a *mtlstest.Authority, cert tls.Certificate, revoked ...int64) *tls.Config {
	holder, verifier := &mtls.Holder{}, mtls.NewVerifier(time.Now)
	holder.Set(cert)
	verifier.Set(a.Trust(revoked...))
	return holder.Server(verifier)
}

// serve answers everybody whom the configuration lets in, until the test ends.
func serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	if config.CipherSuites == nil { // Go's default has some without authenticated encryption
		config.CipherSuites = new(mtls.Holder).Client(nil).CipherSuites
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &http.Server{
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ServeTLS(lis, "", "") }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return lis.Addr().String()
}

// bad are the findings that are not as they should be, and of which level.
func bad(findings []tlscheck.Finding) map[string]tlscheck.Level {
	out := map[string]tlscheck.Level{}
	for _, f := range findings {
		if f.Level != tlscheck.OK {
			out[f.Check] = f.Level
		}
	}
	return out
}

func TestExamine(t *testing.T) {
	ours, other := mtlstest.New(t), mtlstest.New(t)
	good := ours.Issue(nil)
	none := map[string]tlscheck.Level{}
	one := func(check string, level tlscheck.Level) map[string]tlscheck.Level {
		return map[string]tlscheck.Level{check: level}
	}
	// TLS 1.0 and 1.1 have no other suites.
	weak := append(slices.Clone(new(mtls.Holder).Client(nil).CipherSuites), tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA)
	plainWith := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	for name, c := range map[string]struct {
		config *tls.Config
		open   bool // it need not demand a certificate
		client tls.Certificate
		want   map[string]tlscheck.Level
	}{
		"the machines' door":     {door(ours, good), false, ours.Issue(nil), none},
		"everybody's door":       {plainWith(good), true, good, none},
		"asks for none":          {plainWith(good), false, good, one("client certificate", tlscheck.Error)},
		"serves without":         {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequestClientCert}, false, good, one("client certificate", tlscheck.Error)},
		"serves without, openly": {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequestClientCert}, true, good, one("client certificate", tlscheck.Warning)},
		"takes any":              {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}, false, good, one("stranger's certificate", tlscheck.Error)},
		"our own is revoked":     {door(ours, good, 7), false, ours.Issue(nil), one("own certificate", tlscheck.Error)},
		"our own is another's":   {door(ours, good), false, other.Issue(nil), one("own certificate", tlscheck.Error)},
		"TLS 1.1": {
			&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS11, CipherSuites: weak}, true, good,
			map[string]tlscheck.Level{"old protocols": tlscheck.Error, "suites": tlscheck.Error},
		},
		"TLS 1.0, and certificates demanded": {
			&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, CipherSuites: weak, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}, false, good,
			map[string]tlscheck.Level{"old protocols": tlscheck.Error, "suites": tlscheck.Error, "own certificate": tlscheck.Error},
		},
		"TLS 1.2 only": {&tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12}, true, good, one("protocol", tlscheck.Warning)},
		"a weak suite": {
			&tls.Config{Certificates: []tls.Certificate{good}, CipherSuites: weak}, true, good, one("suites", tlscheck.Error),
		},
		"another authority's": {plainWith(other.Issue(nil)), true, good, one("chain", tlscheck.Error)},
		"another name's":      {plainWith(ours.Issue(func(c *x509.Certificate) { c.IPAddresses = nil })), true, good, one("chain", tlscheck.Error)},
		"nobody's":            {plainWith(ours.Issue(func(c *x509.Certificate) { c.URIs = nil })), true, good, one("identity", tlscheck.Warning)},
		"expired": {
			plainWith(ours.Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })), true, good, one("expiry", tlscheck.Error),
		},
		"of tomorrow": {
			plainWith(ours.Issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })), true, good, one("expiry", tlscheck.Error),
		},
		"not renewed": {
			plainWith(ours.Issue(func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Now().Add(-70*time.Hour), time.Now().Add(2*time.Hour)
			})), true, good,
			one("expiry", tlscheck.Warning),
		},
		"lives too long": {
			plainWith(ours.Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(200 * time.Hour) })), true, good, one("expiry", tlscheck.Warning),
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := tlscheck.Options{Roots: x509.NewCertPool(), Client: &c.client, Patience: 20 * time.Second, Now: time.Now}
			o.Roots.AddCert(ours.Cert)
			findings := tlscheck.Examine(t.Context(), tlscheck.Endpoint{Address: serve(t, c.config), Host: "127.0.0.1", HTTP: true, Demands: !c.open}, o)
			require.Equal(t, c.want, bad(findings), "%+v", findings)
			for _, f := range findings {
				require.Equal(t, f.Level == tlscheck.OK, f.Fix == "", "%+v", f)
			}
		})
	}
}

func TestExamineWhatIsNoTLS(t *testing.T) {
	o := tlscheck.Options{Patience: 5 * time.Second, Now: time.Now}
	s := httptest.NewServer(http.NotFoundHandler())
	e := tlscheck.Endpoint{Address: s.Listener.Addr().String(), Host: "127.0.0.1", HTTP: true}
	require.Equal(t, map[string]tlscheck.Level{"tls": tlscheck.Error}, bad(tlscheck.Examine(t.Context(), e, o)))
	s.Close()
	require.Equal(t, map[string]tlscheck.Level{"reach": tlscheck.Error}, bad(tlscheck.Examine(t.Context(), e, o)))
}

// An oracle mints its certificates itself; the chain names its key.
func TestExaminePinned(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}
	s.StartTLS()
	defer s.Close()
	e := tlscheck.Endpoint{Address: s.Listener.Addr().String(), Host: "127.0.0.1", Key: public, Demands: true}
	o := tlscheck.Options{Patience: 20 * time.Second, Now: time.Now}
	require.Empty(t, bad(tlscheck.Examine(t.Context(), e, o)))
	e.Key, _, err = ed25519.GenerateKey(nil)
	require.NoError(t, err)
	require.Equal(t, map[string]tlscheck.Level{"key": tlscheck.Error}, bad(tlscheck.Examine(t.Context(), e, o)))
}

func TestList(t *testing.T) {
	ours, other := mtlstest.New(t), mtlstest.New(t)
	own := ours.Issue(nil)
	certs := []*x509.Certificate{other.Cert, ours.Cert}
	for name, c := range map[string]struct {
		list  *x509.RevocationList
		certs []*x509.Certificate
		want  tlscheck.Level
	}{
		"fresh":            {ours.List(5*time.Minute, time.Hour), certs, tlscheck.OK},
		"forgotten":        {ours.List(2*time.Hour, time.Hour), certs, tlscheck.Warning},
		"over":             {ours.List(2*time.Hour, -time.Second), certs, tlscheck.Error},
		"the own is on it": {ours.List(time.Minute, time.Hour, 3, 7), certs, tlscheck.Error},
		"another's":        {other.List(time.Minute, time.Hour), certs[1:], tlscheck.Error},
		"nobody to ask":    {ours.List(time.Minute, time.Hour), nil, tlscheck.Error},
	} {
		f := tlscheck.List(c.list, c.certs, own.Leaf, time.Now())
		require.Equal(t, c.want, f.Level, "%s: %+v", name, f)
	}
}
