package chain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
)

const (
	defaultGasAdjustment = 1.3
	defaultTimeoutBlocks = 60
	timeout              = 24 * time.Hour
	// sequenceTries is how often a transaction is signed anew after its sequence was taken.
	sequenceTries = 10
)

// BroadcastConfig says how transactions are paid for. The zero value simulates gas and pays no fee.
type BroadcastConfig struct {
	// GasPrice is the fee per unit of gas; unset: none.
	GasPrice sdk.DecCoin
	// GasAdjustment multiplies simulated gas; default 1.3.
	GasAdjustment float64
	// TimeoutBlocks is how many blocks may pass before a transaction is void; default 60.
	TimeoutBlocks int64
}

// Broadcaster sends the transactions of one account, one at a time. It is safe for concurrent use: callers queue.
type Broadcaster struct {
	client  *Client
	signer  Signer
	address string
	cfg     BroadcastConfig
	turn    chan struct{} // holds one token: whose turn it is
}

// NewBroadcaster returns the sender for the signer's account.
func (c *Client) NewBroadcaster(signer Signer, cfg BroadcastConfig) (*Broadcaster, error) {
	address, err := c.codec.accounts.BytesToString(signer.PubKey().Address())
	if err != nil {
		return nil, fmt.Errorf("chain: address of the signer: %w", err)
	}
	if cfg.GasAdjustment == 0 {
		cfg.GasAdjustment = defaultGasAdjustment
	}
	if cfg.GasAdjustment < 1 {
		return nil, fmt.Errorf("chain: gas adjustment is %g; give at least 1", cfg.GasAdjustment)
	}
	if cfg.TimeoutBlocks == 0 {
		cfg.TimeoutBlocks = defaultTimeoutBlocks
	}
	if cfg.TimeoutBlocks < 1 {
		return nil, fmt.Errorf("chain: timeout is %d blocks; give at least 1", cfg.TimeoutBlocks)
	}
	b := &Broadcaster{client: c, signer: signer, address: address, cfg: cfg, turn: make(chan struct{}, 1)}
	b.turn <- struct{}{}
	return b, nil
}

// Address returns the account's address (fog1…).
func (b *Broadcaster) Address() string { return b.address }

// Tx is a transaction to send.
type Tx struct {
	Msgs []sdk.Msg
	Memo string
	// Gas is the limit; zero: simulated gas times the adjustment.
	Gas uint64
	// FeeFree pays no fee whatever the gas price is, for messages that the chain takes free of charge.
	FeeFree bool
}

// TxResult is a transaction in a block.
type TxResult struct {
	Height    int64
	Hash      string
	Code      uint32
	Codespace string
	RawLog    string
	Events    []abci.Event
	GasUsed   int64
	GasWanted int64
}

// Send sends the messages in one transaction; see SendTx.
func (b *Broadcaster) Send(ctx context.Context, msgs ...sdk.Msg) (*TxResult, error) {
	return b.SendTx(ctx, Tx{Msgs: msgs})
}

// SendTx signs and sends a transaction and waits until it is in a block. It waits out outages of the node for as long as
// ctx lives. A refused transaction is a *TxError, with the result if it is in a block; ErrExpired is safe to send again.
// If ctx ends first, the transaction may still be executed.
func (b *Broadcaster) SendTx(ctx context.Context, tx Tx) (*TxResult, error) {
	if len(tx.Msgs) == 0 {
		return nil, errors.New("chain: a transaction needs at least one message")
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-b.turn:
	}
	defer func() { b.turn <- struct{}{} }()

	var pause backoff
	for range sequenceTries {
		res, err := b.attempt(ctx, tx)
		if !errors.Is(err, errSequenceTaken) {
			return res, err
		}
		if err := pause.wait(ctx); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("account %s: %w", b.address, ErrSequence)
}

// errSequenceTaken ends an attempt whose sequence another transaction has, or seems to get.
var errSequenceTaken = errors.New("sequence taken")

// attempt signs the transaction with the account's present sequence and sends it to its end.
func (b *Broadcaster) attempt(ctx context.Context, tx Tx) (*TxResult, error) {
	var env envelope
	height, err := b.prepare(ctx, &env)
	if err != nil {
		return nil, err
	}
	env.memo, env.gas, env.timeout = tx.Memo, tx.Gas, time.Now().Add(timeout).UTC()
	if env.gas == 0 {
		if env.gas, err = b.simulate(ctx, env, tx.Msgs); err != nil {
			return nil, err
		}
	}
	if !tx.FeeFree {
		env.fee = b.fee(env.gas)
	}
	env.timeoutHeight = height + b.cfg.TimeoutBlocks
	raw, err := encode(b.signer, env, tx.Msgs, false)
	if err != nil {
		return nil, fmt.Errorf("chain: %w", err)
	}
	d := delivery{
		client: b.client, address: b.address, sequence: env.sequence,
		raw: raw, next: height + 1, timeoutHeight: env.timeoutHeight,
	}
	return d.run(ctx)
}

// prepare reads the chain's id, the height and the account, waiting out outages.
func (b *Broadcaster) prepare(ctx context.Context, env *envelope) (int64, error) {
	var pause backoff
	for {
		height, err := b.account(ctx, env)
		if err == nil || !errors.Is(err, ErrUnavailable) {
			return height, err
		}
		if err := pause.wait(ctx); err != nil {
			return 0, err
		}
	}
}

func (b *Broadcaster) account(ctx context.Context, env *envelope) (height int64, err error) {
	if env.chainID, err = b.client.ChainID(ctx); err != nil {
		return 0, err
	}
	if height, err = b.client.WaitForHeight(ctx, 1); err != nil {
		return 0, err
	}
	account, err := b.client.accountAt(ctx, height, b.address)
	if errors.Is(err, ErrNotFound) {
		return 0, fmt.Errorf("account %s is not on the chain; send it some ufog first: %w", b.address, err)
	}
	if err != nil {
		return 0, err
	}
	env.account, env.sequence = account.AccountNumber, account.Sequence
	return height, nil
}

// simulate returns the gas that the messages need, with the adjustment.
func (b *Broadcaster) simulate(ctx context.Context, env envelope, msgs []sdk.Msg) (uint64, error) {
	raw, err := encode(b.signer, env, msgs, true)
	if err != nil {
		return 0, fmt.Errorf("chain: %w", err)
	}
	var pause backoff
	for {
		used, err := b.client.simulate(ctx, raw)
		switch {
		case err == nil:
			adjusted := math.Ceil(float64(used) * b.cfg.GasAdjustment)
			if adjusted >= math.MaxInt64 {
				return 0, fmt.Errorf("chain: simulated gas %d is out of range; set the gas by hand", used)
			}
			return uint64(adjusted), nil
		case errors.Is(err, sdkerrors.ErrWrongSequence):
			return 0, errSequenceTaken
		case !errors.Is(err, ErrUnavailable):
			return 0, err
		}
		if err := pause.wait(ctx); err != nil {
			return 0, err
		}
	}
}

// fee is ⌈gas × price⌉.
func (b *Broadcaster) fee(gas uint64) sdk.Coins {
	p := b.cfg.GasPrice
	if p.Denom == "" || p.Amount.IsNil() || p.Amount.IsZero() {
		return nil
	}
	amount := p.Amount.Mul(sdkmath.LegacyNewDecFromBigInt(new(big.Int).SetUint64(gas))).Ceil().TruncateInt()
	return sdk.NewCoins(sdk.NewCoin(p.Denom, amount))
}
