package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/gateway/store"
)

func TestCheckURL(t *testing.T) {
	for _, good := range []string{
		"postgresql://127.0.0.1:5432/fog", "postgres://localhost/fog?sslmode=disable", "postgresql://[::1]/fog",
		"postgresql://db.example:5432/fog?sslmode=verify-full&sslrootcert=ca.pem",
	} {
		require.NoError(t, store.CheckURL(good), good)
	}
	for _, bad := range []string{
		"", "db", "mysql://localhost/fog", "postgresql://localhost", "postgresql:///fog", "postgresql://user:hunter2@localhost/fog", "postgresql://user@localhost/fog",
		"postgresql://db.example/fog", "postgresql://db.example/fog?sslmode=require", "postgresql://10.0.0.1/fog?sslmode=disable", "postgresql://a b/fog",
	} {
		err := store.CheckURL(bad)
		require.ErrorIs(t, err, store.ErrURL, bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
