package agent

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// TestNodeOnNomad: the agent of a node that is served by Nomad starts nothing, whether it has a dispatcher or not, until the chain says otherwise.
func TestNodeOnNomad(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"as it should be":     func(c *Config) { c.Dispatcher = nil },
		"with the wrong flag": func(*Config) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.oracle("a")
			w.change(func() { w.labels = []nodestypes.Attribute{{Key: handover.AttributeRegion, Value: "eu"}} })
			var told atomic.Int32
			p := w.run(t.TempDir(), change, func(c *Config) {
				c.Follow = func(n nodestypes.Node) {
					if n.Id == testNode && len(n.Attributes) == 1 {
						told.Add(1)
					}
				}
			})
			id := w.match(w.job(testJob, 1, "report"), 0, 0, 1)
			eventually(t, "no link", func() bool { return len(p.Status().Links) == 1 && p.Status().Links[0].Connected })
			before, err := p.cfg.Chain.Height(t.Context())
			require.NoError(t, err)
			_, err = p.cfg.Chain.WaitForHeight(t.Context(), before+10)
			require.NoError(t, err)
			require.Empty(t, p.Status().UnderWay)
			require.Zero(t, o.reports.Load())
			require.Positive(t, told.Load())

			w.change(func() { w.labels = nil })
			if p.cfg.Dispatcher != nil {
				require.Equal(t, link.ReasonNone, w.outcome(id).Tasks[0].Reason)
				return
			}
			time.Sleep(10 * p.cfg.Refresh)
			require.Empty(t, p.Status().UnderWay)
		})
	}
}
