package adr36

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256r1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// The document as the ADR writes it, sorted and without spaces; Keplr's signArbitrary signs these bytes.
func TestSignBytesGolden(t *testing.T) {
	got, err := SignBytes("fog1xyz", "a <text> & more\n")
	require.NoError(t, err)
	const want = `{"account_number":"0","chain_id":"","fee":{"amount":[],"gas":"0"},"memo":"","msgs":[{"type":"sign/MsgSignData",` +
		`"value":{"data":"YSA8dGV4dD4gJiBtb3JlCg==","signer":"fog1xyz"}}],"sequence":"0"}`
	require.Equal(t, want, string(got))
	var fields map[string]any
	require.NoError(t, json.Unmarshal(got, &fields))
	sorted, err := json.Marshal(fields) // by name
	require.NoError(t, err)
	require.Equal(t, want, string(sorted))
}

func TestVerify(t *testing.T) {
	t.Run("secp256k1", func(t *testing.T) { verifies(t, secp256k1.GenPrivKey(), secp256k1.GenPrivKey()) })
	t.Run("secp256r1", func(t *testing.T) {
		key, err := secp256r1.GenPrivKey()
		require.NoError(t, err)
		other, err := secp256r1.GenPrivKey()
		require.NoError(t, err)
		verifies(t, key, other)
	})
}

func verifies(t *testing.T, key, other cryptotypes.PrivKey) {
	signer, err := sdk.Bech32ifyAddressBytes("fog", key.PubKey().Address())
	require.NoError(t, err)
	doc, err := SignBytes(signer, "hello")
	require.NoError(t, err)
	good, err := key.Sign(doc)
	require.NoError(t, err)
	require.NoError(t, Verify("fog", signer, "hello", key.PubKey().Bytes(), good))

	foreign, err := other.Sign(doc)
	require.NoError(t, err)
	plain, err := key.Sign([]byte("hello"))
	require.NoError(t, err)
	high := append([]byte{}, good...)
	copy(high[32:], bytes.Repeat([]byte{0xff}, 32))
	flipped := append([]byte{}, good...)
	flipped[40] ^= 1
	for name, c := range map[string]struct {
		prefix, signer, text string
		key, signature       []byte
	}{
		"other text":       {"fog", signer, "hello!", key.PubKey().Bytes(), good},
		"other prefix":     {"cosmos", signer, "hello", key.PubKey().Bytes(), good},
		"other key":        {"fog", signer, "hello", other.PubKey().Bytes(), foreign},
		"foreign":          {"fog", signer, "hello", key.PubKey().Bytes(), foreign},
		"without document": {"fog", signer, "hello", key.PubKey().Bytes(), plain},
		"flipped":          {"fog", signer, "hello", key.PubKey().Bytes(), flipped},
		"high s":           {"fog", signer, "hello", key.PubKey().Bytes(), high},
		"short":            {"fog", signer, "hello", key.PubKey().Bytes(), good[:63]},
		"empty":            {"fog", signer, "hello", key.PubKey().Bytes(), nil},
		"no key":           {"fog", signer, "hello", nil, good},
		"zero key":         {"fog", signer, "hello", make([]byte, 33), good},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, Verify(c.prefix, c.signer, c.text, c.key, c.signature), ErrSignature)
		})
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("fog1x", "text", []byte{2}, []byte{1})
	f.Add("", "", make([]byte, 33), make([]byte, 64))
	f.Fuzz(func(t *testing.T, signer, text string, key, signature []byte) {
		if Verify("fog", signer, text, key, signature) == nil {
			t.Fatal("a signature out of nowhere is accepted")
		}
	})
}
