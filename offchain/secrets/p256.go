package secrets

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"math/big"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256r1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
)

// P256PubKey is a key of the curve secp256r1 as the chain knows it.
func P256PubKey(key *ecdsa.PublicKey) (cryptotypes.PubKey, error) {
	if key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("a signing key is on curve %s; it must be on P-256", key.Curve.Params().Name)
	}
	point, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("public half of a signing key: %w", err)
	}
	compressed := append([]byte{2 | point[64]&1}, point[1:33]...)
	return secp256r1.NewPubKeyFromBytes(compressed)
}

// P256Signature is a signature as the chain takes it: r and the lower one of the two possible s, 32 bytes each.
func P256Signature(r, s *big.Int) []byte {
	n := elliptic.P256().Params().N
	if s.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
		s = new(big.Int).Sub(n, s)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return raw
}
