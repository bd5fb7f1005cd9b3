package ref

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
)

func TestCheckRepo(t *testing.T) {
	for _, ok := range []string{"a", "modules", "results/job1qqq", "a.b/c_d/e__f/g---h", strings.Repeat("a", 255)} {
		require.NoError(t, CheckRepo(ok), ok)
	}
	for _, bad := range []string{
		"", "/", "a/", "/a", "a//b", "A", "..", "a/..", "a/../b", ".a", "_a", "a_", "a..b", "a___b", "a b", "a\x00", "a\n",
		`a\b`, "ä", strings.Repeat("a", 256),
	} {
		require.ErrorIs(t, CheckRepo(bad), ErrInvalid, bad)
	}
}

func TestParse(t *testing.T) {
	d := artifact.DigestOf(nil)
	r, err := Parse(d.String())
	require.NoError(t, err)
	require.Equal(t, Reference{Digest: d}, r)

	r, err = Parse("s0-a1")
	require.NoError(t, err)
	require.Equal(t, Reference{Tag: "s0-a1"}, r)

	for _, bad := range []string{
		"", ".x", "-x", "a/b", "sha256:", "sha256:00", "sha512:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("A", 64),
		"sha256:" + strings.Repeat("0", 65), strings.Repeat("t", 129), "a\n", ":",
	} {
		_, err := Parse(bad)
		require.ErrorIs(t, err, ErrInvalid, bad)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"latest", "sha256:" + strings.Repeat("0", 64), "../x", "a/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		if r.String() != s || (r.Tag == "") == (r.Digest.IsZero()) {
			t.Fatalf("%q parsed as %+v", s, r)
		}
	})
}

func FuzzCheckRepo(f *testing.F) {
	for _, s := range []string{"a/b", "results/job1x", "a/../b", "a//b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckRepo(s) != nil {
			return
		}
		if !filepath.IsLocal(s) || filepath.ToSlash(filepath.Clean(s)) != s || strings.Contains(s, "/_") || strings.HasPrefix(s, "_") {
			t.Fatalf("%q is accepted but not a plain path", s)
		}
	})
}
