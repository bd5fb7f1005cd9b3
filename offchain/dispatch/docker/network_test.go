package docker

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch/firewall"
)

// Hundreds of services find networks of their own, each in its half and none in another's.
func TestSubnets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(16, firewall.MaxBits).Draw(t, "bits")
		r, err := firewall.ParseRange(netip.PrefixFrom(netip.MustParseAddr("10.239.0.0"), bits).String())
		require.NoError(t, err)
		half := r.Half(rapid.Bool().Draw(t, "outbound"))
		room := 1 << (subnetBits - half.Bits())
		taken := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		if rapid.Bool().Draw(t, "a neighbour") {
			taken = append(taken, netip.PrefixFrom(half.Addr(), subnetBits+1))
			room--
		}
		for i := range min(room, 300) {
			p, ok := freeSubnet(half, strconv.Itoa(i), taken)
			require.True(t, ok, "network %d of %d", i, room)
			require.Equal(t, subnetBits, p.Bits())
			require.Equal(t, p, p.Masked())
			require.True(t, half.Contains(p.Addr()))
			for _, other := range taken {
				require.False(t, other.Overlaps(p), "%s and %s", other, p)
			}
			taken = append(taken, p)
		}
		if room <= 300 {
			_, ok := freeSubnet(half, "one more", taken)
			require.False(t, ok)
		}
	})
}
