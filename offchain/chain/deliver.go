package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	cmttypes "github.com/cometbft/cometbft/types"
	"google.golang.org/grpc/codes"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
)

// resendPolls is after how many looks for the transaction its bytes are sent again: a node that was restarted has
// forgotten its mempool.
const resendPolls = 8

// simulate runs raw against the node's state and returns the gas used. It asks over the ABCI query, because the gRPC
// service drops the codespace and the code of a failure.
func (c *Client) simulate(ctx context.Context, raw []byte) (uint64, error) {
	call, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	res, err := c.rpc.ABCIQuery(call, "/app/simulate", raw)
	if err != nil {
		return 0, rpcError(ctx, "abci_query /app/simulate", err)
	}
	if r := res.Response; r.Code != 0 {
		return 0, &TxError{Stage: StageSimulate, Codespace: r.Codespace, Code: r.Code, Log: r.Log}
	}
	// Only the gas is read: the answers of the messages may be of types that this codec does not know.
	var sim struct {
		GasInfo struct {
			GasUsed uint64 `json:"gas_used,string"`
		} `json:"gas_info"`
	}
	if err := json.Unmarshal(res.Response.Value, &sim); err != nil {
		return 0, fmt.Errorf("simulation answer: %w", err)
	}
	return sim.GasInfo.GasUsed, nil
}

// accountAt reads an account at a height.
func (c *Client) accountAt(ctx context.Context, height int64, address string) (*authtypes.BaseAccount, error) {
	res, err := authtypes.NewQueryClient(c.AtHeight(height)).
		AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: address})
	if err != nil {
		return nil, err
	}
	if res.Info == nil {
		return nil, fmt.Errorf("account %s: %w", address, ErrNotFound)
	}
	return res.Info, nil
}

// delivery brings signed bytes into a block. It finds them by reading the blocks, not by the node's index of
// transactions, which may be off or behind: so "not in any block" is a fact and the transaction can be signed anew.
type delivery struct {
	client        *Client
	address       string
	sequence      uint64
	raw           []byte
	next          int64 // height of the next block to look through
	timeoutHeight int64
	trouble       error // why the node last did not take it
}

// verdict is the mempool's answer.
type verdict int

const (
	accepted  verdict = iota // in the mempool
	deferred                 // not in the mempool for now: full, or no answer
	sequenced                // its sequence is taken, perhaps by itself
)

// run broadcasts and looks for the transaction until it is in a block or can no longer be.
func (d *delivery) run(ctx context.Context) (*TxResult, error) {
	for {
		v, err := d.broadcast(ctx)
		if err != nil {
			return nil, err
		}
		looks := resendPolls
		if v != accepted {
			looks = 1
		}
		for range looks {
			if err := sleep(ctx, d.client.poll); err != nil {
				return nil, err
			}
			res, err := d.scan(ctx)
			if res != nil || err != nil {
				return res, err
			}
		}
		if v == sequenced {
			taken, err := d.taken(ctx)
			if err != nil {
				return nil, err
			}
			if taken {
				return nil, errSequenceTaken
			}
		}
		if d.next > d.timeoutHeight {
			if d.trouble != nil {
				return nil, fmt.Errorf("transaction %s: %w (the node said: %w)", txHash(d.raw), ErrExpired, d.trouble)
			}
			return nil, fmt.Errorf("transaction %s: %w", txHash(d.raw), ErrExpired)
		}
	}
}

// broadcast offers the bytes to the node's mempool.
func (d *delivery) broadcast(ctx context.Context) (verdict, error) {
	res, err := txtypes.NewServiceClient(d.client.Latest()).BroadcastTx(ctx, &txtypes.BroadcastTxRequest{
		TxBytes: d.raw, Mode: txtypes.BroadcastMode_BROADCAST_MODE_SYNC,
	})
	var query *QueryError
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case errors.As(err, &query) && (query.Code == codes.Unavailable || query.Code == codes.Unknown || query.Code == codes.Internal):
		// The node is away, starting or stopping. It may have taken the bytes; they can be sent again until they expire.
		d.trouble = err
		return deferred, nil
	case err != nil:
		return 0, err
	case res.TxResponse == nil:
		return 0, errors.New("chain: the node answered a broadcast with nothing")
	}
	r := res.TxResponse
	refused := &TxError{Stage: StageCheck, Codespace: r.Codespace, Code: r.Code, Log: r.RawLog, Hash: txHash(d.raw)}
	switch {
	case r.Code == 0, errors.Is(refused, sdkerrors.ErrTxInMempoolCache):
		d.trouble = nil
		return accepted, nil
	case errors.Is(refused, sdkerrors.ErrWrongSequence):
		return sequenced, nil
	case errors.Is(refused, sdkerrors.ErrMempoolIsFull), errors.Is(refused, sdkerrors.ErrTxTimeoutHeight):
		// After the timeout height the blocks tell whether one took it before.
		d.trouble = refused
		return deferred, nil
	default:
		return 0, refused
	}
}

// scan looks through the blocks that are new since the last look; both results are nil if the transaction is in none.
// A node that does not answer is no error: the next look goes on at the same block.
func (d *delivery) scan(ctx context.Context) (*TxResult, error) {
	tip, err := d.client.Height(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		d.trouble = err
		return nil, nil
	}
	hash := cmttypes.Tx(d.raw).Hash()
	for ; d.next <= min(tip, d.timeoutHeight); d.next++ {
		b, err := d.client.block(ctx, d.next)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, ErrPruned):
			return nil, err
		case err != nil:
			d.trouble = err
			return nil, nil
		}
		for _, tx := range b.Txs {
			if !bytes.Equal(tx.Hash, hash) {
				continue
			}
			res := &TxResult{
				Height: b.Height, Hash: txHash(d.raw), Code: tx.Code, Codespace: tx.Codespace, RawLog: tx.Log,
				Events: tx.Events, GasUsed: tx.GasUsed, GasWanted: tx.GasWanted,
			}
			if tx.Code != 0 {
				return res, &TxError{Stage: StageExecute, Codespace: tx.Codespace, Code: tx.Code, Log: tx.Log, Hash: res.Hash}
			}
			return res, nil
		}
	}
	return nil, nil
}

// taken reports whether another transaction in the blocks looked through has used the sequence, so that this one can
// never be executed. A transaction that only waits in the mempool with the same sequence does not count: either may win.
func (d *delivery) taken(ctx context.Context) (bool, error) {
	account, err := d.client.accountAt(ctx, d.next-1, d.address)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err != nil {
		d.trouble = err
		return false, nil
	}
	return account.Sequence > d.sequence, nil
}
