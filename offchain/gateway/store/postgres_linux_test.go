package store_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/internal/pgtest"
	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/gateway/store/storetest"
)

// prepared is a server with a database that is as an operator prepares it, and two users as Vault lends them.
func prepared(t *testing.T) *pgtest.Server {
	s := pgtest.Start(t, "the gateway's database")
	admin(t, s, "postgres", "CREATE ROLE fog_gateway")
	for _, user := range []string{"one", "two"} {
		admin(t, s, "postgres", "CREATE ROLE "+user+" WITH LOGIN PASSWORD '"+user+"' IN ROLE fog_gateway")
	}
	admin(t, s, "postgres", "CREATE DATABASE prepared")
	admin(t, s, "prepared", "CREATE SCHEMA fog_gateway AUTHORIZATION fog_gateway")
	return s
}

func admin(t testing.TB, s *pgtest.Server, database, sql string) {
	t.Helper()
	require.NoError(t, s.SQL(database, pgtest.Admin, pgtest.AdminPassword, sql))
}

func one() (string, string) { return "one", "one" }

func TestPostgres(t *testing.T) {
	server := prepared(t)
	last := ""
	storetest.Run(t, func(t testing.TB, name string) store.Store {
		s, err := store.OpenPostgres(t.Context(), server.URL("prepared"), one, false)
		require.NoError(t, err)
		if name != last { // the suite never comes back to a store
			admin(t, server, "prepared", "TRUNCATE fog_gateway.kept")
			last = name
		}
		return s
	})
}

func TestPostgresIsForOneGateway(t *testing.T) {
	server := prepared(t)
	first, err := store.OpenPostgres(t.Context(), server.URL("prepared"), one, false)
	require.NoError(t, err)
	_, err = store.OpenPostgres(t.Context(), server.URL("prepared"), one, false)
	require.ErrorIs(t, err, store.ErrInUse)
	require.NoError(t, first.Create(t.Context(), "a", "k", []byte("v")))

	reader, err := store.OpenPostgres(t.Context(), server.URL("prepared"), one, true)
	require.NoError(t, err)
	got, err := reader.Get(t.Context(), "a", "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(got))
	require.ErrorContains(t, reader.Create(t.Context(), "a", "k2", nil), "read-only")
	require.NoError(t, reader.Close())

	require.NoError(t, first.Close())
	second, err := store.OpenPostgres(t.Context(), server.URL("prepared"), one, false)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

// A user on loan ends, as Vault ends it, and owns nothing that would keep it from being dropped.
func TestPostgresUsersComeAndGo(t *testing.T) {
	server := prepared(t)
	var second atomic.Bool
	login := func() (string, string) {
		if second.Load() {
			return "two", "two"
		}
		return one()
	}
	s, err := store.OpenPostgres(t.Context(), server.URL("prepared"), login, false)
	require.NoError(t, err)
	require.NoError(t, s.Create(t.Context(), "a", "k", []byte("v")))
	second.Store(true)
	admin(t, server, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'one'")
	admin(t, server, "postgres", "DROP ROLE one")
	got, err := s.Get(t.Context(), "a", "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(got))
	require.NoError(t, s.Create(t.Context(), "a", "k2", nil))
	require.NoError(t, s.Close())
}

func TestPostgresAway(t *testing.T) {
	server := prepared(t)
	s, err := store.OpenPostgres(t.Context(), server.URL("prepared"), one, false)
	require.NoError(t, err)
	require.NoError(t, s.Create(t.Context(), "a", "k", []byte("v")))
	server.Down(t)
	_, err = s.Get(t.Context(), "a", "k")
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorIs(t, s.Put(t.Context(), "a", map[string][]byte{"k": nil}), store.ErrUnavailable)
	_, err = store.OpenPostgres(t.Context(), server.URL("prepared"), one, false)
	require.ErrorIs(t, err, store.ErrUnavailable)
	server.Up(t)
	got, err := s.Get(t.Context(), "a", "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(got))
	require.NoError(t, s.Close())
}

func TestPostgresRefuses(t *testing.T) {
	server := prepared(t)
	_, err := store.OpenPostgres(t.Context(), server.URL("postgres"), one, false)
	require.ErrorContains(t, err, "CREATE SCHEMA fog_gateway", "a database that nobody prepared")
	_, err = store.OpenPostgres(t.Context(), server.URL("prepared"), func() (string, string) { return "one", "wrong" }, false)
	require.ErrorContains(t, err, "password authentication failed")
	_, err = store.OpenPostgres(t.Context(), server.URL("prepared"), func() (string, string) { return "", "" }, false)
	require.ErrorIs(t, err, store.ErrUnavailable)
}
