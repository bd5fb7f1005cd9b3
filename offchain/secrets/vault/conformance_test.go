package vault_test

import (
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/secretstest"
	"github.com/foggrid/fogd/offchain/secrets/vault"
)

// The programs have the policies of deploy/vault throughout, so the suites also show that these let them do what they need.
func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, g *grid) {
		secretstest.Run(t, func(t *testing.T) secretstest.Open {
			name := g.newOracle(t)
			return func() secrets.Writer { return g.program(t, "oracle", name) }
		})
		t.Run("signer", func(t *testing.T) {
			secretstest.RunSigner(t, func(t *testing.T) secretstest.OpenSigner {
				name := g.newOracle(t)
				return func() secrets.Signer { return g.program(t, "oracle", name) }
			})
		})
		t.Run("jobs", func(t *testing.T) {
			g.apply(t, "gateway=jobs")
			secretstest.RunJobs(t, g.program(t, "gateway", "jobs"), openWrapped, true)
		})
		t.Run("issuer", func(t *testing.T) {
			g.apply(t, "gateway=main")
			secretstest.RunIssuer(t, func() secrets.Issuer { return g.program(t, "gateway", "main") }, "fog://gateway/main")
		})
	})
}

// A grid in which nobody is jailed for a day has a good list all the same: the engine signs it only when something is revoked.
func TestTrustOfQuietDays(t *testing.T) {
	each(t, func(t *testing.T, g *grid) {
		g.apply(t, "gateway=main", "oracle=main")
		gateway, oracle := g.program(t, "gateway", "main"), g.program(t, "oracle", "main")
		_, err := g.root.Logical().WriteWithContext(t.Context(), "fog-pki/config/crl", map[string]any{"expiry": "2s"})
		require.NoError(t, err)
		_, err = g.root.Logical().ReadWithContext(t.Context(), "fog-pki/crl/rotate")
		require.NoError(t, err)
		first, err := gateway.Trust(t.Context())
		require.NoError(t, err)
		for time.Now().Before(first.Revoked.NextUpdate.Add(time.Second)) {
			time.Sleep(100 * time.Millisecond)
		}
		_, err = oracle.Trust(t.Context())
		require.ErrorContains(t, err, "ran out", "who may not have it signed says that it is useless")
		second, err := gateway.Trust(t.Context())
		require.NoError(t, err)
		require.True(t, second.Revoked.NextUpdate.After(first.Revoked.NextUpdate), "signed anew")
	})
}

// Programs that may have no keys in Transit use those in KV.
func TestAnyKeyOfAProgramWithoutTransit(t *testing.T) {
	each(t, func(t *testing.T, g *grid) {
		g.apply(t, "agent=keys")
		agent := g.program(t, "agent", "keys")
		_, err := secrets.AnyKey(t.Context(), agent, "main")
		require.ErrorIs(t, err, secrets.ErrNotFound)
		made, _, err := agent.CreateKey(t.Context(), "main")
		require.NoError(t, err)
		found, err := secrets.AnyKey(t.Context(), agent, "main")
		require.NoError(t, err)
		require.Equal(t, made.PubKey(), found.PubKey())
	})
}

func TestLeases(t *testing.T) {
	g, s := standIn(t)
	g.apply(t, "gateway=main", "oracle+dispatcher=main")
	t.Run("postgres", func(t *testing.T) { secretstest.RunLeases(t, g.program(t, "gateway", "main"), "postgres") })
	t.Run("nomad", func(t *testing.T) { secretstest.RunLeases(t, g.program(t, "oracle", "main"), "nomad") })
	require.Zero(t, s.Leases(), "all were given back")

	_, err := g.program(t, "oracle", "main").Lease(t.Context(), "postgres")
	require.ErrorIs(t, err, secrets.ErrDenied)
	_, err = g.program(t, "gateway", "main").Lease(t.Context(), "nomad")
	require.ErrorIs(t, err, secrets.ErrDenied)
}

// openWrapped is how a node opens a loan, which Vault knows nothing of but the wrapping tokens.
func openWrapped(ctx context.Context, l secrets.Loan, _ ed25519.PrivateKey, _, owner string, paths []string) ([][]byte, error) {
	return vault.OpenLoan(ctx, l, owner, paths)
}

// A gateway cannot read what it lends, only have it wrapped, and what was exchanged on its way is not opened.
func TestLoansAreWrapped(t *testing.T) {
	each(t, func(t *testing.T, g *grid) {
		g.apply(t, "gateway=main")
		s := g.program(t, "gateway", "main")
		for _, path := range []string{"a", "b"} {
			require.NoError(t, s.PutJobSecret(t.Context(), "fog1alice", path, []byte("of "+path)))
		}
		c := g.login(t, "gateway", "main")
		_, err := c.Logical().ReadWithContext(t.Context(), "fog/data/jobs/fog1alice/a")
		require.ErrorContains(t, err, "permission denied")
		c.SetWrappingLookupFunc(func(string, string) string { return "1h" })
		_, err = c.Logical().ReadWithContext(t.Context(), "fog/data/jobs/fog1alice/a")
		if g.real {
			require.ErrorContains(t, err, "permission denied", "wrapped for too long")
		}
		l, err := s.LendJobSecrets(t.Context(), secrets.Borrower{Attempt: "job1a/s0/a1"}, "fog1alice", []string{"a"})
		require.NoError(t, err)
		_, err = vault.OpenLoan(t.Context(), l, "fog1alice", []string{"b"})
		require.ErrorIs(t, err, secrets.ErrNoLoan)
		values, err := vault.OpenLoan(t.Context(), l, "fog1alice", []string{"a"})
		require.NoError(t, err, "it was not used up")
		require.Equal(t, "of a", string(values[0]))
		for _, address := range []string{"", "http://vault.example", "ftp://127.0.0.1", "https://u:p@vault.example"} {
			l.Vault = address
			_, err = vault.OpenLoan(t.Context(), l, "fog1alice", []string{"a"})
			require.ErrorContains(t, err, "operator", address)
		}
	})
}
