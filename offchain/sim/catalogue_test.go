package sim

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadCatalogue(t *testing.T) {
	servers, err := ReadCatalogue(strings.NewReader("server,vendor,threads,vcpus,memory_mib,passmark_single,passmark_cpu,price_usd_hour,color\n" +
		"a1,acme,8,,4096,2000,,0.1,red\na2,bolt,8,4,1024,3000,9000,0.2,blue\n"))
	require.NoError(t, err)
	require.Equal(t, []Server{
		{Vendor: "acme", Name: "a1", VCPUs: 8, MemoryGiB: 4, Single: 2000, PriceUSD: 0.1},
		{Vendor: "bolt", Name: "a2", VCPUs: 4, MemoryGiB: 1, Single: 3000, All: 9000, PriceUSD: 0.2},
	}, servers)
}

func TestCatalogueProblems(t *testing.T) {
	const head = "vendor,vcpus,memory_mib,passmark_single,price_usd_hour\n"
	for name, c := range map[string]struct{ file, want string }{
		"empty":          {"", "no heading"},
		"no servers":     {head, "no servers"},
		"missing column": {"vendor,vcpus,memory_mib,passmark_single\n", "no column price_usd_hour"},
		"missing value":  {head + "a,1,1024,,1\n", "line 2: passmark_single is empty"},
		"no number":      {head + "a,1,1024,1000,1\nb,1,much,1000,1\n", `line 3: memory_mib is "much"`},
		"negative":       {head + "a,1,1024,1000,-1\n", "line 2: price_usd_hour"},
		"infinite":       {head + "a,1,1024,1000,inf\n", "line 2: price_usd_hour"},
		"no vcpus":       {head + "a,,1024,1000,1\n", "line 2: vcpus and threads are not known"},
		"free":           {head + "a,1,1024,1000,0\n", "must be above 0"},
		"ragged":         {head + "a,1\n", "not CSV"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadCatalogue(strings.NewReader(c.file))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// The generated catalogue must look like the real one where it matters: size and speed make the price.
func TestGenerate(t *testing.T) {
	servers := Generate(2000, 7)
	require.Equal(t, servers, Generate(2000, 7))
	require.NotEqual(t, servers, Generate(2000, 8))
	vendors := map[string]int{}
	var small, large []float64
	for _, s := range servers {
		vendors[s.Vendor]++
		require.True(t, s.Single >= 500 && s.Single <= 4600 && s.VCPUs >= 2 && s.PriceUSD > 0, "%+v", s)
		switch s.VCPUs {
		case 2:
			small = append(small, s.PriceUSD)
		case 64:
			large = append(large, s.PriceUSD)
		}
	}
	require.Len(t, vendors, 8)
	mean := func(v []float64) float64 {
		sum := 0.0
		for _, x := range v {
			sum += x
		}
		return sum / float64(len(v))
	}
	require.InDelta(t, math.Log(32), math.Log(mean(large)/mean(small)), 0.3, "32 times the size costs about 32 times as much")
}

func TestDistances(t *testing.T) {
	byName := map[string]Place{}
	for _, p := range Places() {
		byName[p.Name] = p
	}
	require.InDelta(t, 5900, kilometers(byName["london"], byName["ashburn"]), 100)
	require.InDelta(t, 640, kilometers(byName["frankfurt"], byName["london"]), 30)
	require.InDelta(t, 17000, kilometers(byName["london"], byName["sydney"]), 150)
	table := rttTable()
	for i := range table {
		require.Equal(t, 5.0, table[i][i])
		for j := range table {
			require.InDelta(t, table[i][j], table[j][i], 1e-9)
		}
	}
}
