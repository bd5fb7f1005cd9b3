package secretstest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256r1"

	"github.com/foggrid/fogd/offchain/secrets"
)

// OpenSigner is Open for a store with keys that do not leave it.
type OpenSigner func() secrets.Signer

// RunSigner tests the keys that do not leave an implementation; fresh gives a place without any.
func RunSigner(t *testing.T, fresh func(t *testing.T) OpenSigner) {
	open := fresh(t)
	ctx, s := t.Context(), open()
	_, err := s.SigningKey(ctx, "none")
	require.ErrorIs(t, err, secrets.ErrNotFound)
	for _, name := range []string{"", "..", "a/b", "Upper"} {
		_, err := s.SigningKey(ctx, name)
		require.ErrorIs(t, err, secrets.ErrName, "%q", name)
		_, err = s.CreateSigningKey(ctx, name)
		require.ErrorIs(t, err, secrets.ErrName, "%q", name)
	}
	made, err := s.CreateSigningKey(ctx, "feeder")
	require.NoError(t, err)
	require.IsType(t, &secp256r1.PubKey{}, made.PubKey())
	_, err = open().CreateSigningKey(ctx, "feeder")
	require.ErrorIs(t, err, secrets.ErrExists)
	got, err := open().SigningKey(ctx, "feeder")
	require.NoError(t, err)
	require.True(t, made.PubKey().Equals(got.PubKey()), "the refused creation changed nothing")
	// The chain takes the lower s only, which every second signature would lack.
	for range 16 {
		msg := []byte("sign document")
		signature, err := got.Sign(msg)
		require.NoError(t, err)
		require.True(t, made.PubKey().VerifySignature(msg, signature))
		require.False(t, made.PubKey().VerifySignature([]byte("another"), signature))
	}
	other, err := s.CreateSigningKey(ctx, "feeder.2")
	require.NoError(t, err)
	require.False(t, other.PubKey().Equals(made.PubKey()))
}
