package file

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/secretstest"
)

const phrase = "correct horse"

func fixed(s string) Passphrase { return func(bool) (string, error) { return s, nil } }

func open(t *testing.T, dir string, backend Backend, p Passphrase) *Store {
	t.Helper()
	s, err := Open(dir, backend, p)
	require.NoError(t, err)
	return s
}

func TestConformance(t *testing.T) {
	t.Run("test", func(t *testing.T) {
		secretstest.Run(t, func(t *testing.T) secretstest.Open {
			dir := filepath.Join(t.TempDir(), "store")
			return func() secrets.Writer { return open(t, dir, Test, nil) }
		})
	})
	t.Run("file", func(t *testing.T) {
		if testing.Short() {
			t.Skip("scrypt takes seconds")
		}
		secretstest.Run(t, func(t *testing.T) secretstest.Open {
			dir := filepath.Join(t.TempDir(), "store")
			return func() secrets.Writer { return open(t, dir, File, fixed(phrase)) }
		})
	})
}

func TestExtras(t *testing.T) {
	for _, backend := range []Backend{Test, File} {
		dir := filepath.Join(t.TempDir(), string(backend))
		open := func() *Store { return open(t, dir, backend, fixed(phrase)) }
		t.Run(string(backend), func(t *testing.T) {
			if backend == File && testing.Short() {
				t.Skip("scrypt takes seconds")
			}
			secretstest.RunSigner(t, func(*testing.T) secretstest.OpenSigner { return func() secrets.Signer { return open() } })
			secretstest.RunIssuer(t, func() secrets.Issuer { return open() }, secrets.OracleIdentity("main"))
			require.NoError(t, open().Write(t.Context(), "lease.nomad", []byte(`{"secret_id": "token"}`)))
			secretstest.RunLeases(t, open(), "nomad")
			secretstest.RunJobs(t, open(), openSealed, false)
			require.NoError(t, open().Write(t.Context(), "lease.broken", []byte(`["token"]`)))
			_, err := open().Lease(t.Context(), "broken")
			require.ErrorContains(t, err, "it must be a JSON object of texts")
		})
	}
}

// filled is a store with one secret of each kind.
func filled(t *testing.T) (dir string) {
	dir = filepath.Join(t.TempDir(), "store")
	s, ctx := open(t, dir, File, fixed(phrase)), context.Background()
	_, err := s.ImportKey(ctx, "k", secretstest.Words)
	require.NoError(t, err)
	_, err = s.CreateTransportKey(ctx, "t")
	require.NoError(t, err)
	require.NoError(t, s.Write(ctx, "v", []byte("plain text value")))
	return dir
}

func TestWrongPassphrase(t *testing.T) {
	s, ctx := open(t, filled(t), File, fixed("wrong horse")), context.Background()
	_, err := s.Key(ctx, "k")
	require.ErrorIs(t, err, ErrPassphrase)
	_, err = s.TransportKey(ctx, "t")
	require.ErrorIs(t, err, ErrPassphrase)
	_, err = s.Read(ctx, "v")
	require.ErrorIs(t, err, ErrPassphrase)
	require.ErrorIs(t, s.Write(ctx, "w", nil), ErrPassphrase)
	_, _, err = s.CreateKey(ctx, "k2")
	require.ErrorIs(t, err, ErrPassphrase)
}

func TestShortPassphrase(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store"), File, fixed("1234567"))
	require.Error(t, s.Write(context.Background(), "v", nil))
	entries, err := os.ReadDir(filepath.Join(s.Dir(), valuesDir))
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestPassphraseAskedOnce(t *testing.T) {
	asked, ctx := []bool{}, context.Background()
	s := open(t, filepath.Join(t.TempDir(), "store"), File, func(fresh bool) (string, error) {
		asked = append(asked, fresh)
		return phrase, nil
	})
	_, err := s.Read(ctx, "v")
	require.ErrorIs(t, err, secrets.ErrNotFound)
	require.Empty(t, asked, "nothing to decrypt")
	require.NoError(t, s.Write(ctx, "v", nil))
	_, _, err = s.CreateKey(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, []bool{true}, asked)
}

func TestModes(t *testing.T) {
	dir := filled(t)
	var paths []string
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		paths = append(paths, path)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return err
	}))
	require.Greater(t, len(paths), 6)
	for _, path := range paths {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, info.Mode().Perm()|0o040))
		_, err = Open(dir, File, fixed(phrase))
		want := "chmod 0600 " + path
		if info.IsDir() {
			want = "chmod 0700 " + path
		}
		require.ErrorContains(t, err, want)
		require.NoError(t, os.Chmod(path, info.Mode().Perm()))
	}
	open(t, dir, File, fixed(phrase))
}

func TestNothingInPlainText(t *testing.T) {
	dir := filled(t)
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		require.False(t, bytes.Contains(raw, []byte("plain text")), path)
		return err
	}))
}

func TestDamaged(t *testing.T) {
	dir, ctx := filled(t), context.Background()
	path := filepath.Join(dir, valuesDir, "v.age")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	raw[len(raw)-1] ^= 1
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	_, err = open(t, dir, File, fixed(phrase)).Read(ctx, "v")
	require.Error(t, err)
	require.NotErrorIs(t, err, secrets.ErrNotFound)
	require.NotErrorIs(t, err, ErrPassphrase)
}

// The SDK's own keyring, as fogd keys opens it, reads what the store wrote.
func TestSDKReadsKeys(t *testing.T) {
	registry := codectypes.NewInterfaceRegistry()
	cryptocodec.RegisterInterfaces(registry)
	for backend, input := range map[Backend]string{File: phrase + "\n", Test: ""} {
		dir := filepath.Join(t.TempDir(), "store")
		made, _, err := open(t, dir, backend, fixed(phrase)).CreateKey(context.Background(), "k")
		require.NoError(t, err)
		kr, err := keyring.New("fog", string(backend), dir, strings.NewReader(input), codec.NewProtoCodec(registry))
		require.NoError(t, err)
		record, err := kr.Key("k")
		require.NoError(t, err)
		pub, err := record.GetPubKey()
		require.NoError(t, err)
		require.True(t, made.PubKey().Equals(pub))
	}
}

func TestPassphraseSources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phrase")
	require.NoError(t, os.WriteFile(path, []byte(phrase+"\n"), 0o600))
	got, err := FromFile(path)(false)
	require.NoError(t, err)
	require.Equal(t, phrase, got)
	require.NoError(t, os.Chmod(path, 0o644))
	_, err = FromFile(path)(false)
	require.ErrorContains(t, err, "chmod 0600 "+path)

	t.Setenv("FOG_TEST_PASSPHRASE", phrase)
	got, err = FromEnv("FOG_TEST_PASSPHRASE")(false)
	require.NoError(t, err)
	require.Equal(t, phrase, got)
	_, err = FromEnv("FOG_TEST_PASSPHRASE_UNSET")(false)
	require.ErrorContains(t, err, "FOG_TEST_PASSPHRASE_UNSET")

	notTerminal, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer func() { require.NoError(t, notTerminal.Close()) }()
	_, err = Prompt(notTerminal, &bytes.Buffer{})(true)
	require.ErrorContains(t, err, "no terminal")
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(t.TempDir(), "os", nil)
	require.ErrorContains(t, err, "backend")
	_, err = Open(filepath.Join(t.TempDir(), "x"), File, nil)
	require.ErrorContains(t, err, "passphrase")
}

func TestKeysAreListed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	s := open(t, dir, File, fixed(phrase))
	names, err := s.Keys(t.Context())
	require.NoError(t, err)
	require.Empty(t, names)
	for _, name := range []string{"second", "first"} {
		_, _, err := s.CreateKey(t.Context(), name)
		require.NoError(t, err)
	}
	names, err = open(t, dir, File, fixed(phrase)).Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"first", "second"}, names)
	_, err = open(t, dir, File, fixed("another horse")).Keys(t.Context())
	require.ErrorIs(t, err, ErrPassphrase)
}

func openSealed(_ context.Context, l secrets.Loan, key ed25519.PrivateKey, attempt, owner string, paths []string) ([][]byte, error) {
	return secrets.OpenSealed(l, key, attempt, owner, paths)
}
