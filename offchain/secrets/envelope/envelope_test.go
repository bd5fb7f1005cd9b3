package envelope_test

import (
	"bytes"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/secrets/envelope"
)

func key(t testing.TB) *age.X25519Identity {
	t.Helper()
	k, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return k
}

// What was sealed for a key comes out of it as it went in, and of no other; it is for one attempt of one owner.
func TestEnvelope(t *testing.T) {
	mine, other := key(t), key(t)
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}`), rapid.SliceOf(rapid.Byte()), 1, 4).Draw(rt, "values")
		raw, err := envelope.Seal(envelope.Content{Attempt: "job1x/s0/a1", Owner: "fog1alice", Expires: time.Unix(1, 0), Values: values}, mine.Recipient())
		require.NoError(rt, err)
		_, err = envelope.Open(raw, other)
		require.ErrorIs(rt, err, envelope.ErrKey)
		c, err := envelope.Open(raw, mine)
		require.NoError(rt, err)
		for path, value := range values {
			got, err := c.For("job1x/s0/a1", "fog1alice", []string{path})
			require.NoError(rt, err)
			require.True(rt, bytes.Equal(value, got[0]))
		}
		for _, bad := range [][3]string{{"job1x/s0/a2", "fog1alice", ""}, {"job1x/s0/a1", "fog1bob", ""}, {"job1x/s0/a1", "fog1alice", "NONE"}} {
			_, err := c.For(bad[0], bad[1], []string{bad[2]})
			require.ErrorIs(rt, err, envelope.ErrForeign)
		}
	})
}

func FuzzOpen(f *testing.F) {
	mine := key(f)
	good, err := envelope.Seal(envelope.Content{Attempt: "a", Values: map[string][]byte{"x": []byte("y")}}, mine.Recipient())
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte("age-encryption.org/v1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := envelope.Open(raw, mine); err == nil && (c.Attempt != "a" || string(c.Values["x"]) != "y") {
			t.Fatalf("%q opens as %+v", raw, c)
		}
	})
}
