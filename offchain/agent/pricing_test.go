package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/agent/autoprice"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch/direct"
	"github.com/foggrid/fogd/offchain/link"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// pricer is the owner's key.
type pricer struct {
	w     *world
	sends atomic.Int32
	err   error
}

func (p *pricer) Address() string { return "fog1owner" }

func (p *pricer) Send(_ context.Context, msgs ...sdk.Msg) (*chain.TxResult, error) {
	p.sends.Add(1)
	if p.err != nil {
		return nil, p.err
	}
	p.w.change(func() { p.w.prices = *msgs[0].(*nodestypes.MsgUpdateNode).Prices })
	return &chain.TxResult{}, nil
}

func priced(p *pricer) func(*Config) {
	return func(c *Config) {
		c.Pricing, c.lookEach = &autoprice.Terms{Cost: 100, Ceiling: 1000, Sender: p}, 10*time.Millisecond
	}
}

// tells makes an oracle tell of one window.
func tells(accepted uint32) func(*oracle) {
	return func(o *oracle) {
		o.offers = func(s *link.Session, from uint64) {
			r := link.OffersReport{From: from, Until: 1}
			if from == 0 {
				r.Counts = []link.OfferCount{{Price: 200, Offered: 9, Accepted: accepted}}
			} else {
				r.Until = from
			}
			if err := s.SendOffers(r); err != nil {
				o.w.t.Error(err)
			}
		}
	}
}

// Over real links: what most oracles tell is saved, once, the price is set, and the agent works on meanwhile. One oracle lies, one is of
// a release that tells nothing.
func TestPricingOverLinks(t *testing.T) {
	w := newWorld(t)
	w.prices = nodestypes.Prices{Cpu: 5000, Memory: 500}
	for name, accepted := range map[string]uint32{"a": 4, "b": 4, "c": 9} {
		w.oracle(name, tells(accepted))
	}
	w.oracle("old")
	p := &pricer{w: w}
	dir := t.TempDir()
	process := w.run(dir, priced(p))
	accepted := func(price uint64) (sum float64) {
		s, _, err := autoprice.Load(filepath.Join(dir, "agent"))
		require.NoError(t, err)
		for _, c := range s.Pricer.Counts {
			if c.Price > price*9/10 && c.Price < price*11/10 {
				sum += c.Accepted
			}
		}
		return sum
	}
	eventually(t, "no price", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.prices.Cpu <= 1000 && w.prices.Cpu > 100
	})
	for range link.OffersWindow {
		w.node.Advance()
	}
	eventually(t, "no evidence", func() bool { return accepted(200) > 3 })
	w.outcome(w.match(w.job(testJob, 1, "report"), 0, 0, 1))

	process.stop()
	w.run(dir, priced(p))
	w.outcome(w.match(w.job("job1ppp", 1, "report"), 0, 0, 1))
	require.InDelta(t, 4, accepted(200), 0.01, "told to two processes, counted once")
	require.EqualValues(t, 1, p.sends.Load(), "at most once an hour")
}

// An agent that cannot set prices serves all the same.
func TestPricingThatFails(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string, p *pricer){
		"refused": func(_ *testing.T, _ string, p *pricer) { p.err = errors.New("no") },
		"a state that cannot be read": func(t *testing.T, dir string, _ *pricer) {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "agent"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "agent", autoprice.FileName), []byte("{"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prices = nodestypes.Prices{Cpu: 5000}
			w.oracle("a", tells(4))
			p, dir := &pricer{w: w}, t.TempDir()
			spoil(t, dir, p)
			w.run(dir, priced(p))
			w.outcome(w.match(w.job(testJob, 1, "report"), 0, 0, 1))
			if p.err != nil {
				eventually(t, "not tried", func() bool { return p.sends.Load() > 0 })
			}
			w.outcome(w.match(w.job("job1ppp", 1, "report"), 0, 0, 1))
			w.mu.Lock()
			defer w.mu.Unlock()
			require.EqualValues(t, 5000, w.prices.Cpu)
		})
	}
}

func TestPricingTerms(t *testing.T) {
	d, err := direct.New(direct.Options{Dir: t.TempDir(), CacheDir: sharedCache})
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	w := newWorld(t)
	_, err = New(Config{
		Chain: w.node.Client(), AgentKey: agentKey, Registry: w.push, Dispatcher: d, Dir: t.TempDir(),
		Pricing: &autoprice.Terms{Cost: 2, Ceiling: 1, Sender: &pricer{}},
	})
	require.ErrorContains(t, err, "the ceiling must be above the cost")
}
