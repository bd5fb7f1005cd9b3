package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
)

// Block is one block with what its execution brought.
type Block struct {
	Height int64
	Time   time.Time
	// Hash is the 32-byte block hash.
	Hash []byte
	// Txs in the block's order.
	Txs []BlockTx
	// Events of begin and end of the block.
	Events []abci.Event

	previous []byte // hash of the block before
}

// BlockTx is one transaction of a block and its result.
type BlockTx struct {
	// Hash is the 32-byte hash, Raw the bytes of the transaction.
	Hash, Raw []byte
	Code      uint32
	Codespace string
	// Log is for people only.
	Log                string
	GasUsed, GasWanted int64
	Events             []abci.Event
}

// AllEvents returns the events of the successful transactions and then those of the block itself.
func (b Block) AllEvents() []abci.Event {
	var all []abci.Event
	for _, tx := range b.Txs {
		if tx.Code == 0 {
			all = append(all, tx.Events...)
		}
	}
	return append(all, b.Events...)
}

// Follow calls deliver with every block from height from on (below 1: from the next one), each once and in order, when
// the state after it can be queried. It reads one block at a time, waits for deliver, and waits out outages of the node.
// It returns the context's error, deliver's error, ErrPruned if the node no longer has the next block, or ErrOtherChain.
func (c *Client) Follow(ctx context.Context, from int64, deliver func(context.Context, Block) error) error {
	if from < 1 {
		now, err := c.WaitForHeight(ctx, 0)
		if err != nil {
			return err
		}
		from = now + 1
	}
	f := follower{client: c}
	for height := from; ; {
		tip, err := c.Height(ctx)
		if err == nil && tip < height {
			f.up()
			if err := sleep(ctx, c.poll); err != nil {
				return err
			}
			continue
		}
		for ; err == nil && height <= tip; height++ {
			var b Block
			if b, err = f.read(ctx, height); err != nil {
				break
			}
			f.up()
			if err := deliver(ctx, b); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrPruned), errors.Is(err, ErrOtherChain):
			return err
		default:
			if err := f.down(ctx, height, err); err != nil {
				return err
			}
		}
	}
}

// follower is the state of one Follow.
type follower struct {
	client *Client
	last   []byte // hash of the last block read
	out    bool   // in an outage
	pause  backoff
}

// down notes an outage once and waits a little.
func (f *follower) down(ctx context.Context, height int64, err error) error {
	if !f.out {
		f.out = true
		f.client.log.Warn("the chain cannot be followed; trying again", "height", height, "error", err)
	}
	return f.pause.wait(ctx)
}

// up notes the end of an outage.
func (f *follower) up() {
	if f.out {
		f.client.log.Info("the chain is followed again")
	}
	f.out = false
	f.pause.reset()
}

// read reads the next block and checks that it follows from the last one.
func (f *follower) read(ctx context.Context, height int64) (Block, error) {
	b, err := f.client.block(ctx, height)
	if err != nil {
		return Block{}, err
	}
	if f.last != nil && !bytes.Equal(b.previous, f.last) {
		return Block{}, fmt.Errorf("block %d follows %X, not %X: %w", height, b.previous, f.last, ErrOtherChain)
	}
	f.last = b.Hash
	return b, nil
}

// block reads one block and its results.
func (c *Client) block(ctx context.Context, height int64) (Block, error) {
	call, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	block, err := c.rpc.Block(call, &height)
	if err != nil {
		return Block{}, c.heightError(ctx, "block", height, err)
	}
	if block.Block == nil {
		return Block{}, fmt.Errorf("block at height %d: %w", height, ErrPruned)
	}
	results, err := c.rpc.BlockResults(call, &height)
	if err != nil {
		return Block{}, c.heightError(ctx, "block_results", height, err)
	}
	txs := block.Block.Txs
	if len(results.TxsResults) != len(txs) {
		return Block{}, fmt.Errorf("block %d has %d transactions and %d results", height, len(txs), len(results.TxsResults))
	}
	b := Block{
		Height:   height,
		Time:     block.Block.Time,
		Hash:     block.BlockID.Hash,
		Txs:      make([]BlockTx, len(txs)),
		Events:   results.FinalizeBlockEvents,
		previous: block.Block.LastBlockID.Hash,
	}
	for i, r := range results.TxsResults {
		b.Txs[i] = BlockTx{
			Hash: txs[i].Hash(), Raw: txs[i], Code: r.Code, Codespace: r.Codespace, Log: r.Log,
			GasUsed: r.GasUsed, GasWanted: r.GasWanted, Events: r.Events,
		}
	}
	return b, nil
}
