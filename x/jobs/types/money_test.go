package types_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

func TestTerms(t *testing.T) {
	terms, err := types.TermsOf(10_801, 100, 100)
	require.NoError(t, err)
	require.Equal(t, types.Terms{Budget: 301, Fee: 4}, terms)
	ten, err := terms.Times(10)
	require.NoError(t, err)
	require.Equal(t, types.Terms{Budget: 3010, Fee: 40}, ten)
	_, err = types.Terms{Budget: math.MaxUint64}.Times(2)
	require.ErrorIs(t, err, escrowtypes.ErrOverflow)
	_, err = types.Terms{Budget: math.MaxUint64, Fee: 1}.Sum()
	require.ErrorIs(t, err, escrowtypes.ErrOverflow)
	_, err = types.TermsOf(math.MaxUint64, 3601, 0)
	require.ErrorIs(t, err, escrowtypes.ErrOverflow)
}

func TestPay(t *testing.T) {
	pay, err := types.Pay(10, 50_001, 7200)
	require.NoError(t, err)
	require.EqualValues(t, 1000, pay)
	_, err = types.Pay(256, math.MaxUint64, 1)
	require.ErrorIs(t, err, escrowtypes.ErrOverflow)
}

func TestPayIsExactAndWithinTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Uint64Range(0, types.MaxPrice).Draw(t, "price")
		seconds := rapid.Uint64Range(1, 604_800).Draw(t, "seconds")
		ms := rapid.Uint64Range(0, seconds*1000).Draw(t, "ms")
		n := rapid.Uint32Range(1, types.MaxSliceTasks).Draw(t, "tasks")
		part := rapid.Uint32Range(0, types.BasisPoints).Draw(t, "fee")

		pay, err := types.Pay(n, ms, price)
		require.NoError(t, err)
		want := new(big.Int).Mul(big.NewInt(int64(n)), new(big.Int).SetUint64(ms))
		want.Mul(want, new(big.Int).SetUint64(price)).Quo(want, big.NewInt(types.MillisPerHour))
		require.Equal(t, want.Uint64(), pay)

		terms, err := types.TermsOf(price, seconds, part)
		require.NoError(t, err)
		all, err := terms.Times(n)
		require.NoError(t, err)
		require.LessOrEqual(t, pay, all.Budget)
		fee, err := types.PartDown(pay, part)
		require.NoError(t, err)
		require.LessOrEqual(t, fee, all.Fee)
	})
}

func TestAffordIsTheMostThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Uint64Range(0, 1<<50).Draw(t, "amount")
		price := rapid.Uint64Range(1, types.MaxPrice).Draw(t, "price")
		most := rapid.Uint64Range(0, 604_800).Draw(t, "most")
		part := rapid.Uint32Range(0, types.BasisPoints).Draw(t, "fee")
		seconds, terms, err := types.Afford(amount, price, most, part)
		require.NoError(t, err)
		sum, err := terms.Sum()
		require.NoError(t, err)
		require.LessOrEqual(t, sum, amount)
		require.LessOrEqual(t, seconds, most)
		if seconds < most {
			more, err := types.TermsOf(price, seconds+1, part)
			require.NoError(t, err)
			sum, err := more.Sum()
			require.NoError(t, err)
			require.Greater(t, sum, amount)
		}
	})
}

func TestWithin(t *testing.T) {
	want := types.Terms{Budget: 300, Fee: 3}
	for amount, terms := range map[uint64]types.Terms{303: want, 1000: want, 302: {Budget: 299, Fee: 3}, 100: {Budget: 99, Fee: 1}, 0: {}} {
		got, err := want.Within(amount, 100)
		require.NoError(t, err)
		require.Equal(t, terms, got, "%d", amount)
	}
}
