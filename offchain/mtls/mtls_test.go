package mtls_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
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
	"github.com/foggrid/fogd/offchain/mtls/mtlstest"
	"github.com/foggrid/fogd/offchain/secrets"
)

func TestIdentity(t *testing.T) {
	authority, other := mtlstest.New(t), mtlstest.New(t)
	for name, c := range map[string]struct {
		cert tls.Certificate
		next time.Duration
		says string
	}{
		"good":           {authority.Node(2, "node1x"), time.Hour, ""},
		"revoked":        {authority.Node(9, "node1x"), time.Hour, "revoked"},
		"stale list":     {authority.Node(2, "node1x"), -time.Minute, "has run out"},
		"another CA":     {other.Node(2, "node1x"), time.Hour, "unknown authority"},
		"expired":        {authority.Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), time.Hour, "expired"},
		"not yet":        {authority.Issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), time.Hour, "not yet valid"},
		"for servers":    {authority.Issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), time.Hour, "incompatible key usage"},
		"nobody":         {authority.Issue(func(c *x509.Certificate) { c.URIs = nil }), time.Hour, "names 0 URIs"},
		"two":            {authority.Issue(func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }), time.Hour, "names 2 URIs"},
		"another scheme": {authority.Issue(func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "x"}} }), time.Hour, "is expected"},
	} {
		v := mtls.NewVerifier(time.Now)
		_, err := v.Identity([]*x509.Certificate{c.cert.Leaf})
		require.ErrorIs(t, err, mtls.ErrStale, "nobody is let in before it is known who may")
		v.Set(secrets.Trust{Roots: []*x509.Certificate{authority.Cert}, Revoked: authority.List(48*time.Hour, c.next, 9)})
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
	authority := mtlstest.New(t)
	server, client, verifier := &mtls.Holder{}, &mtls.Holder{}, mtls.NewVerifier(time.Now)
	verifier.Set(authority.Trust())
	server.Set(authority.Node(2, "node1x"))
	client.Set(authority.Node(3, "node1x"))
	roots := x509.NewCertPool()
	roots.AddCert(authority.Cert)
	addr := echo(t, server.Server(verifier))
	config := client.Client(roots)
	stream, err := tls.Dial("tcp", addr, config)
	require.NoError(t, err)
	defer func() { require.NoError(t, stream.Close()) }()
	require.NoError(t, say(stream, "before"))

	server.Set(authority.Node(4, "node1x"))
	client.Set(authority.Node(5, "node1x"))
	verifier.Set(authority.Trust(3))
	require.NoError(t, say(stream, "after"))
	next, err := tls.Dial("tcp", addr, config)
	require.NoError(t, err)
	require.NoError(t, say(next, "new"))
	require.EqualValues(t, 4, next.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), "the server's new one")
	require.EqualValues(t, tls.VersionTLS13, next.ConnectionState().Version)
	require.NoError(t, next.Close())

	verifier.Set(authority.Trust(3, 5))
	refused, err := tls.Dial("tcp", addr, config)
	if err == nil { // in TLS 1.3 the client learns it with the first read
		err = errors.Join(say(refused, "revoked"), refused.Close())
	}
	require.ErrorContains(t, err, "tls: ")
}

func TestFromFiles(t *testing.T) {
	authority := mtlstest.New(t)
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
	write := func(c tls.Certificate) {
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(files[0], mtls.PEM([]*x509.Certificate{c.Leaf, authority.Cert}), 0o600))
		require.NoError(t, os.WriteFile(files[1], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	}
	require.NoError(t, os.WriteFile(files[2], mtls.PEM([]*x509.Certificate{authority.Cert}), 0o600))
	_, err := mtls.FromFiles(files[0], files[1], files[2])
	require.ErrorIs(t, err, os.ErrNotExist)
	for serial := range int64(2) {
		write(authority.Node(serial+10, "node1x"))
		config, err := mtls.FromFiles(files[0], files[1], files[2])
		require.NoError(t, err)
		write(authority.Node(serial+20, "node1x"))
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
	authority, other := mtlstest.New(t), mtlstest.New(t)
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
		cert := from.Issue(func(c *x509.Certificate) {
			c.SerialNumber.SetInt64(serial)
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
			v.Set(secrets.Trust{Roots: []*x509.Certificate{authority.Cert}, Revoked: authority.List(48*time.Hour, next, barred...)})
			barred = nil // from then on the newest list counts
		}
		v.Set(secrets.Trust{Roots: []*x509.Certificate{authority.Cert}, Revoked: authority.List(48*time.Hour, next, revoked...)})
		for _, r := range append(revoked, barred...) {
			good = good && r != serial
		}
		_, err := v.Identity([]*x509.Certificate{cert.Leaf, from.Cert})
		require.Equal(t, good, err == nil, "%v", err)
	})
}

// What is read is written the same again.
func FuzzParsePEM(f *testing.F) {
	authority := mtlstest.New(f)
	f.Add(mtls.PEM([]*x509.Certificate{authority.Cert, authority.Cert}))
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

// Whoever replaces a pair writes two files, one after the other: meanwhile the pair of before is shown.
func TestFilesAreReplaced(t *testing.T) {
	authority, dir := mtlstest.New(t), t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	_, err := mtls.OpenFiles(cert, key)
	require.ErrorIs(t, err, os.ErrNotExist)
	first, second := authority.Node(3, "a"), authority.Node(4, "b")
	authority.WritePair(dir, "", first)
	files, err := mtls.OpenFiles(cert, key)
	require.NoError(t, err)
	shows := func(serial int64) {
		t.Helper()
		c, err := files.Certificate()
		require.NoError(t, err)
		require.Equal(t, serial, c.Leaf.SerialNumber.Int64())
	}
	shows(3)
	authority.WritePair(dir, "next-", second)
	require.NoError(t, os.Rename(filepath.Join(dir, "next-cert.pem"), cert))
	shows(3)
	_, err = mtls.OpenFiles(cert, key)
	require.ErrorContains(t, err, "private key does not match")
	require.NoError(t, os.Rename(filepath.Join(dir, "next-key.pem"), key))
	shows(4)
	require.NoError(t, os.Remove(cert))
	shows(4)
}

// Whoever serves by files sees a revocation with the next look, and is not put off by files that are no good.
func TestTrustIsFollowed(t *testing.T) {
	authority, other, dir := mtlstest.New(t), mtlstest.New(t), t.TempDir()
	v, ticks, ended := mtls.NewVerifier(time.Now), make(chan time.Time), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := mtls.ReadTrust(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	authority.WriteTrust(dir)
	go func() {
		defer close(ended)
		v.Follow(ctx, dir, ticks, slog.New(slog.DiscardHandler))
	}()
	look := func() { // the second is taken when the first has been looked at
		ticks <- time.Time{}
		ticks <- time.Time{}
	}
	node := authority.Node(21, "node1x")
	identity := func() error {
		_, err := v.Identity([]*x509.Certificate{node.Leaf})
		return err
	}
	look()
	require.NoError(t, identity())
	authority.WriteTrust(dir, 21)
	look()
	require.ErrorIs(t, identity(), mtls.ErrRevoked)

	// Another authority's list with our authority, a list that is none, and no list.
	elsewhere := t.TempDir()
	other.WriteTrust(elsewhere)
	require.NoError(t, os.Rename(filepath.Join(elsewhere, mtls.ListFile), filepath.Join(dir, mtls.ListFile)))
	_, err = mtls.ReadTrust(dir)
	require.ErrorContains(t, err, "the list is not of the authority")
	look()
	require.ErrorIs(t, identity(), mtls.ErrRevoked)
	require.NoError(t, os.WriteFile(filepath.Join(dir, mtls.ListFile), []byte("x"), 0o600))
	_, err = mtls.ReadTrust(dir)
	require.ErrorContains(t, err, "no list of revoked certificates in PEM")
	require.NoError(t, os.Remove(filepath.Join(dir, mtls.ListFile)))
	look()
	require.ErrorIs(t, identity(), mtls.ErrRevoked)
	authority.WriteTrust(dir)
	look()
	require.NoError(t, identity())
	cancel()
	<-ended
}
