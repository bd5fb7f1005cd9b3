// Package mtlstest is an authority for tests, which signs also what no authority of ours would.
package mtlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

// Authority signs certificates and lists.
type Authority struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
	t    testing.TB
}

// New makes one, with a name that is the test's.
func New(t testing.TB) *Authority {
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
	return &Authority{cert, key, t}
}

// Issue signs a certificate for 127.0.0.1 and localhost with a key of its own, of fog://gateway/main with the serial number 7 and 71 hours to live, as far as nothing is changed in it.
func (a *Authority) Issue(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(71 * time.Hour),
		URIs: []*url.URL{{Scheme: "fog", Host: "gateway", Path: "/main"}}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, key.Public(), a.key)
	require.NoError(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return mtls.Pair([]*x509.Certificate{leaf, a.Cert}, key)
}

// Node is a certificate that names a node.
func (a *Authority) Node(serial int64, id string) tls.Certificate {
	a.t.Helper()
	return a.Issue(func(c *x509.Certificate) {
		c.SerialNumber.SetInt64(serial)
		c.URIs = []*url.URL{{Scheme: "fog", Host: "node", Path: "/" + id}}
	})
}

// List is one of revoked certificates.
func (a *Authority) List(age, next time.Duration, revoked ...int64) *x509.RevocationList {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-age), NextUpdate: time.Now().Add(next)}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.key)
	require.NoError(a.t, err)
	parsed, err := x509.ParseRevocationList(der)
	require.NoError(a.t, err)
	return parsed
}

// Trust is what those who check certificates are told, good for an hour.
func (a *Authority) Trust(revoked ...int64) secrets.Trust {
	a.t.Helper()
	return secrets.Trust{Roots: []*x509.Certificate{a.Cert}, Revoked: a.List(time.Minute, time.Hour, revoked...)}
}

// Pool has the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Cert)
	return p
}

// WriteTrust writes ca.pem and crl.pem, as fog cert trust does.
func (a *Authority) WriteTrust(dir string, revoked ...int64) {
	a.t.Helper()
	a.write(dir, "ca.pem", mtls.PEM([]*x509.Certificate{a.Cert}))
	a.write(dir, "crl.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: a.List(time.Minute, time.Hour, revoked...).Raw}))
}

// WritePair writes cert.pem and key.pem, as fog cert server does, with a name before them.
func (a *Authority) WritePair(dir, name string, pair tls.Certificate) {
	a.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(a.t, err)
	a.write(dir, name+"cert.pem", mtls.PEM([]*x509.Certificate{pair.Leaf, a.Cert}))
	a.write(dir, name+"key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

func (a *Authority) write(dir, name string, text []byte) {
	require.NoError(a.t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
}
