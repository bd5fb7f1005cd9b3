package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// Every ufog of the deposit comes back and can be withdrawn; the fee does not.
func TestRetireFreesTheDeposit(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", fog, 100*fog+7)
	msg := w.registration(alice, "one")
	msg.Deposit = 100*fog + 7
	require.NoError(t, w.send(msg))
	w.end(1)
	id := types.NodeID(alice, "one")
	w.end(1, w.benchmark(id, measured(100), measured(100), measured(100)))
	require.Zero(t, w.account(alice).Free())

	var released uint64
	require.NoError(t, w.Tx(func(ctx sdk.Context) error {
		res, err := w.msgs.RetireNode(ctx, &types.MsgRetireNode{Owner: msg.Owner, NodeId: id.Bech32("node")})
		released = res.Released
		return err
	}))
	require.EqualValues(t, 100*fog+7, released)
	require.Equal(t, []*types.EventNodeEnded{{NodeId: id.Bech32("node"), Released: 100*fog + 7}}, eventsOf[*types.EventNodeEnded](w))
	n := w.node(id)
	require.Equal(t, types.NODE_STATUS_RETIRED, n.Status)
	require.Zero(t, n.Deposit)
	_, err := w.k.NodeByAgentKey(w.Ctx, msg.AgentKey)
	require.ErrorIs(t, err, types.ErrNodeNotFound)
	w.end(1)
	require.NoError(t, w.Tx(func(ctx sdk.Context) error {
		return w.Escrow.Withdraw(ctx, escrowtypes.ProviderAccountID(alice), 100*fog+7)
	}))
	require.EqualValues(t, 100*fog+7, w.Wallet(alice))
	require.ErrorIs(t, w.retire(n), types.ErrWrongStatus)
	w.end(1)
	w.check()
}

func TestRetireWaitsForWork(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", fog, 100*fog), "one")
	task := types.Resources{CpuMilli: 1_000}
	require.NoError(t, w.reserve(id, task, 1))
	require.ErrorIs(t, w.retire(w.node(id)), types.ErrInUse)
	require.NoError(t, w.drain(w.node(id)))
	require.ErrorIs(t, w.retire(w.node(id)), types.ErrInUse)
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Released: task, Tasks: 1}))
	require.NoError(t, w.retire(w.node(id)))
	require.ErrorIs(t, w.reserve(id, task, 1), types.ErrWrongStatus)
	require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Done: types.Statistics{Paid: 3}}), "late pay of a retired node is counted")
	require.EqualValues(t, 3, w.node(id).Statistics.Paid)
}

// A node whose benchmark is under way can go; the oracles need not measure it any more.
func TestRetirePending(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 200*fog)
	id := w.register(alice, "one")
	require.NoError(t, w.retire(w.node(id)))
	require.ErrorIs(t, w.try(1, w.benchmark(id, measured(100), measured(100), measured(100)))[0], types.ErrWrongStatus)
	require.False(t, w.benchmarkOpen(id, boot))
	require.Equal(t, types.NODE_STATUS_RETIRED, w.node(id).Status)

	second := w.register(alice, "two")
	require.NoError(t, w.retire(w.node(second)))
	w.end(1)
	require.False(t, w.benchmarkOpen(second, boot), "EndBlock has closed the round")

	require.NoError(t, w.send(w.registration(alice, "three")))
	third := types.NodeID(alice, "three")
	require.NoError(t, w.retire(w.node(third)), "in the block of its registration")
	w.end(1)
	require.False(t, w.benchmarkOpen(third, boot), "no round is opened")
	require.EqualValues(t, 200*fog, w.account(alice).Free())
	w.check()
}
