package gateway

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/internal/pgtest"
	"github.com/foggrid/fogd/offchain/gateway/store"
)

// A gateway on a real PostgreSQL knows its tokens after a restart, whatever became of its folder's file, refuses while the database is away, and
// says nothing of where it is.
func TestGatewayOnPostgres(t *testing.T) {
	server := pgtest.Start(t, "the gateway on a database")
	for _, sql := range []string{
		"CREATE ROLE fog_gateway", "CREATE ROLE lent WITH LOGIN PASSWORD 'lent' IN ROLE fog_gateway", "CREATE SCHEMA fog_gateway AUTHORIZATION fog_gateway",
	} {
		require.NoError(t, server.SQL("postgres", pgtest.Admin, pgtest.AdminPassword, sql))
	}
	var db *store.Postgres
	open := func(c *Config) {
		var err error
		db, err = store.OpenPostgres(t.Context(), server.URL("postgres"), func() (string, string) { return "lent", "lent" }, false)
		require.NoError(t, err)
		c.Store = db
	}
	w := newWorld(t, open)
	session := w.login(w.alice)
	_, key := w.key(session, 3600e9, "developer")
	status, _ := w.get(session, "/v1/whoami")
	require.Equal(t, http.StatusOK, status)
	require.NoFileExists(t, StorePath(w.dir))

	server.Down(t)
	for _, path := range []string{"/v1/whoami", "/v1/tokens"} {
		status, body := w.get(session, path)
		require.Equal(t, http.StatusServiceUnavailable, status, string(body))
		require.Contains(t, string(body), "no_database")
		require.NotContains(t, string(body), server.Port)
	}
	answer := w.answer(w.bob, w.challenge(map[string]string{"address": w.bob.address}))
	status, _, body := w.send("", "POST", "/v1/login", answer)
	require.Equal(t, http.StatusServiceUnavailable, status, string(body))
	server.Up(t)

	w.stop()
	require.NoError(t, db.Close())
	open(&w.cfg)
	w.start()
	status, body = w.get(session, "/v1/tokens")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), key)
	w.stop()
	require.NoError(t, db.Close())
}
