package mtls_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

// ca signs what a test asks for, also what no authority of ours would.
type ca struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t testing.TB) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &ca{t, cert, key}
}

func (c *ca) issue(serial int64, change func(*x509.Certificate)) tls.Certificate {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(c.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), URIs: []*url.URL{{Scheme: "fog", Host: "node", Path: "/node1x"}},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	require.NoError(c.t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(c.t, err)
	return mtls.Pair([]*x509.Certificate{leaf, c.cert}, key)
}

func (c *ca) trust(next time.Duration, revoked ...int64) secrets.Trust {
	c.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: time.Now().Add(next)}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, c.cert, c.key)
	require.NoError(c.t, err)
	crl, err := x509.ParseRevocationList(der)
	require.NoError(c.t, err)
	return secrets.Trust{Roots: []*x509.Certificate{c.cert}, Revoked: crl}
}

func TestIdentity(t *testing.T) {
	authority, other := newCA(t), newCA(t)
	for name, c := range map[string]struct {
		cert tls.Certificate
		next time.Duration
		says string
	}{
		"good":           {authority.issue(2, nil), time.Hour, ""},
		"revoked":        {authority.issue(7, nil), time.Hour, "revoked"},
		"stale list":     {authority.issue(2, nil), -time.Minute, "has run out"},
		"another CA":     {other.issue(2, nil), time.Hour, "unknown authority"},
		"expired":        {authority.issue(2, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), time.Hour, "expired"},
		"not yet":        {authority.issue(2, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), time.Hour, "not yet valid"},
		"for servers":    {authority.issue(2, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), time.Hour, "incompatible key usage"},
		"nobody":         {authority.issue(2, func(c *x509.Certificate) { c.URIs = nil }), time.Hour, "names 0 URIs"},
		"two":            {authority.issue(2, func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }), time.Hour, "names 2 URIs"},
		"another scheme": {authority.issue(2, func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "x"}} }), time.Hour, "is expected"},
	} {
		v := mtls.NewVerifier(time.Now)
		_, err := v.Identity([]*x509.Certificate{c.cert.Leaf})
		require.ErrorIs(t, err, mtls.ErrStale, "nobody is let in before it is known who may")
		v.Set(authority.trust(c.next, 7))
		identity, err := v.Identity([]*x509.Certificate{c.cert.Leaf})
		if c.says == "" {
			require.NoError(t, err, name)
			require.Equal(t, "fog://node/node1x", identity)
			continue
		}
		require.ErrorContains(t, err, c.says, name)
		_, err = v.Identity(nil)
		require.ErrorIs(t, err, mtls.ErrNoCertificate)
	}
}

// echo serves with a holder's certificate until the test ends.
func echo(t *testing.T, config *tls.Config) string {
	t.Helper()
	lis, err := tls.Listen("tcp", "127.0.0.1:0", config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lis.Close()) })
	go func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			go func() {
				defer io.Closer(conn).Close()
				if _, err := io.Copy(conn, conn); err != nil { // a handshake that failed, or the end of the test
					return
				}
			}()
		}
	}()
	return lis.Addr().String()
}

func say(conn net.Conn, text string) error {
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != text {
		return errors.New("another answer")
	}
	return nil
}

// A renewal on either side is for connections that begin later; a stream that is open goes on, whatever happens to the certificate it began with.
func TestStreamsOutliveRenewals(t *testing.T) {
	authority := newCA(t)
	server, client, verifier := &mtls.Holder{}, &mtls.Holder{}, mtls.NewVerifier(time.Now)
	verifier.Set(authority.trust(time.Hour))
	server.Set(authority.issue(2, nil))
	client.Set(authority.issue(3, nil))
	roots := x509.NewCertPool()
	roots.AddCert(authority.cert)
	addr := echo(t, server.Server(verifier))
	config := client.Client(roots)
	stream, err := tls.Dial("tcp", addr, config)
	require.NoError(t, err)
	defer func() { require.NoError(t, stream.Close()) }()
	require.NoError(t, say(stream, "before"))

	server.Set(authority.issue(4, nil))
	client.Set(authority.issue(5, nil))
	verifier.Set(authority.trust(time.Hour, 3))
	require.NoError(t, say(stream, "after"))
	next, err := tls.Dial("tcp", addr, config)
	require.NoError(t, err)
	require.NoError(t, say(next, "new"))
	require.EqualValues(t, 4, next.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), "the server's new one")
	require.EqualValues(t, tls.VersionTLS13, next.ConnectionState().Version)
	require.NoError(t, next.Close())

	verifier.Set(authority.trust(time.Hour, 3, 5))
	refused, err := tls.Dial("tcp", addr, config)
	if err == nil { // in TLS 1.3 the client learns it with the first read
		err = errors.Join(say(refused, "revoked"), refused.Close())
	}
	require.ErrorContains(t, err, "tls: ")
}

func TestFromFiles(t *testing.T) {
	authority := newCA(t)
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
	write := func(c tls.Certificate) {
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(files[0], mtls.PEM([]*x509.Certificate{c.Leaf, authority.cert}), 0o600))
		require.NoError(t, os.WriteFile(files[1], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	}
	require.NoError(t, os.WriteFile(files[2], mtls.PEM([]*x509.Certificate{authority.cert}), 0o600))
	_, err := mtls.FromFiles(files[0], files[1], files[2])
	require.ErrorIs(t, err, os.ErrNotExist)
	for serial := range int64(2) {
		write(authority.issue(serial+10, nil))
		config, err := mtls.FromFiles(files[0], files[1], files[2])
		require.NoError(t, err)
		write(authority.issue(serial+20, nil))
		shown, err := config.GetClientCertificate(nil)
		require.NoError(t, err)
		require.EqualValues(t, serial+20, shown.Leaf.SerialNumber.Int64(), "it was replaced meanwhile")
	}
	require.NoError(t, os.WriteFile(files[2], []byte("nothing"), 0o600))
	_, err = mtls.FromFiles("", "", files[2])
	require.ErrorContains(t, err, "no certificate")
}

// Whoever is let in is not revoked, not expired, and of the authority; and all those are let in.
func TestVerifierLetsInExactlyTheGood(t *testing.T) {
	authority, other := newCA(t), newCA(t)
	rapid.Check(t, func(t *rapid.T) {
		foreign, expired, stale := rapid.Bool().Draw(t, "foreign"), rapid.Bool().Draw(t, "expired"), rapid.Bool().Draw(t, "stale")
		serial := rapid.Int64Range(1, 5).Draw(t, "serial")
		revoked := rapid.SliceOfN(rapid.Int64Range(1, 5), 0, 3).Draw(t, "revoked")
		from, next, good := authority, time.Hour, !foreign && !expired && !stale
		if foreign {
			from = other
		}
		if stale {
			next = -time.Second
		}
		cert := from.issue(serial, func(c *x509.Certificate) {
			if expired {
				c.NotAfter = time.Now().Add(-time.Second)
			}
		})
		// Some are barred before the list has them; a list never lets one in again that it does not have.
		barred := rapid.SliceOfN(rapid.Int64Range(1, 5), 0, 2).Draw(t, "barred")
		v := mtls.NewVerifier(time.Now)
		for _, b := range barred {
			v.Bar(big.NewInt(b))
		}
		if rapid.Bool().Draw(t, "listed before") {
			v.Set(authority.trust(next, barred...))
			barred = nil // from then on the newest list counts
		}
		v.Set(authority.trust(next, revoked...))
		for _, r := range append(revoked, barred...) {
			good = good && r != serial
		}
		_, err := v.Identity([]*x509.Certificate{cert.Leaf, from.cert})
		require.Equal(t, good, err == nil, "%v", err)
	})
}

// What is read is written the same again.
func FuzzParsePEM(f *testing.F) {
	authority := newCA(f)
	f.Add(mtls.PEM([]*x509.Certificate{authority.cert, authority.cert}))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		certs, err := mtls.ParsePEM(text)
		if err != nil {
			return
		}
		again, err := mtls.ParsePEM(mtls.PEM(certs))
		require.NoError(t, err)
		require.Len(t, again, len(certs))
		for i := range certs {
			require.True(t, bytes.Equal(certs[i].Raw, again[i].Raw))
		}
	})
}
