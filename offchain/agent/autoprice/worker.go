package autoprice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/x/authz"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/nodeclient"
	"github.com/foggrid/fogd/offchain/pricing"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	// pause is the least time between two messages that set prices; retry that after one which the chain did not let in.
	pause = time.Hour
	retry = 5 * time.Minute
	// sendTimeout bounds the wait for the chain to take one.
	sendTimeout = 5 * time.Minute
)

// Chain is what the worker asks; *chain.Client is one.
type Chain interface {
	Latest() grpc.ClientConnInterface
	Height(ctx context.Context) (int64, error)
}

// Sender signs and sends transactions; *chain.Broadcaster is one.
type Sender interface {
	Address() string
	Send(ctx context.Context, msgs ...sdk.Msg) (*chain.TxResult, error)
}

// Terms are what a provider decides: between what lead prices its node is offered, and whose key sets them.
type Terms struct {
	// Cost and Ceiling in ufog for an hour of what the lead price is of.
	Cost, Ceiling uint64
	Sender        Sender
}

// Validate checks the terms.
func (t Terms) Validate() error {
	if t.Sender == nil {
		return errors.New("autoprice: no key to set prices with")
	}
	_, err := pricing.New(pricing.Config{Cost: t.Cost, Ceiling: t.Ceiling}, nil) // nothing is drawn
	return err
}

// Config of a Worker; fields without a default must be set.
type Config struct {
	Terms
	Chain  Chain
	NodeID string
	// Dir is the agent's folder.
	Dir string
	Log *slog.Logger
	// Every is how often the worker looks at what has come in; 15 s.
	Every time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
	// Source draws; seeded by chance.
	Source pricing.Source
}

// Worker sets the price of one node. Make it with New and run it once.
type Worker struct {
	cfg   Config
	book  *Book
	state State
	// pricer is made when it is first needed: a new one begins with what the oracles say of the class.
	pricer *pricing.Pricer
	// trouble is what was last complained of, saved what was last written.
	trouble string
	saved   []byte
}

// New takes up the state in the agent's folder, if it is of this node.
func New(cfg Config) (*Worker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Every = cmp.Or(cfg.Every, 15*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Source == nil {
		cfg.Source = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) //nolint:gosec // exploration of prices; whoever could guess it learns a price that is public anyway
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s, found, err := Load(cfg.Dir)
	if err != nil {
		return nil, err
	}
	w := &Worker{cfg: cfg}
	if found && s.NodeID != cfg.NodeID {
		cfg.Log.Info("the saved prices are of another node; pricing begins anew", "node", s.NodeID)
		found = false
	}
	if found {
		if err := w.takeUp(s); err != nil {
			return nil, fmt.Errorf("%s in %s: %w; remove it, and pricing begins anew", FileName, cfg.Dir, err)
		}
	}
	w.state.NodeID, w.state.Cost, w.state.Ceiling = cfg.NodeID, cfg.Cost, cfg.Ceiling
	w.book = NewBook(w.state.Next)
	return w, nil
}

// takeUp goes on from a saved state.
func (w *Worker) takeUp(s State) error {
	if (s.Seen.Lead() == 0) != (s.Mix.Lead() == 0) {
		return errors.New("it names prices without their proportion")
	}
	p, err := pricing.New(pricing.Config{Cost: w.cfg.Cost, Ceiling: w.cfg.Ceiling}, w.cfg.Source)
	if err != nil {
		return err
	}
	if err := p.Restore(s.Pricer); err != nil {
		return err
	}
	w.state, w.pricer = s, p
	return nil
}

// Book is where the links bring what the oracles tell.
func (w *Worker) Book() *Book { return w.book }

// Run works until the context ends. It has no other end: what fails is logged and tried again.
func (w *Worker) Run(ctx context.Context) {
	w.cfg.Log.Info("prices are set by the demand", "cost", w.cfg.Cost, "ceiling", w.cfg.Ceiling, "key", w.cfg.Sender.Address())
	ticker := time.NewTicker(w.cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := w.step(ctx); ctx.Err() == nil {
			w.complain(err)
		}
	}
}

// complain logs a failure, once while it lasts.
func (w *Worker) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != w.trouble {
		w.cfg.Log.Warn("the price cannot be looked after; trying again", "error", err)
	}
	w.trouble = text
}

var errUnheard = errors.New("too few oracles have told what the matching offers to this node; it goes on once more than half of them have")

// step takes what has come in, decides, and sets the price if it is another one.
func (w *Worker) step(ctx context.Context) error {
	if !w.book.Ready() {
		return errUnheard
	}
	node, height, err := w.read(ctx)
	if err != nil {
		return err
	}
	if w.state.Next > link.WindowOf(height)+1 {
		return fmt.Errorf("%s in %s is of another chain, or this one was reset; stop the agent, remove it, and pricing begins anew", FileName, w.cfg.Dir)
	}
	if node.Status != nodestypes.NODE_STATUS_ACTIVE {
		return nil // nothing is offered to it
	}
	w.adopt(pricing.Mix{CPU: node.Prices.Cpu, Memory: node.Prices.Memory, Storage: node.Prices.Storage, GPU: node.Prices.Gpu})
	if w.state.Mix.Lead() == 0 {
		return fmt.Errorf("all prices of %s are zero, so that there is no proportion to keep; set them once with `fog node update-price`", node.Id)
	}
	now := w.cfg.Now()
	price, err := w.decide(now, link.WindowOf(height)+1)
	if err != nil {
		return err
	}
	want := w.state.Mix.At(price)
	send := want != w.state.Seen && now.Unix() >= w.state.Sent+seconds(pause)
	before := w.state
	if send {
		w.state.Wanted, w.state.Sent = want, now.Unix()
	}
	if err := w.save(); err != nil {
		w.state = before // unsaved, the hour between two messages would not outlast a restart
		return fmt.Errorf("what was learnt of prices cannot be saved, so that none is set: %w", err)
	}
	if !send {
		return nil
	}
	err = w.send(ctx, node, want)
	if unsent(err) {
		w.state.Sent += seconds(retry) - seconds(pause)
	}
	return err
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// unsent says whether a message that failed is in no block, nor will be.
func unsent(err error) bool {
	if refused := (*chain.TxError)(nil); errors.As(err, &refused) {
		return refused.Stage != chain.StageExecute
	}
	return errors.Is(err, chain.ErrNotFound)
}

// read reads the node and the chain's height.
func (w *Worker) read(ctx context.Context) (nodestypes.Node, int64, error) {
	height, err := w.cfg.Chain.Height(ctx)
	if err != nil {
		return nodestypes.Node{}, 0, err
	}
	resp, err := nodestypes.NewQueryClient(w.cfg.Chain.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: w.cfg.NodeID})
	if err != nil {
		return nodestypes.Node{}, 0, err
	}
	return resp.Node, height, nil
}

// adopt takes note of the prices that the chain has. If neither the worker set them nor they were there before, the owner did.
func (w *Worker) adopt(have pricing.Mix) {
	s := &w.state
	if have == s.Seen {
		return
	}
	if have != s.Wanted {
		if s.Mix != (pricing.Mix{}) {
			w.cfg.Log.Info("the owner has set prices; their proportion is kept from now on", "prices", have)
		}
		s.Mix = have
	}
	s.Seen = have
}

// decide lets the pricer see what was offered, and returns the lead price that it wants. Offers at prices outside of the terms are those
// of another time, or of nodes that are offered otherwise; they would count at the nearest price within.
func (w *Worker) decide(now time.Time, limit uint64) (uint64, error) {
	within := func(price uint64) bool { return price > w.cfg.Cost && price <= w.cfg.Ceiling }
	if w.pricer == nil {
		cfg := pricing.Config{Cost: w.cfg.Cost, Ceiling: w.cfg.Ceiling}
		for _, c := range w.book.Class() {
			if within(c.Price) {
				cfg.Class = append(cfg.Class, c)
			}
		}
		p, err := pricing.New(cfg, w.cfg.Source)
		if err != nil {
			return 0, err
		}
		w.pricer = p
	}
	for _, c := range w.book.Settle(limit) {
		if !within(c.Price) {
			continue
		}
		count := pricing.Count{Price: c.Price, Offers: float64(c.Offered) + float64(c.Missed), Accepted: float64(c.Accepted)}
		if err := w.pricer.Record(count); err != nil {
			return 0, err
		}
	}
	price := w.pricer.Decide(now.Unix())
	w.state.Next, w.state.Pricer = w.book.From(), w.pricer.State()
	return price, nil
}

// send sets the prices.
func (w *Worker) send(ctx context.Context, node nodestypes.Node, want pricing.Mix) error {
	signer := w.cfg.Sender.Address()
	prices := nodestypes.Prices{Cpu: want.CPU, Memory: want.Memory, Storage: want.Storage, Gpu: want.GPU}
	msg, err := nodeclient.SetPrices(node, prices, signer)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	result, err := w.cfg.Sender.Send(ctx, msg)
	if err != nil {
		return fmt.Errorf("prices not set: %w%s", err, advice(err, signer))
	}
	w.cfg.Log.Info("prices set", "prices", want, "before", w.state.Seen, "height", result.Height, "tx", result.Hash)
	return nil
}

// advice is what to do about a message that was not taken.
func advice(err error, signer string) string {
	switch {
	case errors.Is(err, authz.ErrNoAuthorizationFound), errors.Is(err, authz.ErrAuthorizationExpired):
		return "; let the key set prices, with the owner's key: fog node grant-pricing " + signer
	case errors.Is(err, chain.ErrNotFound), errors.Is(err, sdkerrors.ErrInsufficientFunds), errors.Is(err, sdkerrors.ErrUnknownAddress):
		return "; the key pays the fees: send some ufog to " + signer
	case errors.Is(err, sdkerrors.ErrInsufficientFee):
		return "; raise --gas-price"
	}
	return ""
}
