package pricing_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/pricing"
)

func TestLead(t *testing.T) {
	for want, m := range map[uint64]pricing.Mix{
		1: {CPU: 1, Memory: 2, Storage: 3, GPU: 4}, 4: {Memory: 2, Storage: 3, GPU: 4}, 2: {Memory: 2, Storage: 3}, 3: {Storage: 3}, 0: {},
	} {
		require.Equal(t, want, m.Lead())
	}
}

func TestMixKeepsItsProportions(t *testing.T) {
	price := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(1, 1000), rapid.Uint64Range(1, 1<<62))
	rapid.Check(t, func(t *rapid.T) {
		m := pricing.Mix{CPU: price.Draw(t, "cpu"), Memory: price.Draw(t, "memory"), Storage: price.Draw(t, "storage"), GPU: price.Draw(t, "gpu")}
		if m.Lead() == 0 {
			t.Skip("free")
		}
		lead := rapid.OneOf(rapid.Uint64Range(1, 1000), rapid.Uint64Range(1, 1<<62)).Draw(t, "lead")
		got := m.At(lead)
		require.Equal(t, lead, got.Lead())
		require.Equal(t, m, m.At(m.Lead()))
		for _, v := range [][2]uint64{{m.CPU, got.CPU}, {m.Memory, got.Memory}, {m.Storage, got.Storage}, {m.GPU, got.GPU}} {
			if v[0] == 0 {
				require.Zero(t, v[1])
				continue
			}
			exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(int64(v[0])), big.NewInt(int64(lead))), big.NewInt(int64(m.Lead())))
			exact.Add(exact, big.NewRat(1, 2))
			rounded := new(big.Int).Quo(exact.Num(), exact.Denom())
			want := uint64(1 << 62)
			if rounded.IsUint64() {
				want = min(max(rounded.Uint64(), 1), want)
			}
			require.Equal(t, want, v[1])
		}
	})
	require.Equal(t, pricing.Mix{CPU: 1 << 62, Memory: 1 << 62}, pricing.Mix{CPU: 1, Memory: math.MaxUint64}.At(1<<62))
}
