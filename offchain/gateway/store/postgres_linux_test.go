package store_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/gateway/store/postgrestest"
	"github.com/foggrid/fogd/offchain/gateway/store/storetest"
)

// A schema for each store of the suite, which is opened again and again.
func TestPostgres(t *testing.T) {
	server := postgrestest.Start(t)
	made := map[string]bool{}
	storetest.Run(t, func(t testing.TB, name string) store.Store {
		if !made[name] {
			require.NoError(t, server.SQL(postgrestest.Superuser, postgrestest.Password, "CREATE SCHEMA "+name+" AUTHORIZATION fog_gateway"))
			made[name] = true
		}
		s, err := store.OpenPostgres(t.Context(), store.PostgresConfig{
			URL: strings.Replace(server.URL(), "/fog?", "/postgres?search_path="+name+"&", 1), Role: "fog_gateway",
			User: func() (string, string) { return postgrestest.Superuser, postgrestest.Password },
		})
		require.NoError(t, err)
		return s
	})
}

// One gateway at a time has the database; what it wrote outlives the users that were lent to it, and it goes on when its connections break.
func TestPostgresWithLentUsers(t *testing.T) {
	server := postgrestest.Start(t)
	admin := func(text string) {
		t.Helper()
		require.NoError(t, server.SQL(postgrestest.Superuser, postgrestest.Password, text))
	}
	var current atomic.Pointer[string]
	lend := func(name string) {
		admin(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'p' IN ROLE fog_gateway", name))
		current.Store(&name)
	}
	cfg := store.PostgresConfig{URL: server.URL(), Role: "fog_gateway", User: func() (string, string) { return *current.Load(), "p" }}
	lend("first")
	s, err := store.OpenPostgres(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, s.Put(t.Context(), "a", map[string][]byte{"k": []byte("v")}))
	_, err = store.OpenPostgres(t.Context(), cfg)
	require.ErrorIs(t, err, store.ErrInUse)

	lend("second")
	admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'first'")
	admin("DROP ROLE first")
	var got []byte
	for range 32 { // each connection that broke is noticed when it is next used
		if got, err = s.Get(t.Context(), "a", "k"); err == nil {
			break
		}
		require.ErrorIs(t, err, store.ErrUnavailable)
	}
	require.NoError(t, err)
	require.Equal(t, "v", string(got))
	require.NoError(t, s.Close())

	s, err = store.OpenPostgres(t.Context(), cfg)
	require.NoError(t, err)
	got, err = s.Get(t.Context(), "a", "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(got))
	require.NoError(t, s.Close())

	none := "nobody"
	current.Store(&none)
	_, err = store.OpenPostgres(t.Context(), cfg)
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NotContains(t, err.Error(), "'p'")
	for _, url := range []string{"", "mysql://x/y", "postgres:///x"} {
		_, err = store.OpenPostgres(t.Context(), store.PostgresConfig{URL: url})
		require.ErrorContains(t, err, "postgres://host")
	}
}
