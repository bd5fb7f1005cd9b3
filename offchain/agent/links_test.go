package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/link"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestOracleRestart(t *testing.T) {
	w := newWorld(t)
	o := w.oracle("a")
	o.answer(func(link.Report) error { return errNotMatched })
	w.run(t.TempDir())
	id := w.match(w.job(testJob, 1, "report"), 0, 0, 1)
	eventually(t, "no report", func() bool { return o.reports.Load() > 0 })
	o.stop()
	o.verdict.Store(nil)
	o.serve(o.addr)
	w.outcome(id)
}

// TestReportToLaterOracle gives a report that waits to an oracle that joins, and again after it has moved.
func TestReportToLaterOracle(t *testing.T) {
	w := newWorld(t)
	first := w.oracle("first")
	first.answer(func(link.Report) error { return nil })
	w.run(t.TempDir())
	w.match(w.job(testJob, 1, "report"), 0, 0, 1)
	eventually(t, "no report", func() bool { return first.reports.Load() == 1 })

	later := w.oracle("later")
	later.answer(func(link.Report) error { return errNotMatched })
	eventually(t, "no report to the later oracle", func() bool { return later.reports.Load() > 0 })

	later.stop()
	before := later.reports.Load()
	later.serve("127.0.0.1:0")
	w.change(func() { w.oracles[1].Endpoint = later.addr })
	eventually(t, "no report to the oracle that moved", func() bool { return later.reports.Load() > before })
	require.EqualValues(t, 1, first.reports.Load(), "sent again after it was acknowledged")
}

// TestRefusedReport is sent a few times, in case the oracle was behind the chain, and then no more.
func TestRefusedReport(t *testing.T) {
	w := newWorld(t)
	o := w.oracle("a")
	o.answer(func(link.Report) error { return link.ErrRefused })
	w.run(t.TempDir())
	w.match(w.job(testJob, 1, "report"), 0, 0, 1)
	eventually(t, "not sent again", func() bool { return o.reports.Load() == maxRefusals })
	time.Sleep(500 * time.Millisecond)
	require.EqualValues(t, maxRefusals, o.reports.Load())
}

func TestLinksFollowTheChain(t *testing.T) {
	w := newWorld(t)
	w.change(func() { w.status = nodestypes.NODE_STATUS_PENDING })
	p := w.run(t.TempDir())
	linked := func(names ...string) func() bool {
		return func() bool {
			links := p.Status().Links
			if len(links) != len(names) {
				return false
			}
			for i, l := range links {
				if !l.Connected || l.OracleID != names[i] {
					return false
				}
			}
			return true
		}
	}
	a := w.oracle("a")
	eventually(t, "no link", linked(a.name))
	b := w.oracle("b")
	eventually(t, "no second link", linked(a.name, b.name))
	w.change(func() { w.oracles[0].Admitted = false })
	eventually(t, "the link to a removed oracle stays", linked(b.name))

	// With a key that b does not hold there is no link, with the right one there is.
	right := w.oracles[1].TransportKey
	w.change(func() { w.oracles[1].TransportKey = w.oracles[0].TransportKey })
	eventually(t, "linked to a wrong key", func() bool {
		links := p.Status().Links
		return len(links) == 1 && !links[0].Connected && links[0].LastError != nil
	})
	require.ErrorIs(t, p.Status().Links[0].LastError, link.ErrWrongKey)
	w.change(func() { w.oracles[1].TransportKey = right })
	eventually(t, "no link after the key came back", linked(b.name))
}
