package secretstest

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
)

// OpenLoan opens a loan as a node with a key does for an attempt.
type OpenLoan func(ctx context.Context, l secrets.Loan, key ed25519.PrivateKey, attempt, owner string, paths []string) ([][]byte, error)

// RunJobs tests how an implementation keeps and lends the secrets of jobs. once says that a loan opens once, and that it can be recalled.
func RunJobs(t *testing.T, s secrets.JobLender, open OpenLoan, once bool) {
	ctx := t.Context()
	const alice, bob = "fog1alice", "fog1bob"
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	to := secrets.Borrower{Attempt: "job1a/s0/a1", Key: key.Public().(ed25519.PublicKey)}
	lend := func(owner string, paths ...string) (secrets.Loan, error) {
		return s.LendJobSecrets(ctx, to, owner, paths)
	}

	have, err := s.JobSecrets(ctx, alice)
	require.NoError(t, err)
	require.Empty(t, have)
	binary := []byte("a\x00b\xff\n")
	require.NoError(t, s.PutJobSecret(ctx, alice, "shop/db-password", []byte("of alice")))
	require.NoError(t, s.PutJobSecret(ctx, alice, "shop/db-password", binary), "it is replaced")
	require.NoError(t, s.PutJobSecret(ctx, alice, "token", []byte("of alice")))
	require.NoError(t, s.PutJobSecret(ctx, bob, "token", []byte("of bob")))
	have, err = s.JobSecrets(ctx, alice)
	require.NoError(t, err)
	require.Equal(t, []string{"shop/db-password", "token"}, have)

	l, err := lend(alice, "token", "shop/db-password")
	require.NoError(t, err)
	require.True(t, l.Expires.After(time.Now()))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", l, l, l, l), "of alice")
	values, err := open(ctx, l, key, to.Attempt, alice, []string{"token", "shop/db-password"})
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("of alice"), binary}, values)
	if once {
		_, err = open(ctx, l, key, to.Attempt, alice, []string{"token", "shop/db-password"})
		require.ErrorIs(t, err, secrets.ErrNoLoan, "played again")
		l, err = lend(alice, "token")
		require.NoError(t, err)
		require.NoError(t, s.RecallLoan(ctx, l))
		require.NoError(t, s.RecallLoan(ctx, l))
		_, err = open(ctx, l, key, to.Attempt, alice, []string{"token"})
		require.ErrorIs(t, err, secrets.ErrNoLoan, "recalled")
	} else {
		_, stranger, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		_, err = open(ctx, l, stranger, to.Attempt, alice, []string{"token", "shop/db-password"})
		require.ErrorIs(t, err, secrets.ErrNoLoan, "another node")
		_, err = open(ctx, l, key, "job1a/s0/a2", alice, []string{"token", "shop/db-password"})
		require.ErrorIs(t, err, secrets.ErrNoLoan, "another attempt")
	}
	// What is under a name depends on whose job names it, and one loan does not pass for another.
	l, err = lend(bob, "token")
	require.NoError(t, err)
	_, err = open(ctx, l, key, to.Attempt, alice, []string{"token"})
	require.ErrorIs(t, err, secrets.ErrNoLoan)
	l, err = lend(bob, "token")
	require.NoError(t, err)
	values, err = open(ctx, l, key, to.Attempt, bob, []string{"token"})
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("of bob")}, values)

	_, err = lend(bob, "token", "shop/db-password")
	require.ErrorIs(t, err, secrets.ErrNotFound)
	require.ErrorContains(t, err, "shop/db-password")
	to.Until = time.Now().Add(-time.Second)
	_, err = lend(alice, "token")
	require.ErrorIs(t, err, secrets.ErrNoLoan, "the slice has ended")
	to.Until = time.Now().Add(10 * time.Second)
	l, err = lend(alice, "token")
	require.NoError(t, err)
	require.False(t, l.Expires.After(to.Until), "not longer than the slice")

	for _, path := range []string{"", "../fog1bob/token", "/token", "token/", "a//b", "a/b/c/d/e", "Token", ".", "a~b", strings.Repeat("a", 129)} {
		require.ErrorIs(t, s.PutJobSecret(ctx, alice, path, nil), secrets.ErrJobPath, path)
		_, err = lend(alice, path)
		require.ErrorIs(t, err, secrets.ErrJobPath, path)
		require.ErrorIs(t, s.RemoveJobSecret(ctx, alice, path), secrets.ErrJobPath, path)
	}
	require.Error(t, s.PutJobSecret(ctx, "../x", "token", nil))
	require.Error(t, s.PutJobSecret(ctx, alice, "large", make([]byte, secrets.MaxJobValue+1)))
	require.NoError(t, s.RemoveJobSecret(ctx, alice, "shop/db-password"))
	require.ErrorIs(t, s.RemoveJobSecret(ctx, alice, "shop/db-password"), secrets.ErrNotFound)
	have, err = s.JobSecrets(ctx, alice)
	require.NoError(t, err)
	require.Equal(t, []string{"token"}, have)
	_, err = lend(alice, "shop/db-password")
	require.ErrorIs(t, err, secrets.ErrNotFound)
}
