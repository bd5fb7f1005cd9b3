package autoprice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/x/authz"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/pricing"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	testNode  = "node1qqq"
	testOwner = "fog1owner"
	testKey   = "fog1key"
)

// world is a chain with one node, whose prices a sender sets; its clock is the test's.
type world struct {
	*nodestypes.UnimplementedQueryServer
	t     *testing.T
	chain *chaintest.Node
	dir   string
	log   bytes.Buffer

	mu    sync.Mutex
	now   time.Time
	node  nodestypes.Node
	away  bool // the chain does not answer
	fail  error
	lost  bool      // a message is executed, but its sender does not hear of it
	sent  []sdk.Msg // whatever came of them
	times []time.Time
	begun uint64
	told  []link.OfferCount // by the oracle
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, dir: t.TempDir(), now: time.Unix(1_700_000_000, 0),
		node: nodestypes.Node{
			Id: testNode, Owner: testOwner, Status: nodestypes.NODE_STATUS_ACTIVE,
			Prices: nodestypes.Prices{Cpu: 200_000, Memory: 50_000, Storage: 1},
		},
	}
	w.chain = chaintest.Start(t, func(s *grpc.Server) { nodestypes.RegisterQueryServer(s, w) })
	for range 100 * link.OffersWindow {
		w.chain.Advance()
	}
	return w
}

func (w *world) Node(context.Context, *nodestypes.QueryNodeRequest) (*nodestypes.QueryNodeResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return nil, status.Error(codes.Unavailable, "away")
	}
	return &nodestypes.QueryNodeResponse{Node: w.node}, nil
}

func (w *world) Address() string { return testKey }

func (w *world) Send(_ context.Context, msgs ...sdk.Msg) (*chain.TxResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent, w.times = append(w.sent, msgs...), append(w.times, w.now)
	if w.fail != nil {
		return nil, w.fail
	}
	w.node.Prices = *w.last().Prices
	if w.lost {
		return nil, context.DeadlineExceeded
	}
	return &chain.TxResult{Height: 7, Hash: "AB"}, nil
}

// last is the newest message, without its envelope. The caller holds mu.
func (w *world) last() *nodestypes.MsgUpdateNode {
	exec, ok := w.sent[len(w.sent)-1].(*authz.MsgExec)
	require.True(w.t, ok)
	require.Equal(w.t, testKey, exec.Grantee)
	msgs, err := exec.GetMessages()
	require.NoError(w.t, err)
	require.Len(w.t, msgs, 1)
	msg, ok := msgs[0].(*nodestypes.MsgUpdateNode)
	require.True(w.t, ok)
	require.Equal(w.t, &nodestypes.MsgUpdateNode{Owner: testOwner, NodeId: testNode, Prices: msg.Prices}, msg, "prices, and nothing else")
	return msg
}

// begin starts a worker that has heard its one oracle, which tells again what the worker lacks.
func (w *world) begin(change ...func(*Config)) *Worker {
	w.t.Helper()
	w.begun++
	cfg := Config{
		Terms: Terms{Cost: 60_000, Ceiling: 900_000, Sender: w}, Chain: w.chain.Client(), NodeID: testNode, Dir: w.dir,
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: func() time.Time { return w.now }, Source: rand.New(rand.NewPCG(1, w.begun)),
	}
	for _, c := range change {
		c(&cfg)
	}
	worker, err := New(cfg)
	require.NoError(w.t, err)
	worker.Book().SetOracles([]string{"a"})
	from, until := worker.Book().From(), worker.Book().From()
	var again []link.OfferCount
	for _, c := range w.told {
		if c.Window >= from {
			again, until = append(again, c), c.Window+1
		}
	}
	worker.Book().Take("a", report(from, until, again...))
	return worker
}

// step is one look, as Run takes it.
func (w *world) step(worker *Worker) {
	worker.complain(worker.step(w.t.Context()))
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) prices() pricing.Mix {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.node.Prices
	return pricing.Mix{CPU: p.Cpu, Memory: p.Memory, Storage: p.Storage, GPU: p.Gpu}
}

func TestSetsPricesInProportion(t *testing.T) {
	w := newWorld(t)
	worker := w.begin()
	w.step(worker)
	require.Len(t, w.sent, 1)
	p := w.prices()
	require.NotEqualValues(t, 200_000, p.CPU)
	require.Greater(t, p.CPU, uint64(60_000))
	require.LessOrEqual(t, p.CPU, uint64(900_000))
	require.InDelta(t, float64(p.CPU)/4, float64(p.Memory), 0.5)
	require.NotZero(t, p.Storage, "a price that was asked is not given up for being small")
	require.Zero(t, p.GPU)
}

// At most once an hour there is a message, whatever happens in between.
func TestAtMostOnceAnHour(t *testing.T) {
	w := newWorld(t)
	worker := w.begin()
	for i := range 24 * 60 {
		w.step(worker)
		w.pass(time.Minute)
		if i%97 == 0 {
			worker = w.begin() // it is started again
		}
	}
	require.GreaterOrEqual(t, len(w.sent), 5)
	for i := 1; i < len(w.times); i++ {
		require.GreaterOrEqual(t, w.times[i].Sub(w.times[i-1]), time.Hour)
	}
}

// With the owner's own key there is no envelope.
func TestOwnersKey(t *testing.T) {
	w := newWorld(t)
	w.node.Owner = testKey
	w.fail = errors.New("seen enough")
	w.step(w.begin())
	require.Len(t, w.sent, 1)
	msg, ok := w.sent[0].(*nodestypes.MsgUpdateNode)
	require.True(t, ok)
	require.Equal(t, testKey, msg.Owner)
}

// hours lets the worker live in a market where the node is taken at a lead price of up to most.
func (w *world) hours(worker *Worker, n int, most uint64) {
	for range n {
		window := link.WindowOf(w.chain.Height())
		for w.step(worker); link.WindowOf(w.chain.Height()) < window+1; {
			w.chain.Advance()
		}
		lead := w.prices().Lead()
		c := offer(window, lead, 40, 0, 10)
		if lead <= most {
			c.Accepted = 25
		}
		worker.Book().Take("a", report(window, window+1, c))
		w.told = append(w.told, c)
		w.pass(time.Hour)
	}
}

// The price goes to where the market is, over restarts, and what was told counts once.
func TestFindsThePrice(t *testing.T) {
	w := newWorld(t)
	worker := w.begin()
	for range 24 {
		w.hours(worker, 4, 300_000)
		worker = w.begin()
	}
	w.step(worker)
	require.InDelta(t, 270_000, float64(w.prices().CPU), 35_000)
	s, found, err := Load(w.dir)
	require.NoError(t, err)
	require.True(t, found)
	offers := 0.0
	for _, c := range s.Pricer.Counts {
		offers += c.Offers
	}
	require.InDelta(t, 96*50, offers, 96*50*0.1, "each hour's offers, discounted by a tenth at most")
	require.LessOrEqual(t, offers, 96*50.0)
	require.EqualValues(t, 196, s.Next)
}

// A new worker begins with what the class was offered; what lies outside of its terms is of no use.
func TestBeginsWithItsClass(t *testing.T) {
	w := newWorld(t)
	worker := w.begin()
	worker.Book().Take("a", link.OffersReport{Class: []link.ClassCount{
		{Price: 50_000, Offers: 1 << 30, Accepted: 1 << 30}, {Price: 200_000, Offers: 1000, Accepted: 900},
		{Price: 300_000, Offers: 1000}, {Price: 1_000_000, Offers: 1 << 30, Accepted: 1 << 30},
	}})
	w.step(worker)
	require.InDelta(t, 200_000, float64(w.prices().CPU), 40_000)
	worker.Book().Take("a", report(100, 101, offer(100, 50_000, 1000, 1000, 0), offer(100, 0, 1000, 1000, 0), offer(100, 901_000, 1000, 1000, 0)))
	w.step(worker)
	require.EqualValues(t, 101, worker.state.Next)
	for _, c := range worker.state.Pricer.Counts {
		require.LessOrEqual(t, c.Offers, 300.0)
	}
}

// When the owner sets prices, the pricer keeps to the new proportion.
func TestOwnerChangesTheProportion(t *testing.T) {
	w := newWorld(t)
	worker := w.begin()
	w.step(worker)
	w.mu.Lock()
	w.node.Prices = nodestypes.Prices{Cpu: 100_000, Memory: 100_000, Gpu: 500_000}
	w.mu.Unlock()
	w.step(worker)
	require.Len(t, w.sent, 1, "not within the hour")
	w.pass(time.Hour)
	w.step(worker)
	require.Len(t, w.sent, 2)
	p := w.prices()
	require.Equal(t, p.CPU, p.Memory)
	require.Equal(t, 5*p.CPU, p.GPU)
	require.Zero(t, p.Storage)
	require.Contains(t, w.log.String(), "the owner has set prices")
}

// What the chain executed without the worker's hearing of it was the worker all the same.
func TestLostAnswer(t *testing.T) {
	w := newWorld(t)
	worker := w.begin()
	w.lost = true
	w.step(worker)
	w.lost = false
	worker = w.begin()
	w.step(worker)
	require.Equal(t, pricing.Mix{CPU: 200_000, Memory: 50_000, Storage: 1}, worker.state.Mix)
	require.Equal(t, w.prices(), worker.state.Seen)
	require.NotContains(t, w.log.String(), "the owner has set prices")
}

// Failures are told with what to do, once, and tried again: after five minutes if the chain never took the message in.
func TestFailures(t *testing.T) {
	refused := func(stage chain.Stage, codespace string, code uint32) error {
		return &chain.TxError{Stage: stage, Codespace: codespace, Code: code, Log: "no"}
	}
	for name, c := range map[string]struct {
		err   error
		say   string
		again time.Duration
	}{
		"no grant":      {refused(chain.StageSimulate, authz.ModuleName, 2), "fog node grant-pricing " + testKey, 5 * time.Minute},
		"grant expired": {refused(chain.StageCheck, authz.ModuleName, 6), "fog node grant-pricing " + testKey, 5 * time.Minute},
		"no account":    {fmt.Errorf("account: %w", chain.ErrNotFound), "send some ufog to " + testKey, 5 * time.Minute},
		"no fees":       {refused(chain.StageCheck, sdkerrors.RootCodespace, 5), "send some ufog to " + testKey, 5 * time.Minute},
		"a low fee":     {refused(chain.StageCheck, sdkerrors.RootCodespace, 13), "raise --gas-price", 5 * time.Minute},
		"in a block":    {refused(chain.StageExecute, nodestypes.ModuleName, 9), "nodes/9", time.Hour},
		"unknown":       {context.DeadlineExceeded, "deadline", time.Hour},
		"expired":       {chain.ErrExpired, "timeout height", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			worker := w.begin()
			w.fail = c.err
			w.step(worker)
			require.Len(t, w.sent, 1)
			require.Contains(t, w.log.String(), c.say)
			require.Equal(t, pricing.Mix{CPU: 200_000, Memory: 50_000, Storage: 1}, w.prices())
			w.fail = nil
			w.pass(c.again - time.Second)
			w.step(worker)
			require.Len(t, w.sent, 1)
			w.pass(time.Second)
			w.step(worker)
			require.Len(t, w.sent, 2)
			require.NotEqualValues(t, 200_000, w.prices().CPU)
		})
	}
}

// Where nothing can be done the worker says so once, and goes on when it can.
func TestWaits(t *testing.T) {
	for name, c := range map[string]struct {
		hinder, mend func(*world, *Worker)
		say          string
	}{
		"for the oracles": {
			func(_ *world, k *Worker) { k.Book().SetOracles([]string{"b", "c"}) },
			func(_ *world, k *Worker) { k.Book().SetOracles([]string{"b"}); k.Book().Take("b", report(0, 0)) }, "too few oracles",
		},
		"for the chain": {func(w *world, _ *Worker) { w.away = true }, func(w *world, _ *Worker) { w.away = false }, "Unavailable"},
		"while the node is not active": {
			func(w *world, _ *Worker) { w.node.Status = nodestypes.NODE_STATUS_INACTIVE },
			func(w *world, _ *Worker) { w.node.Status = nodestypes.NODE_STATUS_ACTIVE }, "",
		},
		"for prices": {
			func(w *world, _ *Worker) { w.node.Prices = nodestypes.Prices{} },
			func(w *world, _ *Worker) { w.node.Prices = nodestypes.Prices{Gpu: 77} }, "fog node update-price",
		},
		"for room on the disk": {
			func(w *world, k *Worker) { k.cfg.Dir = filepath.Join(w.dir, "missing") },
			func(w *world, k *Worker) { k.cfg.Dir = w.dir }, "cannot be saved",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			worker := w.begin()
			c.hinder(w, worker)
			for range 3 {
				w.step(worker)
			}
			require.Empty(t, w.sent)
			require.Contains(t, w.log.String(), c.say)
			require.LessOrEqual(t, bytes.Count(w.log.Bytes(), []byte("WARN")), 1)
			c.mend(w, worker)
			w.step(worker)
			require.Len(t, w.sent, 1)
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		terms Terms
		say   string
	}{
		"no key":               {Terms{Cost: 1, Ceiling: 2}, "no key"},
		"a ceiling under cost": {Terms{Cost: 2, Ceiling: 2, Sender: &world{}}, "the ceiling must be above the cost"},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorContains(t, c.terms.Validate(), c.say) })
	}
	w := newWorld(t)
	for name, c := range map[string]struct{ content, say string }{
		"no JSON":         {"price", "remove it"},
		"odd counts":      {`{"node_id":"` + testNode + `","pricer":{"counts":[{"price":9,"offers":1,"accepted":2}]}}`, "remove it"},
		"prices that end": {`{"node_id":"` + testNode + `","seen":{"cpu":4}}`, "without their proportion"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(filepath.Join(w.dir, FileName), []byte(c.content), 0o600))
			_, err := New(Config{Terms: Terms{Cost: 1, Ceiling: 2, Sender: w}, NodeID: testNode, Dir: w.dir})
			require.ErrorContains(t, err, c.say)
			require.ErrorContains(t, err, FileName)
		})
	}
}

// A state of another node, or of a chain that has not come so far, is not gone on with.
func TestStateOfOthers(t *testing.T) {
	w := newWorld(t)
	write := func(s State) {
		raw, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, FileName), raw, 0o600))
	}
	write(State{NodeID: "node1other", Next: 50, Sent: w.now.Unix()})
	worker := w.begin()
	require.Zero(t, worker.Book().From())
	w.step(worker)
	require.Len(t, w.sent, 1)

	write(State{NodeID: testNode, Next: 5000})
	w.step(w.begin())
	require.Len(t, w.sent, 1)
	require.Contains(t, w.log.String(), "another chain")
}

// Run looks again and again, and ends with its context.
func TestRun(t *testing.T) {
	w := newWorld(t)
	worker := w.begin(func(c *Config) { c.Every = time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		worker.Run(ctx)
	}()
	require.Eventually(t, func() bool { return w.prices().CPU != 200_000 }, time.Minute, time.Millisecond)
	cancel()
	<-ended
}
