package secrets_test

import (
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
)

// Whatever path is taken stays below its owner, as one name that stands for no other path.
func FuzzJobPath(f *testing.F) {
	for _, path := range []string{"a", "shop/db-password", "../a", "a/../b", "a~b", "a//b", "A", ".", "a/.b", "a\x00"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		err := secrets.CheckJobPath(path)
		if err != nil {
			require.ErrorIs(t, err, secrets.ErrJobPath)
			return
		}
		name := secrets.JobFile(path)
		require.Equal(t, path, secrets.JobPath(name))
		require.Equal(t, name, filepath.Base(name))
		require.Equal(t, filepath.Join("owner", name), filepath.Clean("owner/"+name))
		require.False(t, strings.HasPrefix(name, "."))
	})
}

// A loan that was changed on its way opens to nothing.
func FuzzOpenSealed(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	to := secrets.Borrower{Attempt: "job1a/s0/a1", Key: key.Public().(ed25519.PublicKey)}
	good, err := secrets.SealLoan(to, "fog1alice", map[string][]byte{"a": []byte("value")}, time.Unix(1, 0))
	require.NoError(f, err)
	f.Add(good.Sealed)
	f.Add(good.Sealed[:len(good.Sealed)-1])
	f.Add([]byte("age-encryption.org/v1\n"))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		values, err := secrets.OpenSealed(secrets.Loan{Sealed: sealed}, key, to.Attempt, "fog1alice", []string{"a"})
		if err != nil {
			require.ErrorIs(t, err, secrets.ErrNoLoan)
			return
		}
		require.Len(t, values, 1)
	})
}

func TestLifeOfLoans(t *testing.T) {
	now := time.Unix(1000, 0)
	for left, want := range map[time.Duration]time.Duration{
		time.Hour: secrets.MaxLoan, 90500 * time.Millisecond: 90 * time.Second, time.Second: time.Second, 999 * time.Millisecond: 0, -time.Hour: 0,
	} {
		life, err := secrets.Borrower{Until: now.Add(left)}.Life(now)
		require.Equal(t, want, life, left)
		require.Equal(t, want == 0, err != nil, left)
	}
	life, err := secrets.Borrower{}.Life(now)
	require.NoError(t, err)
	require.Equal(t, secrets.MaxLoan, life, "a service has no end that is known")
}
