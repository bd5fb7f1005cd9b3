package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestGrade(t *testing.T) {
	p := types.DefaultParams()
	for want, networks := range map[types.NetworkGrade][]types.Network{
		types.NETWORK_GRADE_UNSPECIFIED: {{}},
		types.NETWORK_GRADE_A:           {{RttUs: 1}, {RttUs: 60_000, JitterUs: 10_000, LossPpm: 5_000}},
		types.NETWORK_GRADE_B: {
			{RttUs: 60_001}, {RttUs: 1, JitterUs: 10_001}, {RttUs: 1, LossPpm: 5_001}, {RttUs: 200_000, JitterUs: 50_000, LossPpm: 20_000},
		},
		types.NETWORK_GRADE_C: {{RttUs: 200_001}, {RttUs: 1, JitterUs: 50_001}, {RttUs: 1, LossPpm: 20_001}},
	} {
		for _, n := range networks {
			require.Equal(t, want, p.Grade(n), "%v", n)
		}
	}
	require.Equal(t, []string{"", "C", "B", "A"}, []string{
		types.NETWORK_GRADE_UNSPECIFIED.Letter(), types.NETWORK_GRADE_C.Letter(), types.NETWORK_GRADE_B.Letter(), types.NETWORK_GRADE_A.Letter(),
	})
}

func TestDiffers(t *testing.T) {
	before := types.Network{RttUs: 100_000, JitterUs: 4_000, LossPpm: 0}
	for _, same := range []types.Network{before, {RttUs: 125_000, JitterUs: 5_000, LossPpm: 5_000}, {RttUs: 80_000, JitterUs: 3_000}} {
		require.False(t, same.Differs(before), "%v", same)
	}
	for _, other := range []types.Network{
		{RttUs: 125_001, JitterUs: 4_000}, {RttUs: 79_999, JitterUs: 4_000}, {RttUs: 100_000, JitterUs: 5_001}, {RttUs: 100_000, JitterUs: 4_000, LossPpm: 5_001},
	} {
		require.True(t, other.Differs(before), "%v", other)
	}
	require.True(t, types.Network{RttUs: 1}.Differs(types.Network{}), "what was never measured is news, however good it is")
}

// A minority cannot move a figure out of what the others saw.
func TestMedianNetworkLiesAmongTheHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		liars := rapid.IntRange(0, 6).Draw(t, "liars")
		honest := rapid.SliceOfN(rapid.Uint32Range(100, 200), liars+1, liars+8).Draw(t, "honest")
		var seen []types.NetworkObservation
		for _, rtt := range honest {
			seen = append(seen, types.NetworkObservation{RttUs: rtt, JitterUs: rtt, LossPpm: rtt})
		}
		for range liars {
			lie := rapid.Uint32Range(1, 1_000_000).Draw(t, "lie")
			seen = append(seen, types.NetworkObservation{RttUs: lie, JitterUs: lie, LossPpm: lie})
		}
		n := types.MedianNetwork(rapid.Permutation(seen).Draw(t, "order"))
		for _, figure := range []uint32{n.RttUs, n.JitterUs, n.LossPpm} {
			if figure < 100 || figure > 200 {
				t.Fatalf("median %d of %v", figure, seen)
			}
		}
	})
}
