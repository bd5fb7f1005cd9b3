package types_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/foggrid/fogd/x/escrow/types"
)

const most = math.MaxUint64

func bech32Of(hrp string, raw []byte) (string, error) { return bech32.ConvertAndEncode(hrp, raw) }

func TestMulDiv(t *testing.T) {
	for _, tc := range []struct {
		a, b, c, floor, ceil uint64
		floorErr, ceilErr    error
	}{
		{a: 0, b: 0, c: 1},
		{a: 7, b: 3, c: 2, floor: 10, ceil: 11},
		{a: 6, b: 3, c: 2, floor: 9, ceil: 9},
		{a: 1, b: 1, c: most, floor: 0, ceil: 1},
		{a: most, b: most, c: most, floor: most, ceil: most},
		{a: most, b: 2, c: 2, floor: most, ceil: most},
		{a: 5, b: 5, c: 0, floorErr: types.ErrDivisionByZero, ceilErr: types.ErrDivisionByZero},
		{a: most, b: 2, c: 1, floorErr: types.ErrOverflow, ceilErr: types.ErrOverflow},
		// ⌊(2^64−1)·(2^64−1)/(2^64−2)⌋ = 2^64 does not fit, ⌊3·12297829382473034411/2⌋ does, but its ceiling does not.
		{a: most, b: most, c: most - 1, floorErr: types.ErrOverflow, ceilErr: types.ErrOverflow},
		{a: 3, b: 12297829382473034411, c: 2, floorErr: types.ErrOverflow, ceilErr: types.ErrOverflow},
		{a: 3, b: 12297829382473034410, c: 2, floor: most, ceil: most},
		{a: 4294967297, b: 4294967295, c: 1, floor: most, ceil: most},
	} {
		floor, err := types.MulDiv(tc.a, tc.b, tc.c)
		require.ErrorIs(t, err, tc.floorErr, "%+v", tc)
		require.Equal(t, tc.floor, floor, "%+v", tc)
		ceil, err := types.MulDivCeil(tc.a, tc.b, tc.c)
		require.ErrorIs(t, err, tc.ceilErr, "%+v", tc)
		require.Equal(t, tc.ceil, ceil, "%+v", tc)
	}
}

// a·b/c against arbitrary precision.
func TestMulDivIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b"), rapid.Uint64Min(1).Draw(t, "c")
		product := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
		want, rem := new(big.Int).QuoRem(product, new(big.Int).SetUint64(c), new(big.Int))

		floor, err := types.MulDiv(a, b, c)
		sameOrOverflow(t, want, floor, err)
		if rem.Sign() != 0 {
			want.Add(want, big.NewInt(1))
		}
		ceil, err := types.MulDivCeil(a, b, c)
		sameOrOverflow(t, want, ceil, err)
	})
}

func sameOrOverflow(t require.TestingT, want *big.Int, got uint64, err error) {
	if !want.IsUint64() {
		require.ErrorIs(t, err, types.ErrOverflow)
		require.Zero(t, got)
		return
	}
	require.NoError(t, err)
	require.Equal(t, want.Uint64(), got)
}

func TestChecked(t *testing.T) {
	sum, err := types.AddChecked(most-1, 1)
	require.NoError(t, err)
	require.EqualValues(t, uint64(most), sum)
	_, err = types.AddChecked(most, 1)
	require.ErrorIs(t, err, types.ErrOverflow)

	diff, err := types.SubChecked(5, 5)
	require.NoError(t, err)
	require.Zero(t, diff)
	_, err = types.SubChecked(4, 5)
	require.ErrorIs(t, err, types.ErrUnderflow)
}

func TestParseCoin(t *testing.T) {
	amount, err := types.ParseCoin("bond", types.Coin(most))
	require.NoError(t, err)
	require.EqualValues(t, uint64(most), amount)

	for name, tc := range map[string]struct {
		coin sdk.Coin
		says string
	}{
		"denom":    {sdk.Coin{Denom: "stake", Amount: sdkmath.OneInt()}, `denom "stake"; it must be ufog`},
		"no coin":  {sdk.Coin{}, "it must be ufog"},
		"nil":      {sdk.Coin{Denom: "ufog"}, "no amount"},
		"negative": {sdk.Coin{Denom: "ufog", Amount: sdkmath.NewInt(-1)}, "between 0 and 2^64-1"},
		"too much": {sdk.Coin{Denom: "ufog", Amount: sdkmath.NewIntFromUint64(most).AddRaw(1)}, "between 0 and 2^64-1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := types.ParseCoin("bond", tc.coin)
			require.ErrorIs(t, err, types.ErrInvalidField)
			require.ErrorContains(t, err, "bond: ")
			require.ErrorContains(t, err, tc.says)
		})
	}
}
