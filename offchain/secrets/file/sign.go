package file

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"

	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"

	"github.com/foggrid/fogd/offchain/secrets"
)

// SigningKey reads signing/NAME.age.
func (s *Store) SigningKey(_ context.Context, name string) (secrets.Key, error) {
	der, err := s.read(signingDir, name)
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w", name, err)
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w; restore the file from a backup", name, err)
	}
	return newSigningKey(key)
}

// CreateSigningKey makes signing/NAME.age.
func (s *Store) CreateSigningKey(_ context.Context, name string) (secrets.Key, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w", name, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w", name, err)
	}
	if err := s.write(signingDir, name, der, os.Link); err != nil {
		return nil, fmt.Errorf("signing key %q: %w", name, err)
	}
	return newSigningKey(key)
}

type signingKey struct {
	key *ecdsa.PrivateKey
	pub cryptotypes.PubKey
}

func newSigningKey(key *ecdsa.PrivateKey) (secrets.Key, error) {
	pub, err := secrets.P256PubKey(&key.PublicKey)
	return &signingKey{key, pub}, err
}

func (k *signingKey) PubKey() cryptotypes.PubKey { return k.pub }

func (k *signingKey) Sign(msg []byte) ([]byte, error) {
	digest := sha256.Sum256(msg)
	r, s, err := ecdsa.Sign(rand.Reader, k.key, digest[:])
	if err != nil {
		return nil, err
	}
	return secrets.P256Signature(r, s), nil
}
