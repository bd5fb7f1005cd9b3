package types_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestTaskHourPrice(t *testing.T) {
	for name, c := range map[string]struct {
		prices    types.Prices
		resources types.Resources
		want      uint64
	}{
		"nothing":             {types.Prices{Cpu: 9, Memory: 9, Storage: 9, Gpu: 9}, types.Resources{}, 0},
		"half a cpu":          {types.Prices{Cpu: 10_001}, types.Resources{CpuMilli: 500}, 5_000},
		"parts add up first":  {types.Prices{Cpu: 1, Memory: 1}, types.Resources{CpuMilli: 500, MemoryMib: 512}, 1},
		"parts round down":    {types.Prices{Cpu: 1, Memory: 1}, types.Resources{CpuMilli: 499, MemoryMib: 512}, 0},
		"all":                 {types.Prices{Cpu: 1000, Memory: 100, Storage: 10, Gpu: 5000}, types.Resources{CpuMilli: 2500, MemoryMib: 1536, StorageMib: 10240, Gpus: 2}, 12_750},
		"product over 64 bit": {types.Prices{Cpu: math.MaxUint64}, types.Resources{CpuMilli: 1000}, math.MaxUint64},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := types.TaskHourPrice(c.prices, c.resources)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestTaskHourPriceIsExactOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) uint64 {
			return rapid.Uint64().Draw(t, name) >> rapid.IntRange(0, 63).Draw(t, name+" shift")
		}
		p := types.Prices{Cpu: draw("cpu price"), Memory: draw("memory price"), Storage: draw("storage price"), Gpu: draw("gpu price")}
		r := types.Resources{CpuMilli: draw("cpu"), MemoryMib: draw("memory"), StorageMib: draw("storage"), Gpus: draw("gpus")}

		sum := new(big.Rat)
		add := func(amount, price uint64, unit int64) {
			n := new(big.Int).Mul(new(big.Int).SetUint64(amount), new(big.Int).SetUint64(price))
			sum.Add(sum, new(big.Rat).SetFrac(n, big.NewInt(unit)))
		}
		add(r.CpuMilli, p.Cpu, 1000)
		add(r.MemoryMib, p.Memory, 1024)
		add(r.StorageMib, p.Storage, 1024)
		add(r.Gpus, p.Gpu, 1)
		want := new(big.Int).Quo(sum.Num(), sum.Denom())

		got, err := types.TaskHourPrice(p, r)
		if !want.IsUint64() {
			require.ErrorIs(t, err, escrowtypes.ErrOverflow)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want.Uint64(), got)
	})
}
