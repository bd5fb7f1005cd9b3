package tlscheck_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/tlscheck"
)

// authority signs what a test asks for.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, Subject: pkix.Name{CommonName: t.Name()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{t, cert, key}
}

func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(71 * time.Hour),
		URIs: []*url.URL{{Scheme: "fog", Host: "gateway", Path: "/main"}}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return mtls.Pair([]*x509.Certificate{leaf, a.cert}, key)
}

func (a *authority) list(age, next time.Duration, revoked ...int64) *x509.RevocationList {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-age), NextUpdate: time.Now().Add(next)}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	require.NoError(a.t, err)
	parsed, err := x509.ParseRevocationList(der)
	require.NoError(a.t, err)
	return parsed
}

func unchanged(*x509.Certificate) {}

// door is how our gateways serve machines.
func (a *authority) door(cert tls.Certificate, revoked ...int64) *tls.Config {
	holder, verifier := &mtls.Holder{}, mtls.NewVerifier(time.Now)
	holder.Set(cert)
	verifier.Set(secrets.Trust{Roots: []*x509.Certificate{a.cert}, Revoked: a.list(0, time.Hour, revoked...)})
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
	ours, other := newAuthority(t), newAuthority(t)
	good := ours.issue(unchanged)
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
		"the machines' door":     {ours.door(good), false, ours.issue(unchanged), none},
		"everybody's door":       {plainWith(good), true, good, none},
		"asks for none":          {plainWith(good), false, good, one("client certificate", tlscheck.Error)},
		"serves without":         {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequestClientCert}, false, good, one("client certificate", tlscheck.Error)},
		"serves without, openly": {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequestClientCert}, true, good, one("client certificate", tlscheck.Warning)},
		"takes any":              {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}, false, good, one("stranger's certificate", tlscheck.Error)},
		"our own is revoked":     {ours.door(good, 7), false, ours.issue(unchanged), one("own certificate", tlscheck.Error)},
		"our own is another's":   {ours.door(good), false, other.issue(unchanged), one("own certificate", tlscheck.Error)},
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
		"another authority's": {plainWith(other.issue(unchanged)), true, good, one("chain", tlscheck.Error)},
		"another name's":      {plainWith(ours.issue(func(c *x509.Certificate) { c.IPAddresses = nil })), true, good, one("chain", tlscheck.Error)},
		"nobody's":            {plainWith(ours.issue(func(c *x509.Certificate) { c.URIs = nil })), true, good, one("identity", tlscheck.Warning)},
		"expired": {
			plainWith(ours.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })), true, good, one("expiry", tlscheck.Error),
		},
		"of tomorrow": {
			plainWith(ours.issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })), true, good, one("expiry", tlscheck.Error),
		},
		"not renewed": {
			plainWith(ours.issue(func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Now().Add(-70*time.Hour), time.Now().Add(2*time.Hour)
			})), true, good,
			one("expiry", tlscheck.Warning),
		},
		"lives too long": {
			plainWith(ours.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(200 * time.Hour) })), true, good, one("expiry", tlscheck.Warning),
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := tlscheck.Options{Roots: x509.NewCertPool(), Client: &c.client, Patience: 20 * time.Second, Now: time.Now}
			o.Roots.AddCert(ours.cert)
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
	ours, other := newAuthority(t), newAuthority(t)
	own := ours.issue(unchanged)
	certs := []*x509.Certificate{other.cert, ours.cert}
	for name, c := range map[string]struct {
		list  *x509.RevocationList
		certs []*x509.Certificate
		want  tlscheck.Level
	}{
		"fresh":            {ours.list(5*time.Minute, time.Hour), certs, tlscheck.OK},
		"forgotten":        {ours.list(2*time.Hour, time.Hour), certs, tlscheck.Warning},
		"over":             {ours.list(2*time.Hour, -time.Second), certs, tlscheck.Error},
		"the own is on it": {ours.list(time.Minute, time.Hour, 3, 7), certs, tlscheck.Error},
		"another's":        {other.list(time.Minute, time.Hour), certs[1:], tlscheck.Error},
		"nobody to ask":    {ours.list(time.Minute, time.Hour), nil, tlscheck.Error},
	} {
		f := tlscheck.List(c.list, c.certs, own.Leaf, time.Now())
		require.Equal(t, c.want, f.Level, "%s: %+v", name, f)
	}
}
