package chain

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorsmod "cosmossdk.io/errors"
	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
)

var errFake = errorsmod.Register("fakechain", 17, "made to fail")

// autoCommit makes a block every few milliseconds until the test ends.
func autoCommit(t *testing.T, n *fakeNode) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for sleep(ctx, 15*time.Millisecond) == nil {
			n.commit(1)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

func message(n *fakeNode) sdk.Msg {
	return &banktypes.MsgSend{FromAddress: n.addr, ToAddress: n.addr, Amount: sdk.NewCoins(sdk.NewInt64Coin("ufog", 1))}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newBroadcaster(t *testing.T, n *fakeNode, s Signer, cfg BroadcastConfig) *Broadcaster {
	b, err := n.client(Config{}).NewBroadcaster(s, cfg)
	require.NoError(t, err)
	require.Equal(t, n.addr, b.Address())
	return b
}

func TestSend(t *testing.T) {
	n, s := newFakeNode(t)
	autoCommit(t, n)
	b := newBroadcaster(t, n, s, BroadcastConfig{
		GasPrice: sdk.NewDecCoinFromDec("ufog", sdkmath.LegacyMustNewDecFromStr("0.0011")), GasAdjustment: 1.5,
	})
	res, err := b.Send(testContext(t), message(n), message(n))
	require.NoError(t, err)
	require.EqualValues(t, 1500, res.GasWanted, "simulated 1000 × 1.5")
	require.EqualValues(t, 1234, res.GasUsed)

	block := n.blocks[res.Height-1].block
	require.Len(t, block.Txs, 1)
	require.Equal(t, txHash(block.Txs[0]), res.Hash)
	tx := n.decode(block.Txs[0])
	require.Len(t, tx.Body.Messages, 2)
	require.Equal(t, "2ufog", tx.AuthInfo.Fee.Amount.String(), "⌈1500 × 0.0011⌉")

	res, err = b.SendTx(testContext(t), Tx{Msgs: []sdk.Msg{message(n)}, Gas: 99, FeeFree: true})
	require.NoError(t, err)
	require.EqualValues(t, 99, res.GasWanted)
	require.Empty(t, n.decode(n.blocks[res.Height-1].block.Txs[0]).AuthInfo.Fee.Amount)
}

func TestSendQueuesCallers(t *testing.T) {
	n, s := newFakeNode(t)
	autoCommit(t, n)
	b := newBroadcaster(t, n, s, BroadcastConfig{})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			_, err := b.Send(testContext(t), message(n))
			require.NoError(t, err)
		})
	}
	callers.Wait()
	require.EqualValues(t, 7+8, n.sequence)
	require.Equal(t, 8, n.sends(), "no transaction was refused for its sequence")
}

func TestRefused(t *testing.T) {
	n, s := newFakeNode(t)
	autoCommit(t, n)
	b := newBroadcaster(t, n, s, BroadcastConfig{})
	for memo, stage := range map[string]Stage{"unsimulated": StageSimulate, "refuse": StageCheck, "fail": StageExecute} {
		t.Run(memo, func(t *testing.T) {
			res, err := b.SendTx(testContext(t), Tx{Msgs: []sdk.Msg{message(n)}, Memo: memo})
			var refused *TxError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, stage, refused.Stage)
			require.ErrorIs(t, err, errFake)
			require.NotErrorIs(t, err, sdkerrors.ErrWrongSequence)
			require.Equal(t, stage == StageExecute, res != nil, "a result only if it is in a block")
		})
	}
}

func TestNoAccount(t *testing.T) {
	n, _ := newFakeNode(t)
	_, s := newFakeNode(t)
	n.addr = "fog1other"
	b, err := n.client(Config{}).NewBroadcaster(s, BroadcastConfig{})
	require.NoError(t, err)
	_, err = b.Send(testContext(t), message(n))
	require.ErrorIs(t, err, ErrNotFound)
}

// Another process uses the key while ours is between reading the account and sending.
func TestSequenceTakenByAnother(t *testing.T) {
	n, s := newFakeNode(t)
	b := newBroadcaster(t, n, s, BroadcastConfig{})
	taken := false
	n.set(func() {
		n.onSend = func([]byte) (bool, error) {
			if !taken {
				taken = true
				n.sequence++
				n.checked++
			}
			return false, nil
		}
	})
	autoCommit(t, n)
	res, err := b.Send(testContext(t), message(n))
	require.NoError(t, err)
	require.EqualValues(t, 8, n.decode(n.blocks[res.Height-1].block.Txs[0]).AuthInfo.SignerInfos[0].Sequence)
}

// Two processes send the same message with the same key at the same time: both transactions are executed.
func TestTwoSendersOfOneKey(t *testing.T) {
	n, s := newFakeNode(t)
	autoCommit(t, n)
	var senders sync.WaitGroup
	hashes := make([]string, 2)
	for i := range hashes {
		b := newBroadcaster(t, n, s, BroadcastConfig{})
		senders.Go(func() {
			res, err := b.Send(testContext(t), message(n))
			require.NoError(t, err)
			hashes[i] = res.Hash
		})
	}
	senders.Wait()
	require.NotEqual(t, hashes[0], hashes[1])
	require.EqualValues(t, 7+2, n.sequence)
}

// The answer to a broadcast is lost, but the transaction is in: it must not be sent a second time with a new sequence.
func TestLostAnswer(t *testing.T) {
	n, s := newFakeNode(t)
	b := newBroadcaster(t, n, s, BroadcastConfig{})
	n.set(func() {
		n.onSend = func(raw []byte) (bool, error) {
			n.onSend = nil
			n.mempool, n.checked = append(n.mempool, raw), n.checked+1
			return true, status.Error(codes.Unavailable, "connection lost")
		}
	})
	autoCommit(t, n)
	_, err := b.Send(testContext(t), message(n))
	require.NoError(t, err)
	require.EqualValues(t, 8, n.sequence, "executed once")
}

// The node takes the transaction, restarts without its mempool, and comes back.
func TestRestartLosesMempool(t *testing.T) {
	n, s := newFakeNode(t)
	b := newBroadcaster(t, n, s, BroadcastConfig{})
	var (
		res  *TxResult
		err  error
		done sync.WaitGroup
	)
	done.Go(func() { res, err = b.Send(testContext(t), message(n)) })
	require.Eventually(t, func() bool { return n.sends() == 1 }, 5*time.Second, time.Millisecond)
	n.stop()
	time.Sleep(50 * time.Millisecond)
	n.start()
	autoCommit(t, n)
	done.Wait()
	require.NoError(t, err)
	require.EqualValues(t, 8, n.sequence, "executed once")
	require.NotZero(t, res.Height)
}

func TestExpired(t *testing.T) {
	n, s := newFakeNode(t)
	b := newBroadcaster(t, n, s, BroadcastConfig{TimeoutBlocks: 3})
	n.set(func() { n.onSend = func([]byte) (bool, error) { return true, nil } }) // taken and never put in a block
	autoCommit(t, n)
	_, err := b.Send(testContext(t), message(n))
	require.ErrorIs(t, err, ErrExpired)

	n.set(func() { n.onSend = nil })
	_, err = b.Send(testContext(t), message(n))
	require.NoError(t, err, "the next one goes through")
}

func TestSendEndsWithContext(t *testing.T) {
	n, s := newFakeNode(t) // makes no blocks
	b := newBroadcaster(t, n, s, BroadcastConfig{})
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(100*time.Millisecond, func() { cancel(gone) })
	_, err := b.Send(ctx, message(n))
	require.ErrorIs(t, err, gone)
}
