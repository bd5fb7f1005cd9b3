package secretstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
)

// RunLeases tests the credentials that an implementation lends; it must lend some by the given name.
func RunLeases(t *testing.T, s secrets.Leases, name string) {
	ctx := t.Context()
	_, err := s.Lease(ctx, "none")
	require.ErrorIs(t, err, secrets.ErrNotFound)
	_, err = s.Lease(ctx, "../"+name)
	require.ErrorIs(t, err, secrets.ErrName)

	first, err := s.Lease(ctx, name)
	require.NoError(t, err)
	c := first.Credential()
	require.NotEmpty(t, c.Fields)
	for field, value := range c.Fields {
		require.NotEmpty(t, value, field)
	}
	require.True(t, c.Expires.IsZero() || c.Expires.After(time.Now()))
	second, err := s.Lease(ctx, name)
	require.NoError(t, err)
	require.NoError(t, first.Renew(ctx))
	require.Equal(t, c.Fields, first.Credential().Fields)
	require.False(t, first.Credential().Expires.Before(c.Expires))

	require.NoError(t, first.Close(ctx))
	require.NoError(t, first.Close(ctx))
	require.ErrorIs(t, first.Renew(ctx), secrets.ErrLeaseEnded)
	require.NoError(t, second.Renew(ctx), "each lease ends for itself")
	require.NoError(t, second.Close(ctx))
}
