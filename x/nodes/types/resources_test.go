package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestResources(t *testing.T) {
	amount := rapid.OneOf(rapid.Uint64Range(0, 10), rapid.Uint64())
	resources := rapid.Custom(func(t *rapid.T) types.Resources {
		return types.Resources{
			CpuMilli: amount.Draw(t, "cpu"), MemoryMib: amount.Draw(t, "memory"), StorageMib: amount.Draw(t, "storage"), Gpus: amount.Draw(t, "gpus"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := resources.Draw(t, "a"), resources.Draw(t, "b")
		if sum, err := a.Add(b); err == nil {
			require.NoError(t, a.FitsIn(sum))
			require.NoError(t, b.FitsIn(sum))
			back, err := sum.Sub(b)
			require.NoError(t, err)
			require.Equal(t, a, back)
		} else {
			require.ErrorIs(t, err, escrowtypes.ErrOverflow)
			require.True(t, a.CpuMilli+b.CpuMilli < a.CpuMilli || a.MemoryMib+b.MemoryMib < a.MemoryMib ||
				a.StorageMib+b.StorageMib < a.StorageMib || a.Gpus+b.Gpus < a.Gpus)
		}
		_, err := a.Sub(b)
		require.Equal(t, b.FitsIn(a) == nil, err == nil, "what fits in can be taken away")
	})
}
