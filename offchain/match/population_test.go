package match

import (
	"encoding/binary"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// server is a machine with a price, as a catalogue lists it.
type server struct {
	vendor        string
	arch          string
	vcpus, memory uint64
	storage       uint64
	single        uint64
	pricePerHour  float64
}

// servers reads the catalogue that FOG_SERVERS_CSV names, or makes one up with the same spreads.
func servers(t testing.TB) []server {
	path := os.Getenv("FOG_SERVERS_CSV")
	if path == "" {
		return inventedServers()
	}
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	at := map[string]int{}
	for i, name := range rows[0] {
		at[name] = i
	}
	number := func(row []string, name string) float64 {
		v, err := strconv.ParseFloat(row[at[name]], 64)
		if err != nil {
			return 0
		}
		return v
	}
	var out []server
	for _, row := range rows[1:] {
		s := server{
			vendor: row[at["vendor"]], arch: row[at["arch"]], vcpus: uint64(number(row, "vcpus")), memory: uint64(number(row, "memory_mib")),
			storage: uint64(number(row, "storage_gb")), single: uint64(number(row, "passmark_single")), pricePerHour: number(row, "price_usd_hour"),
		}
		if s.vcpus > 0 && s.memory > 0 && s.single > 0 && s.pricePerHour > 0 {
			out = append(out, s)
		}
	}
	return out
}

func inventedServers() []server {
	rng := rand.New(rand.NewPCG(1, 2))
	var out []server
	for range 3500 {
		cpus := uint64(1) << rng.IntN(8)
		out = append(out, server{
			vendor: strconv.Itoa(rng.IntN(8)), arch: []string{"amd64", "arm64"}[rng.IntN(5)/4], vcpus: cpus,
			memory: cpus * 1024 << rng.IntN(4), storage: uint64(rng.IntN(3)) * 250, single: uint64(1200 + rng.IntN(2600)),
			pricePerHour: float64(cpus) * 0.045 * math.Exp(0.4*rng.NormFloat64()),
		})
	}
	return out
}

// cities are where nodes and developers are.
var cities = [][2]int32{
	{52_520, 13_405}, {50_110, 8_682}, {48_857, 2_352}, {51_507, -128}, {59_329, 18_069}, {40_713, -74_006}, {37_774, -122_419},
	{41_878, -87_630}, {1_352, 103_820}, {35_690, 139_692}, {-33_869, 151_209}, {-23_551, -46_633}, {19_076, 72_878}, {25_205, 55_271},
}

func placeNear(rng *rand.Rand) Place {
	c := cities[rng.IntN(len(cities))]
	jitter := func() int32 { return int32(rng.NormFloat64() * 1e6) }
	return PlaceAt(c[0]*1000+jitter(), c[1]*1000+jitter())
}

// population draws nodes of the catalogue with prices spread by e^{0.35z}, with outcomes of a hidden reliability.
func population(t testing.TB, size int) []Node {
	catalogue := servers(t)
	rng := rand.New(rand.NewPCG(7, uint64(size)))
	out := make([]Node, size)
	for i := range out {
		s := catalogue[rng.IntN(len(catalogue))]
		perCPU := s.pricePerHour * math.Exp(0.35*rng.NormFloat64()) / float64(s.vcpus) * 1e6
		n := Node{
			Index: uint32(i + 1), Arch: s.arch, OS: "linux", Region: strconv.Itoa(rng.IntN(8)), CPUSingle: s.single,
			Free:   Resources{CPUMilli: s.vcpus * 1000, MemoryMiB: s.memory, StorageMiB: (s.storage + 50) * 1024},
			Prices: Prices{CPU: uint64(perCPU * 0.7), Memory: uint64(perCPU * 0.3 * float64(s.vcpus) * 1024 / float64(s.memory)), Storage: 20},
			Place:  placeNear(rng), RTT: 5000, Class: uint32(rng.IntN(6)),
		}
		binary.BigEndian.PutUint64(n.ID[:], rng.Uint64())
		binary.BigEndian.PutUint32(n.ID[12:], uint32(i))
		copy(n.Owner[:], s.vendor)
		n.Owner[19] = byte(rng.IntN(20))
		p := 1 / (1 + math.Exp(-2.6-0.9*rng.NormFloat64()))
		for range rng.IntN(30) {
			n.Stats = n.Stats.Add(Outcome{Success: rng.Float64() < p, Speed: uint32(One * math.Exp(0.08*rng.NormFloat64()))})
		}
		out[i] = n
	}
	return out
}

// queries draws tasks with a heavy-tailed amount of work.
func queries(rng *rand.Rand, count int, latencyPrice uint64) []Query {
	out := make([]Query, count)
	for i := range out {
		cpus := uint64(1) << rng.IntN(3)
		out[i] = Query{
			Number: uint32(i), Task: Resources{CPUMilli: cpus * 1000, MemoryMiB: cpus * 1024 << rng.IntN(3), StorageMiB: 1024 * uint64(rng.IntN(20))},
			Work: uint64(1800 * 2364 * math.Exp(0.8*rng.NormFloat64())), FailureCost: 150_000, LatencyPrice: latencyPrice, Place: placeNear(rng),
		}
		binary.BigEndian.PutUint64(out[i].Job[:], rng.Uint64())
	}
	return out
}

func engineOf(t testing.TB, cfg Config, nodes []Node) *Engine {
	e := NewEngine(cfg)
	for _, n := range nodes {
		_, err := e.Add(n)
		require.NoError(t, err)
	}
	e.Epoch(0)
	return e
}
