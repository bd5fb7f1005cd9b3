package vault

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
)

func FuzzParseSignature(f *testing.F) {
	for _, seed := range []string{
		"", "vault:v1:", "vault:v1:AAAA", "vault:v1:" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := parseSignature(text)
		if err == nil {
			require.Len(t, raw, 64)
			require.Equal(t, raw, secrets.P256Signature(new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])), "the lower s already")
		}
	})
}

func TestParseSignatureRefuses(t *testing.T) {
	for _, text := range []string{"", "vault:v1", "vault:v1:!", "vault:v1:AAAA", "vault:v1:x:y"} {
		_, err := parseSignature(text)
		require.Error(t, err, text)
	}
}

func TestFirstVersion(t *testing.T) {
	_, _, err := firstVersion(map[string]any{"type": "ed25519"})
	require.ErrorContains(t, err, "it must be ecdsa-p256")
	_, _, err = firstVersion(map[string]any{"type": transitType, "keys": map[string]any{"2": map[string]any{"public_key": "x"}}})
	require.ErrorContains(t, err, "its first version is archived")
}
