package secrets

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnrolment(t *testing.T) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	other, otherKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	nonce := bytes.Repeat([]byte{7}, NonceSize)
	csr, err := NewEnrolment(key, nonce)
	require.NoError(t, err)
	require.NoError(t, CheckEnrolment(csr, nonce, public))
	_, err = CertificateRequest{Kind: AgentCertificate, CSR: csr, Identity: NodeIdentity("node1x")}.Check()
	require.NoError(t, err, "an authority takes it")

	require.ErrorIs(t, CheckEnrolment(csr, nonce, other), ErrEnrolment, "the key of another node")
	require.ErrorIs(t, CheckEnrolment(csr, bytes.Repeat([]byte{8}, NonceSize), public), ErrEnrolment, "a nonce that was given to another request")
	require.ErrorIs(t, CheckEnrolment(csr, nil, public), ErrEnrolment)
	stolen, err := NewEnrolment(otherKey, nonce)
	require.NoError(t, err)
	require.ErrorIs(t, CheckEnrolment(stolen, nonce, public), ErrEnrolment)
	_, err = NewEnrolment(key, nonce[1:])
	require.ErrorContains(t, err, "16 are the least")

	// Whoever has seen an earlier request has the key's name in it, and can write the nonce of today into it, but not sign that.
	earlier := bytes.Repeat([]byte{8}, NonceSize)
	seen, err := NewEnrolment(key, earlier)
	require.NoError(t, err)
	forged := bytes.Replace(seen, []byte(hex.EncodeToString(earlier)), []byte(hex.EncodeToString(nonce)), 1)
	require.NotEqual(t, seen, forged)
	require.ErrorIs(t, CheckEnrolment(forged, nonce, public), ErrEnrolment)

	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	wrong, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, curve)
	require.NoError(t, err)
	require.ErrorIs(t, CheckEnrolment(wrong, nonce, public), ErrEnrolment)
}

// FuzzCheckEnrolment: nothing but what the key signed proves anything.
func FuzzCheckEnrolment(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	nonce := make([]byte, NonceSize)
	csr, err := NewEnrolment(key, nonce)
	require.NoError(f, err)
	signed, err := x509.ParseCertificateRequest(csr)
	require.NoError(f, err)
	f.Add(csr)
	f.Add(csr[:len(csr)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if CheckEnrolment(raw, nonce, key.Public().(ed25519.PublicKey)) == nil {
			got, err := x509.ParseCertificateRequest(raw)
			require.NoError(t, err)
			require.Equal(t, signed.RawTBSCertificateRequest, got.RawTBSCertificateRequest)
		}
	})
}
