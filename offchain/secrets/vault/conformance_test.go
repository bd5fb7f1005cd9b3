package vault_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/secretstest"
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
		t.Run("issuer", func(t *testing.T) {
			g.apply(t, "gateway=main")
			secretstest.RunIssuer(t, func() secrets.Issuer { return g.program(t, "gateway", "main") }, "fog://gateway/main")
		})
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
