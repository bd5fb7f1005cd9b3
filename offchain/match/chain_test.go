//go:build amd64 || arm64

package match

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// The chain refuses an item whose price is not its own to the ufog.
func TestPriceIsTheChains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 1<<20))
		r := Resources{
			CPUMilli: amount.Draw(t, "cpu"), MemoryMiB: amount.Draw(t, "memory"), StorageMiB: amount.Draw(t, "storage"), GPUs: amount.Draw(t, "gpus"),
		}
		p := Prices{
			CPU: amount.Draw(t, "cpu price"), Memory: amount.Draw(t, "memory price"), Storage: amount.Draw(t, "storage price"), GPU: amount.Draw(t, "gpu price"),
		}
		want, err := nodestypes.TaskHourPrice(chainPrices(p), chainResources(r))
		got, ok := TaskHourPrice(p, r)
		require.Equal(t, err == nil, ok)
		if ok {
			require.Equal(t, want, got)
		}
	})
}

// A rule that the chain has and this package lacks, or the other way round, would propose the same refused item for ever
// or leave tasks waiting beside a free node.
func TestRulesAreTheChains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := generate(t)
		st, err := newState(s)
		require.NoError(t, err)
		for _, p := range s.Pending {
			for i := range st.nodes {
				n := &st.nodes[i]
				o, reason := st.rules(n, &p, st.shapeOf(p.Task).quotes[i])
				price, err := jobstypes.CheckMatch(chainParams(s.Params), chainJob(p), chainSlice(p), chainNode(n.Node), s.Time)
				require.Equal(t, err == nil, reason == 0, "%v / %v", reason, err)
				if err == nil {
					require.Equal(t, price, o.price)
				}
			}
		}
	})
}

func chainResources(r Resources) nodestypes.Resources {
	return nodestypes.Resources{CpuMilli: r.CPUMilli, MemoryMib: r.MemoryMiB, StorageMib: r.StorageMiB, Gpus: r.GPUs}
}

func chainPrices(p Prices) nodestypes.Prices {
	return nodestypes.Prices{Cpu: p.CPU, Memory: p.Memory, Storage: p.Storage, Gpu: p.GPU}
}

func chainParams(p Params) jobstypes.Params {
	params := jobstypes.DefaultParams()
	params.Fee, params.Collateral = p.Fee, p.Collateral
	return params
}

func chainIDs(ids []ID) []string {
	var out []string
	for _, id := range ids {
		out = append(out, id.String())
	}
	return out
}

func chainAttributes(attributes []Attribute) []nodestypes.Attribute {
	var out []nodestypes.Attribute
	for _, a := range attributes {
		out = append(out, nodestypes.Attribute{Key: a.Key, Value: a.Value})
	}
	return out
}

func chainNode(n Node) nodestypes.Node {
	var engines []nodestypes.Engine
	for _, e := range []Runtime{RuntimeWASM, RuntimeDocker} {
		if n.Runtimes>>e&1 == 1 {
			engines = append(engines, nodestypes.Engine(e))
		}
	}
	return nodestypes.Node{
		Engines: engines,
		Id:      n.ID.String(), Index: n.Index, Owner: n.Owner.String(), Status: nodestypes.NODE_STATUS_ACTIVE,
		Region: n.Region, Datacenter: n.Datacenter, Hardware: nodestypes.Hardware{Arch: n.Arch, Os: n.OS},
		Attributes: chainAttributes(n.Attributes), Prices: chainPrices(n.Prices), Measured: nodestypes.Benchmark{CpuSingle: n.CPUSingle},
	}
}

func chainJob(p Pending) jobstypes.Job {
	c := p.Constraints
	return jobstypes.Job{
		Engine: nodestypes.Engine(p.Runtime), Status: jobstypes.JOB_STATUS_OPEN, Owner: p.Owner.String(), Resources: chainResources(p.Task), PriceCap: p.PriceCap,
		Constraints: jobstypes.Constraints{
			Regions: c.Regions, Datacenters: c.Datacenters, Arch: c.Arch, Os: c.OS, Attributes: chainAttributes(c.Attributes),
			MinCpuSingle: c.MinCPUSingle, Nodes: chainIDs(c.Nodes), ExcludeNodes: chainIDs(c.ExcludeNodes),
		},
	}
}

// chainSlice holds the tasks' budget without a separate fee: the chain compares sums.
func chainSlice(p Pending) jobstypes.Slice {
	return jobstypes.Slice{
		Status: jobstypes.SLICE_STATUS_PENDING, TaskCount: p.Count, Budget: p.TaskBudget * uint64(p.Count), MaxDuration: p.MaxDuration,
		Excluded: chainIDs(p.ExcludedNodes), ExcludedOwners: chainIDs(p.ExcludedOwners),
	}
}
