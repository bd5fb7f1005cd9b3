package types_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cosmossdk.io/collections"
	"cosmossdk.io/collections/colltest"

	"github.com/foggrid/fogd/x/escrow/types"
)

// testdata/ids.json was made by another implementation of SHA-256 and bech32.
func TestIDVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/ids.json")
	require.NoError(t, err)
	var vectors []struct{ HRP, Owner, Salt, ID, Bech32 string }
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		id := types.DeriveID(v.HRP, fromHex(t, v.Owner), fromHex(t, v.Salt))
		require.Equal(t, v.ID, id.String())
		require.Equal(t, v.Bech32, id.Bech32(v.HRP))
		parsed, err := types.ParseID(v.HRP, v.Bech32)
		require.NoError(t, err)
		require.Equal(t, id, parsed)
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func TestAccountIDs(t *testing.T) {
	owner := bytes.Repeat([]byte{7}, 20)
	job := types.ID(owner) // the worst case: a job whose id is an address
	ids := map[types.ID]string{
		types.ProviderAccountID(owner): "provider",
		types.OracleAccountID(owner):   "oracle",
		types.JobAccountID(job):        "job",
	}
	require.Len(t, ids, 3, "one owner has a different account for each kind")
	require.Equal(t, types.DeriveID("acct", owner, []byte("provider")), types.ProviderAccountID(owner))
	require.Equal(t, types.DeriveID("acct", owner, []byte("oracle")), types.OracleAccountID(owner))
	require.Equal(t, types.DeriveID("acct", owner, []byte("job")), types.JobAccountID(job))
}

func TestParseIDRefuses(t *testing.T) {
	id := types.ProviderAccountID([]byte("owner"))
	good := id.Bech32("acct")
	for name, tc := range map[string]struct{ hrp, text, says string }{
		"empty":         {"acct", "", "not bech32"},
		"other kind":    {"node", good, `begins with "acct"`},
		"checksum":      {"acct", good[:len(good)-1] + flip(good[len(good)-1]), "not bech32"},
		"upper case":    {"acct", strings.ToUpper(good), "ACCT"},
		"mixed case":    {"acct", strings.ToUpper(good[:5]) + good[5:], "not bech32"},
		"short":         {"acct", short(t), "holds 19 bytes"},
		"long text":     {"acct", strings.Repeat("a", 1000), "…"},
		"surrounded":    {"acct", " " + good, "not bech32"},
		"address given": {"acct", "fog1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqcv49xt", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := types.ParseID(tc.hrp, tc.text)
			require.ErrorIs(t, err, types.ErrInvalidID)
			require.ErrorContains(t, err, tc.says)
			require.Less(t, len(err.Error()), 300)
		})
	}
}

func flip(c byte) string {
	if c == 'q' {
		return "p"
	}
	return "q"
}

func short(t *testing.T) string {
	t.Helper()
	text, err := bech32Of("acct", bytes.Repeat([]byte{1}, 19))
	require.NoError(t, err)
	return text
}

func TestIDKey(t *testing.T) {
	id := types.DeriveID("node", []byte("owner"), []byte("salt"))
	colltest.TestKeyCodec(t, types.IDKey, id)
	colltest.TestKeyCodec(t, collections.PairKeyCodec(types.IDKey, collections.Uint64Key), collections.Join(id, uint64(3)))
	require.Equal(t, 20, types.IDKey.Size(id))

	_, _, err := types.IDKey.Decode(id[:19])
	require.Error(t, err)
	_, err = types.IDKey.Encode(make([]byte, 19), id)
	require.Error(t, err)
	for _, bad := range []string{`1`, `"zz"`, `"00"`} {
		_, err = types.IDKey.DecodeJSON([]byte(bad))
		require.Error(t, err, bad)
	}
}

// A text that parses is the only text of its id.
func FuzzParseID(f *testing.F) {
	id := types.ProviderAccountID([]byte("owner"))
	f.Add("acct", id.Bech32("acct"))
	f.Add("acct", strings.ToUpper(id.Bech32("acct")))
	f.Add("node", id.Bech32("node"))
	f.Add("job", "job1")
	f.Add("", "1qqqq")
	f.Fuzz(func(t *testing.T, hrp, text string) {
		id, err := types.ParseID(hrp, text)
		if err != nil {
			require.ErrorIs(t, err, types.ErrInvalidID)
			return
		}
		require.Equal(t, text, id.Bech32(hrp))
	})
}
