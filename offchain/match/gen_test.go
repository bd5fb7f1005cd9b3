package match

import (
	"math/big"

	"pgregory.net/rapid"
)

func idOf(kind, n byte) ID { return ID{0: kind, 19: n} }

// generate draws a small, crowded snapshot: few values, so that nodes tie, owners share funds and capacity runs out.
func generate(t *rapid.T) Snapshot {
	ids := func(kind, label byte, most int) []ID {
		return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) ID {
			return idOf(kind, rapid.ByteRange(0, 5).Draw(t, string(label)))
		}), 0, most, func(id ID) ID { return id }).Draw(t, string(label)+"s")
	}
	words := func(label string, values ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(values), 0, 2).Draw(t, label)
	}
	amount := func(label string, most uint64) uint64 { return rapid.Uint64Range(0, most).Draw(t, label) }

	var s Snapshot
	for i := range rapid.IntRange(0, 6).Draw(t, "nodes") {
		s.Nodes = append(s.Nodes, Node{
			ID: idOf('n', byte(i)), Index: uint32(i + 1), Owner: idOf('o', rapid.ByteRange(0, 3).Draw(t, "owner")),
			Free: Resources{
				CPUMilli: 500 * amount("cpu", 8), MemoryMiB: 256 * amount("memory", 8),
				StorageMiB: 1024 * amount("storage", 4), GPUs: amount("gpus", 1),
			},
			Prices:     Prices{CPU: 100 * amount("cpu price", 3), Memory: 7 * amount("memory price", 3), Storage: amount("storage price", 2), GPU: 50},
			Region:     rapid.SampledFrom([]string{"eu", "us"}).Draw(t, "region"),
			Datacenter: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "datacenter"),
			Arch:       rapid.SampledFrom([]string{"amd64", "arm64"}).Draw(t, "arch"),
			OS:         "linux",
			Runtimes:   rapid.SampledFrom([]Runtimes{0, 0, 2, 4, 6}).Draw(t, "engines"),
			Attributes: []Attribute{{"disk", rapid.SampledFrom([]string{"ssd", "hdd"}).Draw(t, "disk")}},
			CPUSingle:  100 * amount("speed", 3),
			Probation:  rapid.IntRange(0, 4).Draw(t, "probation") == 0,
			Running:    uint32(amount("running", 1)),
		})
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "pending") {
		p := Pending{
			Job: idOf('j', byte(i/2)), Slice: uint32(i % 2), Owner: idOf('o', rapid.ByteRange(2, 5).Draw(t, "developer")),
			First: uint32(amount("first", 300)), Count: uint32(1 + amount("count", 9)), Height: int64(amount("height", 2)),
			Task: Resources{
				CPUMilli: 250 * amount("task cpu", 4), MemoryMiB: 100 * amount("task memory", 4),
				StorageMiB: 500 * amount("task storage", 1), GPUs: amount("task gpus", 4) / 4,
			},
			Runtime:  Runtime(rapid.SampledFrom([]uint8{1, 1, 2}).Draw(t, "engine")),
			PriceCap: 50 * amount("cap", 20), MaxDuration: 1 + amount("duration", 7200), TaskBudget: 10 * amount("budget", 200),
			ExcludedNodes: ids('n', 'x', 1), ExcludedOwners: ids('o', 'y', 1),
		}
		if rapid.Bool().Draw(t, "constrained") {
			p.Constraints = Constraints{
				Regions: words("regions", "eu", "us"), Datacenters: words("datacenters", "a", "b"),
				Arch: words("archs", "amd64", "arm64"), OS: words("oses", "linux", "darwin"),
				MinCPUSingle: 100 * amount("min speed", 2), Nodes: ids('n', 'l', 4), ExcludeNodes: ids('n', 'e', 1),
			}
			if rapid.Bool().Draw(t, "with attribute") {
				p.Constraints.Attributes = []Attribute{{"disk", "ssd"}}
			}
		}
		s.Pending = append(s.Pending, p)
	}
	for i := range byte(4) {
		if rapid.IntRange(0, 5).Draw(t, "has funds") > 0 {
			s.Funds = append(s.Funds, Funds{Owner: idOf('o', i), Available: amount("available", 400)})
		}
	}
	s.Params = Params{
		MaxItems: uint32(1 + amount("items", 9)), MaxSliceTasks: uint32(1 + amount("slice", 7)),
		Fee: 100, Collateral: uint32(1500 * amount("collateral", 2)),
	}
	return s
}

func drawSeed(t *rapid.T) Seed {
	var seed Seed
	copy(seed[:], rapid.SliceOfN(rapid.Byte(), 1, 1).Draw(t, "seed"))
	return seed
}

func big64(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

func ceilDiv(a *big.Int, b int64) *big.Int {
	q, r := new(big.Int).QuoRem(a, big.NewInt(b), new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}
