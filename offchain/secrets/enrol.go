package secrets

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
)

// NonceSize is the least length of a nonce in bytes.
const NonceSize = 16

// ErrEnrolment is a request that does not prove the key on chain, or proves it to somebody else.
var ErrEnrolment = errors.New("the request does not prove the node's key")

// NewEnrolment is the CSR with which an agent proves its key: signed by the key that the chain has, over the nonce of whoever issues certificates. Its
// answer is a certificate for that key.
func NewEnrolment(key ed25519.PrivateKey, nonce []byte) (csr []byte, err error) {
	if len(nonce) < NonceSize {
		return nil, fmt.Errorf("the nonce has %d bytes; %d are the least", len(nonce), NonceSize)
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{SerialNumber: hex.EncodeToString(nonce)}}, key)
}

// CheckEnrolment returns ErrEnrolment unless the CSR is signed by the key and carries the nonce, which the caller gives once.
func CheckEnrolment(csr, nonce []byte, key ed25519.PublicKey) error {
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEnrolment, err)
	}
	public, ok := r.PublicKey.(ed25519.PublicKey)
	if !ok || !public.Equal(key) {
		return fmt.Errorf("%w: it is for another key than the one on chain", ErrEnrolment)
	}
	if err := r.CheckSignature(); err != nil {
		return fmt.Errorf("%w: %w", ErrEnrolment, err)
	}
	got, err := hex.DecodeString(r.Subject.SerialNumber)
	if err != nil || len(nonce) < NonceSize || !bytes.Equal(got, nonce) {
		return fmt.Errorf("%w: it answers another nonce; ask for a new one", ErrEnrolment)
	}
	return nil
}
