package devnettest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// autoPricing is how the agent is started once it sets its price. The limits leave the prices below the caps of the jobs.
var autoPricing = []string{"--pricing", "auto", "--price-cost", "1FOG", "--price-ceiling", "3FOG"}

// letAgentPrice gives the agent a key of its own for prices, and waits for the first one that it sets.
func (g *grid) letAgentPrice(t *testing.T) {
	var key struct {
		Address string `json:"address"`
	}
	g.run(t, g.net.ProviderHome(), &key, "keys", "add", "pricing")
	g.run(t, g.net.ProviderHome(), nil, "node", "grant-pricing", key.Address, "--for", "1h", "--fees", "1FOG")
	before := g.nodeNow(t)
	require.NoError(t, g.net.StopAgent(t.Context(), false))
	g.agentArgs = autoPricing
	require.NoError(t, g.net.StartAgent(t.Context(), g.agentArgs...))
	until(t, "the agent to set a price", func() bool { return g.nodeNow(t).Prices != before.Prices })
	after := g.nodeNow(t)
	require.Greater(t, after.Prices.Cpu, uint64(1_000_000))
	require.LessOrEqual(t, after.Prices.Cpu, uint64(3_000_000))
	require.InDelta(t, float64(after.Prices.Cpu)/4, float64(after.Prices.Memory), 1, "in proportion")
	require.InDelta(t, float64(after.Prices.Cpu)/20, float64(after.Prices.Storage), 1)
	require.Equal(t, before.Capacity, after.Capacity)
	require.Equal(t, before.Declared, after.Declared)
	g.active(t)
}

// priceEvidence waits until the oracles have told the agent of its offers. Windows in which the chain or an oracle was killed are left out,
// so there are new jobs until one falls into a window that was seen whole.
func (g *grid) priceEvidence(t *testing.T) {
	var plan struct {
		Evidence struct {
			Offers   float64 `json:"offers"`
			Accepted float64 `json:"accepted"`
		} `json:"evidence"`
	}
	var jobs []string
	var next time.Time
	until(t, "offers that the oracles tell of", func() bool {
		if now := time.Now(); now.After(next) {
			next = now.Add(20 * time.Second)
			jobs = append(jobs, g.submit(t, job{name: "offered", module: "pi.wasm", args: `"-samples", "1000"`, cap: "5FOG", deadline: 3600}))
		}
		g.run(t, g.net.ProviderHome(), &plan, "node", "price", "--dry-run")
		return plan.Evidence.Accepted > 0
	})
	for _, id := range jobs {
		until(t, id+" to have its result", func() bool {
			counts := g.job(t, id).Counts
			return counts.Pending+counts.Matched == 0
		})
		g.run(t, g.net.DeveloperHome(), nil, "job", "accept", id) // or it would be paid while a later step counts
	}
	require.GreaterOrEqual(t, plan.Evidence.Offers, plan.Evidence.Accepted)
	require.Equal(t, nodestypes.NODE_STATUS_ACTIVE, g.nodeNow(t).Status)
}
