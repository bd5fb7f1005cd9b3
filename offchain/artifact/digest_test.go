package artifact

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseDigest(t *testing.T) {
	const abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	d, err := ParseDigest(abc)
	require.NoError(t, err)
	require.Equal(t, DigestOf([]byte("abc")), d)
	require.Equal(t, abc, d.String())
	require.Equal(t, abc[len("sha256:"):], d.Hex())

	for _, bad := range []string{
		"", "sha256:", abc[7:], strings.ToUpper(abc), "sha256:" + strings.ToUpper(abc[7:]), abc + "0", abc[:70], " " + abc,
		"sha512:" + abc[7:], "sha256:" + strings.Repeat("g", 64), "sha256:" + strings.Repeat("é", 32),
	} {
		_, err := ParseDigest(bad)
		require.Error(t, err, bad)
	}
}

func TestDigestJSON(t *testing.T) {
	type record struct{ A, B Digest }
	want := record{A: DigestOf([]byte("abc"))}
	raw, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, `{"A":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","B":""}`, string(raw))
	var got record
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, want, got)
	require.True(t, got.B.IsZero())
	require.Error(t, json.Unmarshal([]byte(`{"A":"sha256:12"}`), &got))
	require.Negative(t, got.B.Compare(got.A))
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
	f.Add("sha256:BA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDigest(s)
		if err == nil {
			require.Equal(t, s, d.String())
		} else {
			require.True(t, d.IsZero())
		}
	})
}
