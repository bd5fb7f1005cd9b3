// Package secretstest holds the tests that every implementation of secrets.Writer passes.
package secretstest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
)

// Words restore the key with public key WordsPubKey: m/44'/118'/0'/0/0, no passphrase (BIP-39's all-zero vector).
const (
	Words       = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	WordsPubKey = "024f4e2ad99c34d60b9ba6283c9431a8418af8673212961f97a77b6377fcd05b62"
)

// Open returns a store over the place that belongs to the test; each call opens it anew, as a restarted program does.
type Open func() secrets.Writer

// Run tests an implementation; fresh gives an empty place.
func Run(t *testing.T, fresh func(t *testing.T) Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"missing":        missing,
		"names":          names,
		"keys":           keys,
		"import":         importKey,
		"transport":      transport,
		"ensure":         ensure,
		"values":         values,
		"kinds":          kinds,
		"writes at once": writesAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
	t.Run("words restore a key elsewhere", func(t *testing.T) {
		ctx := context.Background()
		made, words, err := fresh(t)().CreateKey(ctx, "one")
		require.NoError(t, err)
		require.Len(t, strings.Fields(words), 24)
		restored, err := fresh(t)().ImportKey(ctx, "two", words)
		require.NoError(t, err)
		require.True(t, made.PubKey().Equals(restored.PubKey()))
	})
}

func missing(t *testing.T, open Open) {
	s, ctx := open(), context.Background()
	_, err := s.Key(ctx, "none")
	require.ErrorIs(t, err, secrets.ErrNotFound)
	_, err = s.TransportKey(ctx, "none")
	require.ErrorIs(t, err, secrets.ErrNotFound)
	_, err = s.Read(ctx, "none")
	require.ErrorIs(t, err, secrets.ErrNotFound)
}

func names(t *testing.T, open Open) {
	s, ctx := open(), context.Background()
	for _, name := range []string{"", "..", ".hidden", "a/b", `a\b`, "../x", "Upper", "ü", "-x", "a b", strings.Repeat("a", 65)} {
		_, err := s.Key(ctx, name)
		require.ErrorIs(t, err, secrets.ErrName, "%q", name)
		_, _, err = s.CreateKey(ctx, name)
		require.ErrorIs(t, err, secrets.ErrName, "%q", name)
		_, err = s.ImportKey(ctx, name, Words)
		require.ErrorIs(t, err, secrets.ErrName, "%q", name)
		_, err = s.TransportKey(ctx, name)
		require.ErrorIs(t, err, secrets.ErrName, "%q", name)
		_, err = s.CreateTransportKey(ctx, name)
		require.ErrorIs(t, err, secrets.ErrName, "%q", name)
		_, err = s.Read(ctx, name)
		require.ErrorIs(t, err, secrets.ErrName, "%q", name)
		require.ErrorIs(t, s.Write(ctx, name, nil), secrets.ErrName, "%q", name)
	}
	require.NoError(t, s.Write(ctx, "0"+strings.Repeat("-", 63), []byte("x")))
}

func keys(t *testing.T, open Open) {
	s, ctx := open(), context.Background()
	made, _, err := s.CreateKey(ctx, "feeder")
	require.NoError(t, err)
	for _, s := range []secrets.Writer{s, open()} {
		key, err := s.Key(ctx, "feeder")
		require.NoError(t, err)
		require.True(t, made.PubKey().Equals(key.PubKey()))
		msg := []byte("sign document")
		signature, err := key.Sign(msg)
		require.NoError(t, err)
		require.True(t, made.PubKey().VerifySignature(msg, signature))
		require.False(t, made.PubKey().VerifySignature([]byte("another"), signature))
		_, _, err = s.CreateKey(ctx, "feeder")
		require.ErrorIs(t, err, secrets.ErrExists)
		_, err = s.ImportKey(ctx, "feeder", Words)
		require.ErrorIs(t, err, secrets.ErrExists)
	}
	other, _, err := s.CreateKey(ctx, "other")
	require.NoError(t, err)
	require.False(t, made.PubKey().Equals(other.PubKey()))
}

func importKey(t *testing.T, open Open) {
	s, ctx := open(), context.Background()
	_, err := s.ImportKey(ctx, "restored", "not a mnemonic")
	require.Error(t, err)
	_, err = s.Key(ctx, "restored")
	require.ErrorIs(t, err, secrets.ErrNotFound, "a failed import leaves nothing")
	_, err = s.ImportKey(ctx, "restored", Words)
	require.NoError(t, err)
	key, err := open().Key(ctx, "restored")
	require.NoError(t, err)
	require.Equal(t, WordsPubKey, hex.EncodeToString(key.PubKey().Bytes()))
}

func transport(t *testing.T, open Open) {
	s, ctx := open(), context.Background()
	made, err := s.CreateTransportKey(ctx, "agent")
	require.NoError(t, err)
	got, err := open().TransportKey(ctx, "agent")
	require.NoError(t, err)
	require.Equal(t, made, got)
	msg := []byte("ping")
	require.True(t, ed25519.Verify(made.Public().(ed25519.PublicKey), msg, ed25519.Sign(got, msg)))
	_, err = open().CreateTransportKey(ctx, "agent")
	require.ErrorIs(t, err, secrets.ErrExists)
	got, err = s.TransportKey(ctx, "agent")
	require.NoError(t, err)
	require.Equal(t, made, got, "the refused creation changed nothing")
}

func ensure(t *testing.T, open Open) {
	ctx := context.Background()
	made := make([]ed25519.PrivateKey, 4)
	var callers sync.WaitGroup
	for i := range made {
		s := open()
		callers.Go(func() {
			var err error
			made[i], err = secrets.EnsureTransportKey(ctx, s, "agent")
			require.NoError(t, err)
		})
	}
	callers.Wait()
	for _, key := range made {
		require.Equal(t, made[0], key, "all got the same key")
	}
}

func values(t *testing.T, open Open) {
	s, ctx := open(), context.Background()
	for _, value := range [][]byte{{}, []byte("token"), {0, 255, '\n'}, bytes.Repeat([]byte{7}, secrets.MaxValue), []byte("short again")} {
		require.NoError(t, s.Write(ctx, "v", value))
		got, err := open().Read(ctx, "v")
		require.NoError(t, err)
		require.True(t, bytes.Equal(value, got))
	}
	require.ErrorIs(t, s.Write(ctx, "v", make([]byte, secrets.MaxValue+1)), secrets.ErrTooLarge)
	got, err := s.Read(ctx, "v")
	require.NoError(t, err)
	require.Equal(t, "short again", string(got))
}

func kinds(t *testing.T, open Open) {
	s, ctx := open(), context.Background()
	require.NoError(t, s.Write(ctx, "same", []byte("value")))
	_, _, err := s.CreateKey(ctx, "same")
	require.NoError(t, err)
	_, err = s.CreateTransportKey(ctx, "same")
	require.NoError(t, err)
	got, err := s.Read(ctx, "same")
	require.NoError(t, err)
	require.Equal(t, "value", string(got))
}

func writesAtOnce(t *testing.T, open Open) {
	ctx := context.Background()
	wrote := map[string]bool{}
	var writers sync.WaitGroup
	for i := range 6 {
		value := strings.Repeat(fmt.Sprint(i), 1000+i)
		wrote[value] = true
		s := open()
		writers.Go(func() { require.NoError(t, s.Write(ctx, "v", []byte(value))) })
	}
	writers.Wait()
	got, err := open().Read(ctx, "v")
	require.NoError(t, err)
	require.True(t, wrote[string(got)], "one of them, as a whole")
}
