package secretstest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
)

// OpenIssuer is Open for a certificate authority.
type OpenIssuer func() secrets.Issuer

const node = "fog://node/node1qqqsyqcyq5rqwzqf"

// RunIssuer tests an implementation's certificate authority; server is an identity that it gives servers.
func RunIssuer(t *testing.T, open OpenIssuer, server string) {
	t.Run("agent", func(t *testing.T) { issueAgent(t, open) })
	t.Run("server", func(t *testing.T) { issueServer(t, open, server) })
	t.Run("refuses", func(t *testing.T) { refuses(t, open(), server) })
	t.Run("revokes", func(t *testing.T) { revokes(t, open) })
}

// nonce is where an enrolment has it.
const nonce = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// CSR is a request that asks for more than it may have.
func CSR(t *testing.T) (der []byte, public ed25519.PublicKey) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	other, err := url.Parse("fog://node/node1other")
	require.NoError(t, err)
	der, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "admin.example", SerialNumber: nonce}, DNSNames: []string{"evil.example"}, URIs: []*url.URL{other},
	}, key)
	require.NoError(t, err)
	return der, public
}

// verify checks the chain as a server would and returns the leaf.
func verify(t *testing.T, s secrets.Issuer, chain []*x509.Certificate, usage x509.ExtKeyUsage) *x509.Certificate {
	t.Helper()
	trust, err := s.Trust(t.Context())
	require.NoError(t, err)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range trust.Roots {
		roots.AddCert(root)
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}})
	require.NoError(t, err)
	require.False(t, trust.Revokes(chain[0].SerialNumber))
	return chain[0]
}

func uris(c *x509.Certificate) (all []string) {
	for _, u := range c.URIs {
		all = append(all, u.String())
	}
	return all
}

// requireLife allows for clocks that differ by some minutes, not for another kind's life.
func requireLife(t *testing.T, c *x509.Certificate, want time.Duration) {
	t.Helper()
	life := time.Until(c.NotAfter)
	require.Less(t, life, want+10*time.Minute)
	require.Greater(t, life, want-10*time.Minute)
	require.True(t, c.NotBefore.Before(time.Now()))
}

func issueAgent(t *testing.T, open OpenIssuer) {
	csr, public := CSR(t)
	chain, err := open().Issue(t.Context(), secrets.CertificateRequest{Kind: secrets.AgentCertificate, CSR: csr, Identity: node})
	require.NoError(t, err)
	leaf := verify(t, open(), chain, x509.ExtKeyUsageClientAuth)
	require.True(t, public.Equal(leaf.PublicKey))
	require.Equal(t, []string{node}, uris(leaf))
	require.Empty(t, leaf.DNSNames, "what the CSR asks for beside counts for nothing")
	require.Empty(t, leaf.IPAddresses)
	require.Empty(t, leaf.Subject.CommonName)
	require.NotEqual(t, nonce, leaf.Subject.SerialNumber)
	require.False(t, leaf.IsCA)
	require.NotContains(t, leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	requireLife(t, leaf, 24*time.Hour)
}

func issueServer(t *testing.T, open OpenIssuer, server string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	require.NoError(t, err)
	chain, err := open().Issue(t.Context(), secrets.CertificateRequest{
		Kind: secrets.ServerCertificate, CSR: csr, Identity: server, Hosts: []string{"oracle.example", "127.0.0.1", "::1"},
	})
	require.NoError(t, err)
	leaf := verify(t, open(), chain, x509.ExtKeyUsageServerAuth)
	verify(t, open(), chain, x509.ExtKeyUsageClientAuth)
	require.True(t, key.PublicKey.Equal(leaf.PublicKey))
	require.Equal(t, []string{server}, uris(leaf))
	for _, host := range []string{"oracle.example", "127.0.0.1", "::1"} {
		require.NoError(t, leaf.VerifyHostname(host))
	}
	require.Error(t, leaf.VerifyHostname("other.example"))
	requireLife(t, leaf, 72*time.Hour)
}

func refuses(t *testing.T, s secrets.Issuer, server string) {
	csr, _ := CSR(t)
	broken := append([]byte{}, csr...)
	broken[len(broken)-1] ^= 1
	for name, r := range map[string]secrets.CertificateRequest{
		"kind":       {Kind: "root", CSR: csr, Identity: node},
		"no csr":     {Kind: secrets.AgentCertificate, Identity: node},
		"bad proof":  {Kind: secrets.AgentCertificate, CSR: broken, Identity: node},
		"scheme":     {Kind: secrets.AgentCertificate, CSR: csr, Identity: "spiffe://node/node1x"},
		"no name":    {Kind: secrets.AgentCertificate, CSR: csr, Identity: "fog://node/"},
		"other kind": {Kind: secrets.AgentCertificate, CSR: csr, Identity: server},
		"as server":  {Kind: secrets.ServerCertificate, CSR: csr, Identity: node},
		"hosts":      {Kind: secrets.AgentCertificate, CSR: csr, Identity: node, Hosts: []string{"example.com"}},
	} {
		_, err := s.Issue(t.Context(), r)
		require.ErrorIs(t, err, secrets.ErrRequest, name)
	}
	require.ErrorIs(t, s.Revoke(t.Context(), nil), secrets.ErrRequest)
}

func revokes(t *testing.T, open OpenIssuer) {
	issue := func() *x509.Certificate {
		csr, _ := CSR(t)
		chain, err := open().Issue(t.Context(), secrets.CertificateRequest{Kind: secrets.AgentCertificate, CSR: csr, Identity: node})
		require.NoError(t, err)
		return chain[0]
	}
	jailed, other := issue(), issue()
	require.NoError(t, open().Revoke(t.Context(), jailed.SerialNumber))
	require.NoError(t, open().Revoke(t.Context(), jailed.SerialNumber), "again is no error")
	trust, err := open().Trust(t.Context())
	require.NoError(t, err)
	require.True(t, trust.Revokes(jailed.SerialNumber))
	require.False(t, trust.Revokes(other.SerialNumber))
	require.NoError(t, trust.Revoked.CheckSignatureFrom(trust.Roots[0]))
	require.True(t, trust.Revoked.NextUpdate.After(time.Now()))
}
