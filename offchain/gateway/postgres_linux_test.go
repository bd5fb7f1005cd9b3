package gateway

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/gateway/store/postgrestest"
	"github.com/foggrid/fogd/offchain/secrets/vault/programtest"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
)

// A gateway keeps its tokens in a real PostgreSQL with a user that a real OpenBao or Vault lends, and finds them there again with another one.
func TestGatewayOnPostgres(t *testing.T) {
	url := vaulttest.Real(t)
	server := postgrestest.Start(t)
	t.Setenv("FOG_VAULT_DATABASE_USER", postgrestest.Superuser)
	t.Setenv("FOG_VAULT_DATABASE_PASSWORD", postgrestest.Password)
	lender := programtest.Open(t, url, "gateway", "main", map[string]string{
		"database_url": "postgresql://{{username}}:{{password}}@127.0.0.1:" + server.Port + "/postgres?sslmode=disable",
	})
	open := func() store.Store {
		lease, err := lender.Lease(t.Context(), "postgres")
		require.NoError(t, err)
		who := lease.Credential().Fields
		s, err := store.OpenPostgres(t.Context(), store.PostgresConfig{
			URL: server.URL(), Role: "fog_gateway", User: func() (string, string) { return who["username"], who["password"] },
		})
		require.NoError(t, err)
		return s
	}
	w := newWorld(t, func(c *Config) { c.Store = open() })
	token := w.login(w.alice)
	status, _ := w.get(token, "/v1/whoami")
	require.Equal(t, http.StatusOK, status)
	w.stop()
	w.cfg.Store = open()
	w.start()
	status, _ = w.get(token, "/v1/whoami")
	require.Equal(t, http.StatusOK, status, "the token is known after a restart, under another user")
	_, err := os.Stat(StorePath(w.dir))
	require.ErrorIs(t, err, os.ErrNotExist, "nothing is in a file")
}
