package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestJudge(t *testing.T) {
	declared := registration().Declared
	for name, c := range map[string]struct {
		edit    func(measured, lowered *types.Benchmark)
		verdict types.Verdict
		figure  string
	}{
		"all reached":         {func(m, l *types.Benchmark) {}, types.VerdictPass, ""},
		"rtt is not judged":   {func(m, l *types.Benchmark) { m.RttUs = 1 << 40 }, types.VerdictPass, ""},
		"900 of 1000":         {func(m, l *types.Benchmark) { m.CpuSingle = 900 }, types.VerdictPass, ""},
		"899 of 1000":         {func(m, l *types.Benchmark) { m.CpuSingle, l.CpuSingle = 899, 899 }, types.VerdictLower, "cpu_single"},
		"750 of 1000":         {func(m, l *types.Benchmark) { m.CpuSingle, l.CpuSingle = 750, 750 }, types.VerdictLower, "cpu_single"},
		"749 of 1000":         {func(m, l *types.Benchmark) { m.CpuSingle = 749 }, types.VerdictBelow, "cpu_single"},
		"one low, one below":  {func(m, l *types.Benchmark) { m.CpuSingle, m.DiskRead = 800, 1 }, types.VerdictBelow, "disk_read"},
		"two low":             {func(m, l *types.Benchmark) { m.DiskRead, m.CpuAll, l.DiskRead, l.CpuAll = 400, 7_000, 400, 7_000 }, types.VerdictLower, "cpu_all"},
		"memory not there":    {func(m, l *types.Benchmark) { m.MemoryMib = 0 }, types.VerdictBelow, "memory_mib"},
		"bandwidth not there": {func(m, l *types.Benchmark) { m.MemoryBandwidth = 0 }, types.VerdictBelow, "memory_bandwidth"},
		"storage not there":   {func(m, l *types.Benchmark) { m.StorageMib = 0 }, types.VerdictBelow, "storage_mib"},
	} {
		t.Run(name, func(t *testing.T) {
			measured, want := declared, declared
			c.edit(&measured, &want)
			verdict, lowered, figure := types.Judge(declared, measured, types.DefaultParams())
			require.Equal(t, c.verdict, verdict)
			require.Equal(t, want, lowered)
			require.Equal(t, c.figure, figure)
		})
	}
	undeclared := declared
	undeclared.DiskRead = 0
	verdict, _, _ := types.Judge(undeclared, undeclared, types.DefaultParams())
	require.Equal(t, types.VerdictPass, verdict, "what is not declared is not asked for")
}

// More is never worse, and a lowered declaration is reached by what it was lowered to.
func TestJudgeIsMonotonic(t *testing.T) {
	figure := rapid.Uint64Range(0, 1<<50)
	benchmark := rapid.Custom(func(t *rapid.T) types.Benchmark {
		return types.Benchmark{
			CpuSingle: figure.Draw(t, "cpu_single"), CpuAll: figure.Draw(t, "cpu_all"), MemoryMib: figure.Draw(t, "memory_mib"),
			MemoryBandwidth: figure.Draw(t, "memory_bandwidth"), DiskRead: figure.Draw(t, "disk_read"), StorageMib: figure.Draw(t, "storage_mib"),
		}
	})
	rank := map[types.Verdict]int{types.VerdictBelow: 0, types.VerdictLower: 1, types.VerdictPass: 2}
	rapid.Check(t, func(t *rapid.T) {
		declared, measured := benchmark.Draw(t, "declared"), benchmark.Draw(t, "measured")
		part := func(f uint64) uint64 { return f * rapid.Uint64Range(70, 110).Draw(t, "percent") / 100 }
		if rapid.Bool().Draw(t, "near") {
			measured = types.Benchmark{
				CpuSingle: part(declared.CpuSingle), CpuAll: part(declared.CpuAll), MemoryMib: part(declared.MemoryMib),
				MemoryBandwidth: part(declared.MemoryBandwidth), DiskRead: part(declared.DiskRead), StorageMib: part(declared.StorageMib),
			}
		}
		verdict, lowered, _ := types.Judge(declared, measured, types.DefaultParams())
		require.False(t, lowered.Raises(declared))
		if verdict != types.VerdictBelow {
			again, _, _ := types.Judge(lowered, measured, types.DefaultParams())
			require.Equal(t, types.VerdictPass, again)
		}
		more := measured
		more.CpuAll += figure.Draw(t, "more")
		better, _, _ := types.Judge(declared, more, types.DefaultParams())
		require.GreaterOrEqual(t, rank[better], rank[verdict])
	})
}

func TestMedians(t *testing.T) {
	o := func(cpu, rtt uint64) types.BenchmarkObservation {
		return types.BenchmarkObservation{Measured: types.Benchmark{CpuSingle: cpu, RttUs: rtt, BandwidthKbit: 10 * rtt}}
	}
	away := types.BenchmarkObservation{Unreachable: true}
	for name, c := range map[string]struct {
		observations []types.BenchmarkObservation
		want         types.Benchmark
		n            int
	}{
		"none":         {nil, types.Benchmark{}, 0},
		"nobody could": {[]types.BenchmarkObservation{away, away}, types.Benchmark{}, 0},
		"one":          {[]types.BenchmarkObservation{o(5, 6)}, types.Benchmark{CpuSingle: 5, RttUs: 6, BandwidthKbit: 60}, 1},
		"odd":          {[]types.BenchmarkObservation{o(9, 1), o(5, 2), o(7, 3)}, types.Benchmark{CpuSingle: 7, RttUs: 2, BandwidthKbit: 20}, 3},
		"even":         {[]types.BenchmarkObservation{o(9, 1), o(5, 2), o(7, 3), o(8, 4)}, types.Benchmark{CpuSingle: 7, RttUs: 2, BandwidthKbit: 20}, 4},
		"some away":    {[]types.BenchmarkObservation{away, o(9, 1), away, o(5, 2)}, types.Benchmark{CpuSingle: 5, RttUs: 1, BandwidthKbit: 10}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			medians, n := types.Medians(c.observations)
			require.Equal(t, c.want, medians)
			require.Equal(t, c.n, n)
		})
	}
}
