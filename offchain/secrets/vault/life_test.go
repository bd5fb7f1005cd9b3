package vault_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
	"github.com/foggrid/fogd/offchain/secrets/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
)

func TestAppRoleWorksOnce(t *testing.T) {
	each(t, func(t *testing.T, g *grid) {
		g.apply(t, "oracle=main")
		cfg := g.config(t, "oracle", "main")
		require.NoError(t, open(t, cfg).Write(t.Context(), "v", []byte("x")))
		_, err := open(t, cfg).Read(t.Context(), "v")
		require.ErrorContains(t, err, "was used before or has run out; if this program did not use it, somebody else has the secret id")

		// The secret id inside is good for one login too.
		wrapping, err := os.ReadFile(g.config(t, "oracle", "main").Login.(vault.AppRole).SecretIDFile)
		require.NoError(t, err)
		thief, err := api.NewClient(&api.Config{Address: g.url})
		require.NoError(t, err)
		secret, err := thief.Logical().UnwrapWithContext(t.Context(), string(bytes.TrimSpace(wrapping)))
		require.NoError(t, err)
		plain := cfg
		plain.Login = vault.AppRole{RoleID: cfg.Login.(vault.AppRole).RoleID, SecretIDFile: write(t, secret.Data["secret_id"].(string))}
		_, err = open(t, plain).Read(t.Context(), "v")
		require.NoError(t, err)
		_, err = open(t, plain).Read(t.Context(), "v")
		require.Error(t, err)
	})
}

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestJWTLogin(t *testing.T) {
	s := vaulttest.New(t, false)
	g := newGrid(t, s.URL, map[string]string{"jwks_url": "http://127.0.0.1/keys"})
	g.apply(t, "oracle=main")
	s.AddJWT("mine", map[string]string{"nomad_namespace": "default", "nomad_job_id": "fog-oracle-main"})
	s.AddJWT("other", map[string]string{"nomad_namespace": "default", "nomad_job_id": "fog-oracle-other"})
	s.AddJWT("a tenant's", map[string]string{"nomad_namespace": "tenant", "nomad_job_id": "fog-oracle-main"})
	cfg := vault.Config{Address: s.URL, Role: "oracle", Name: "main", Log: slog.New(slog.DiscardHandler)}
	cfg.Login = vault.JWT{Role: "oracle.main", File: write(t, "mine\n")}
	require.NoError(t, open(t, cfg).Write(t.Context(), "v", []byte("x")))
	for _, jwt := range []string{"other", "unknown", "a tenant's"} {
		cfg.Login = vault.JWT{Role: "oracle.main", File: write(t, jwt)}
		_, err := open(t, cfg).Read(t.Context(), "v")
		require.ErrorContains(t, err, "error validating")
	}
	cfg.Login = vault.JWT{Role: "oracle.main", File: write(t, "")}
	_, err := open(t, cfg).Read(t.Context(), "v")
	require.ErrorContains(t, err, "is empty")
}

// TestCertificateLogin: the local authority of the file store stands for any authority that the operator trusts.
func TestCertificateLogin(t *testing.T) {
	ca, err := file.Open(filepath.Join(t.TempDir(), "ca"), file.Test, nil)
	require.NoError(t, err)
	trust, err := ca.Trust(t.Context())
	require.NoError(t, err)
	s := vaulttest.New(t, true)
	g := newGridTLS(t, s, map[string]string{"cert_ca": pemOf("CERTIFICATE", trust.Roots[0].Raw)})
	g.apply(t, "oracle=main")

	log := func(identity string) error {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		require.NoError(t, err)
		chain, err := ca.Issue(t.Context(), secrets.CertificateRequest{Kind: secrets.ServerCertificate, CSR: csr, Identity: identity})
		require.NoError(t, err)
		der, err := x509.MarshalECPrivateKey(key)
		require.NoError(t, err)
		store := open(t, vault.Config{
			Address: s.URL, CACert: write(t, pemOf("CERTIFICATE", s.Certificate())), ClientCert: write(t, pemOf("CERTIFICATE", chain[0].Raw)),
			ClientKey: write(t, pemOf("EC PRIVATE KEY", der)), Role: "oracle", Name: "main", Login: vault.Certificate{Role: "oracle.main"},
			Log: slog.New(slog.DiscardHandler),
		})
		return store.Write(t.Context(), "v", []byte("x"))
	}
	require.NoError(t, log(secrets.OracleIdentity("main")))
	require.ErrorContains(t, log(secrets.OracleIdentity("other")), "no URI of the certificate is allowed")

	// Vault's own variables do not turn the check of the server's certificate off.
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	_, err = open(t, vault.Config{Address: s.URL, Role: "oracle", Name: "main", Login: vault.Certificate{}}).Read(t.Context(), "v")
	require.ErrorContains(t, err, "certificate signed by unknown authority")
}

func newGridTLS(t *testing.T, s *vaulttest.Server, settings map[string]string) *grid {
	t.Helper()
	t.Setenv("VAULT_CACERT", write(t, pemOf("CERTIFICATE", s.Certificate())))
	cfg := api.DefaultConfig()
	cfg.Address = s.URL
	root, err := api.NewClient(cfg)
	require.NoError(t, err)
	root.SetToken(vaulttest.Root)
	return &grid{url: s.URL, root: root, settings: settings, getenv: invented}
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestAway: whatever ails the Vault, keys that were read go on signing, the rest fails as unavailable, and comes back by itself.
func TestAway(t *testing.T) {
	for name, ail := range map[string]struct {
		begin, end func(*vaulttest.Server)
		reason     string
	}{
		"sealed": {(*vaulttest.Server).Seal, (*vaulttest.Server).Unseal, "the server is sealed"},
		"slow":   {(*vaulttest.Server).Stall, (*vaulttest.Server).Resume, "does not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := standIn(t)
			g.apply(t, "oracle+dispatcher=main")
			cfg := g.config(t, "oracle", "main")
			cfg.Timeout = 200 * time.Millisecond
			store, ctx := open(t, cfg), t.Context()
			_, _, err := store.CreateKey(ctx, "feeder")
			require.NoError(t, err)
			held, err := store.CreateSigningKey(ctx, "feeder")
			require.NoError(t, err)
			require.True(t, store.Status().Reachable)

			ail.begin(s)
			key, err := store.Key(ctx, "feeder")
			require.NoError(t, err)
			_, err = key.Sign([]byte("vote"))
			require.NoError(t, err, "a key in memory needs no Vault")
			_, err = held.Sign([]byte("vote"))
			require.ErrorIs(t, err, secrets.ErrUnavailable, "a key in Vault does")
			_, err = store.Read(ctx, "v")
			require.ErrorIs(t, err, secrets.ErrUnavailable)
			require.ErrorContains(t, err, ail.reason)
			_, err = store.Lease(ctx, "nomad")
			require.ErrorIs(t, err, secrets.ErrUnavailable)
			status := store.Status()
			require.False(t, status.Reachable)
			require.Contains(t, status.Reason, ail.reason)
			require.Positive(t, status.Failures)
			require.Equal(t, status.Failures, status.Causes[name])
			require.Equal(t, 0.0, gauge(t, store, "fog_vault_reachable"))

			ail.end(s)
			_, err = store.Read(ctx, "v")
			require.ErrorIs(t, err, secrets.ErrNotFound)
			_, err = held.Sign([]byte("vote"))
			require.NoError(t, err)
			require.True(t, store.Status().Reachable)
			require.Equal(t, 1.0, gauge(t, store, "fog_vault_reachable"))
			require.Equal(t, uint64(1), store.Status().Logins, "the token outlasted it")
		})
	}
}

// gauge reads one of a store's metrics that has no labels.
func gauge(t *testing.T, store *vault.Store, name string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(store))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestOutOfReach(t *testing.T) {
	g, _ := standIn(t)
	g.apply(t, "oracle=main")
	cfg := g.config(t, "oracle", "main")
	cfg.Address = "http://127.0.0.1:1"
	store := open(t, cfg)
	_, err := store.Key(t.Context(), "feeder")
	require.ErrorIs(t, err, secrets.ErrUnavailable)
	require.ErrorContains(t, err, "the server is out of reach")
}

// TestSealedAtTheStart: a program that starts while Vault is sealed gets what it asks for as soon as it is open.
func TestSealedAtTheStart(t *testing.T) {
	g, s := standIn(t)
	g.apply(t, "oracle=main")
	store := g.program(t, "oracle", "main")
	s.Seal()
	_, err := store.Key(t.Context(), "feeder")
	require.ErrorIs(t, err, secrets.ErrUnavailable)
	s.Unseal()
	require.Eventually(t, func() bool {
		_, err := store.Key(t.Context(), "feeder")
		return !errors.Is(err, secrets.ErrUnavailable)
	}, time.Minute, 50*time.Millisecond)
	_, err = store.Key(t.Context(), "feeder")
	require.ErrorIs(t, err, secrets.ErrNotFound)
}

// TestForgottenToken: a Vault that lost the token is logged in to again, and what was lent is asked for anew.
func TestForgottenToken(t *testing.T) {
	g, s := standIn(t)
	g.apply(t, "oracle+dispatcher=main")
	cfg := g.config(t, "oracle", "main")
	store := open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var tokens []string
	kept := make(chan error, 1)
	go func() {
		kept <- secrets.Keep(ctx, store, "nomad", slog.New(slog.DiscardHandler), func(c secrets.Credential) error {
			mu.Lock()
			defer mu.Unlock()
			tokens = append(tokens, c.Fields["secret_id"])
			return nil
		})
	}()
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(tokens)
	}
	require.Eventually(t, func() bool { return count() == 1 }, time.Minute, 10*time.Millisecond)

	_, fresh := g.secretID(t, "oracle", "main")
	raw, err := os.ReadFile(fresh)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cfg.Login.(vault.AppRole).SecretIDFile, raw, 0o600), "a new secret id for the next login")
	s.ForgetTokens()
	_, err = store.Read(t.Context(), "v")
	require.ErrorIs(t, err, secrets.ErrUnavailable)
	require.Eventually(t, func() bool { return count() == 2 }, time.Minute, 10*time.Millisecond)
	_, err = store.Read(t.Context(), "v")
	require.ErrorIs(t, err, secrets.ErrNotFound)
	require.Equal(t, 2, s.Logins())
	cancel()
	require.ErrorIs(t, <-kept, context.Canceled)
	require.Zero(t, s.Leases(), "the last one was given back")
	require.NoError(t, store.Close())
}

// TestTokenIsRenewed: the secret id is used up, so that a token that is not renewed could not be replaced.
func TestTokenIsRenewed(t *testing.T) {
	each(t, func(t *testing.T, g *grid) {
		g.apply(t, "oracle=main")
		_, err := g.root.Logical().WriteWithContext(t.Context(), "auth/approle/role/oracle.main", map[string]any{"token_period": "15s"})
		require.NoError(t, err)
		store := g.program(t, "oracle", "main")
		require.NoError(t, store.Write(t.Context(), "v", []byte("x")))
		require.Eventually(t, func() bool { return store.Status().Renewals >= 3 }, 2*time.Minute, 100*time.Millisecond)
		_, err = store.Read(t.Context(), "v")
		require.NoError(t, err)
		require.Equal(t, uint64(1), store.Status().Logins)
	})
}

func TestCloseRevokesTheToken(t *testing.T) {
	g, s := standIn(t)
	g.apply(t, "gateway=main")
	store := g.program(t, "gateway", "main")
	_, err := store.Lease(t.Context(), "postgres")
	require.NoError(t, err)
	require.Equal(t, 1, s.Leases())
	require.NoError(t, store.Close())
	require.Zero(t, s.Leases())
	_, err = store.Read(t.Context(), "v")
	require.ErrorIs(t, err, secrets.ErrUnavailable)
}

func TestConfigIsChecked(t *testing.T) {
	valid := vault.Config{Address: "https://vault.example:8200", Role: "oracle", Name: "main", Login: vault.AppRole{}}
	for want, change := range map[string]func(*vault.Config){
		"the address is":         func(c *vault.Config) { c.Address = "vault.example:8200" },
		"no way to log in":       func(c *vault.Config) { c.Login = nil },
		"role \"\"":              func(c *vault.Config) { c.Role = "" },
		"name \"../x\"":          func(c *vault.Config) { c.Name = "../x" },
		"its key go together":    func(c *vault.Config) { c.ClientCert = "cert.pem" },
		"authority of the serve": func(c *vault.Config) { c.CACert = "none.pem" },
	} {
		cfg := valid
		change(&cfg)
		_, err := vault.Open(cfg)
		require.ErrorContains(t, err, want)
	}
}
