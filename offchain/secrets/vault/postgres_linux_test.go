package vault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/gateway/store/postgrestest"
	"github.com/foggrid/fogd/offchain/secrets/secretstest"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
)

// TestRealDatabase: the gateway gets a user of a real PostgreSQL from a real OpenBao or Vault, which is gone when it gives it back.
func TestRealDatabase(t *testing.T) {
	url := vaulttest.Real(t)
	p := postgrestest.Start(t)
	require.NoError(t, p.SQL(postgrestest.Superuser, postgrestest.Password, "CREATE TABLE jobs (id int); GRANT SELECT ON jobs TO fog_gateway;"))
	g := newGrid(t, url, map[string]string{
		"database_url": "postgresql://{{username}}:{{password}}@127.0.0.1:" + p.Port + "/postgres?sslmode=disable",
	})
	g.getenv = func(name string) string {
		return map[string]string{"FOG_VAULT_DATABASE_USER": postgrestest.Superuser, "FOG_VAULT_DATABASE_PASSWORD": postgrestest.Password}[name]
	}
	g.apply(t, "gateway=main")
	require.Empty(t, g.plan(t, "gateway=main").Steps)
	store := g.program(t, "gateway", "main")
	secretstest.RunLeases(t, store, "postgres")

	lease, err := store.Lease(t.Context(), "postgres")
	require.NoError(t, err)
	who := lease.Credential().Fields
	require.NoError(t, p.SQL(who["username"], who["password"], "SELECT * FROM jobs"))
	err = p.SQL(who["username"], who["password"], "CREATE ROLE another")
	require.ErrorContains(t, err, "permission denied")
	require.NoError(t, lease.Close(t.Context()))
	require.Eventually(t, func() bool {
		err := p.SQL(who["username"], who["password"], "SELECT 1")
		return err != nil && strings.Contains(err.Error(), "authentication failed")
	}, time.Minute, 100*time.Millisecond)
}
