package firewall

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseRange(t *testing.T) {
	r, err := ParseRange("10.239.0.0/16")
	require.NoError(t, err)
	require.Equal(t, "10.239.0.0/17", r.Half(false).String())
	require.Equal(t, "10.239.128.0/17", r.Half(true).String())
	for _, bad := range []string{"", "10.239.0.0", "10.239.0.1/16", "10.0.0.0/7", "10.0.0.0/27", "fd00::/16", "10.0.0.0/33"} {
		_, err := ParseRange(bad)
		require.ErrorContains(t, err, "range of addresses for services", bad)
	}
}

// The halves share nothing and make up the range.
func TestHalves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var raw [4]byte
		copy(raw[:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		p := netip.PrefixFrom(netip.AddrFrom4(raw), rapid.IntRange(MinBits, MaxBits).Draw(t, "bits")).Masked()
		r, err := ParseRange(p.String())
		require.NoError(t, err)
		closed, open := r.Half(false), r.Half(true)
		require.False(t, closed.Overlaps(open))
		require.Equal(t, p.Addr(), closed.Addr())
		require.True(t, p.Contains(open.Addr()))
		require.Equal(t, p.Bits()+1, open.Bits())
		require.Equal(t, open, open.Masked())
		require.Equal(t, closed, closed.Masked())
	})
}

func FuzzResolvers(f *testing.F) {
	f.Add("# comment\nnameserver 192.0.2.53\nnameserver 127.0.0.53\nsearch nameserver\n")
	f.Add("nameserver ::1\nnameserver 1.2.3.4 # five")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range parseResolvers(text) {
			if !a.Is4() || a.IsLoopback() || !strings.Contains(text, a.String()) {
				t.Fatalf("%s out of %q", a, text)
			}
		}
	})
}

func TestResolvers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(file, []byte("nameserver 192.0.2.53\nnameserver 127.0.0.53\noptions ndots:1\nnameserver 192.0.2.1\n"), 0o600))
	require.Equal(t, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.53")}, resolvers([]string{file, file, file + "-none"}))
}

// TestRules compares what iptables-restore gets, to the last line, with what was reviewed.
func TestRules(t *testing.T) {
	r, err := ParseRange("10.239.0.0/16")
	require.NoError(t, err)
	got := (&Guard{of: r}).rules([]netip.Addr{netip.MustParseAddr("192.0.2.53")}, []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")})
	want, err := os.ReadFile(filepath.Join("testdata", "rules"))
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
