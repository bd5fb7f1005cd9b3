package keeper_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

var harmedJob = escrowtypes.JobAccountID(escrowtypes.ID{7})

// openJob opens the account of a job that had work on a condemned node.
func (w *world) openJob() {
	require.NoError(w.tb, w.Tx(func(ctx sdk.Context) error {
		return w.Escrow.Open(ctx, harmedJob, sdk.AccAddress("developer..........."), escrowtypes.ACCOUNT_KIND_JOB)
	}))
}

func (w *world) jobBalance() uint64 {
	account, err := w.Escrow.Account(w.Ctx, harmedJob)
	require.NoError(w.tb, err)
	return account.Balance
}

// fallShort measures a node at half of what it declares, three times.
func (w *world) fallShort(id escrowtypes.ID) {
	w.tb.Helper()
	for range 3 {
		require.True(w.tb, w.benchmarkOpen(id, w.node(id).Boot))
		half := types.BenchmarkObservation{Measured: scaled(w.node(id).Declared, 50)}
		w.end(1, append(w.reachedBy(100, w.siblings(id)...), w.benchmark(id, half, half, half))...)
	}
}

func TestCondemned(t *testing.T) {
	for name, c := range map[string]struct {
		deposit, taken           uint64 // taken of the award, or all that is offered
		slashed, awarded, burned uint64
	}{
		"nobody was harmed":  {100 * fog, 0, 20 * fog, 0, 20 * fog},
		"harmed":             {100 * fog, 1 << 60, 20 * fog, 2 * fog, 18 * fog},
		"harmed a little":    {100 * fog, 7, 20 * fog, 7, 20*fog - 7},
		"rounded down twice": {100*fog + 99, 1 << 60, 20*fog + 19, 2*fog + 1, 18*fog + 18},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.rich("alice", 5*fog, c.deposit)
			w.openJob()
			msg := w.registration(alice, "one")
			msg.Deposit = c.deposit
			require.NoError(t, w.send(msg))
			w.end(1)
			id := types.NodeID(alice, "one")
			w.end(1, w.benchmark(id, measured(100), measured(100), measured(100)))
			task := types.Resources{CpuMilli: 1_000}
			require.NoError(t, w.reserve(id, task, 1))
			w.listener.award = func(ctx context.Context, id escrowtypes.ID, most uint64) (uint64, error) {
				n, err := w.k.Node(ctx, id)
				require.NoError(t, err)
				require.Equal(t, types.NODE_STATUS_JAILED, n.Status, "listeners see the new state")
				require.NoError(t, w.k.EndWork(ctx, id, types.Work{Released: task, Tasks: 1}))
				taken := min(c.taken, most)
				return taken, w.Escrow.MoveLocked(ctx, escrowtypes.ProviderAccountID(alice), harmedJob, taken)
			}
			supply := w.Supply()
			w.end(60, w.seen(restarted(1, "aaaaaaaaaaaaaaaa")))
			w.fallShort(id)

			n := w.node(id)
			require.Equal(t, types.NODE_STATUS_JAILED, n.Status)
			require.EqualValues(t, 1, n.Offences)
			require.True(t, n.Condemned)
			require.Equal(t, c.deposit-c.slashed, n.Deposit)
			require.Zero(t, n.RunningTasks, "what the listeners released stays released")
			require.Equal(t, c.deposit-c.slashed, w.account(alice).Locked)
			require.Equal(t, c.deposit-c.slashed, w.account(alice).Balance)
			require.Equal(t, c.awarded, w.jobBalance())
			require.Equal(t, c.burned, supply-w.Supply())
			require.Equal(t, []*types.EventNodeSlashed{
				{NodeId: n.Id, Amount: c.slashed, Awarded: c.awarded, Reason: "declared cpu_single was not there"},
			}, eventsOf[*types.EventNodeSlashed](w))
			require.Equal(t, []string{"condemned " + n.Id}, w.heard())
			w.check()
		})
	}
}

// What cannot be told apart from robbery is refused, with all that the report did.
func TestListenerTakesTooMuch(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 100*fog)
	id := w.active(alice, "one")
	w.listener.award = func(_ context.Context, _ escrowtypes.ID, most uint64) (uint64, error) { return most + 1, nil }
	w.end(60, w.seen(restarted(1, "aaaaaaaaaaaaaaaa")))
	half := measured(50)
	w.end(1, w.benchmark(id, half, half, half))
	w.end(1, w.benchmark(id, half, half, half))
	require.ErrorIs(t, w.try(1, w.benchmark(id, half, half, half))[0], escrowtypes.ErrUnderflow)
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
	require.EqualValues(t, 100*fog, w.account(alice).Locked)
}

func TestJailFollowsTheOwner(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.rich("alice", 50*fog, 900*fog), w.rich("bob", 50*fog, 100*fog)
	id := w.active(alice, "one")
	w.end(60, w.seen(restarted(1, "aaaaaaaaaaaaaaaa")))
	w.fallShort(id)
	require.ErrorIs(t, w.send(w.registration(alice, "two")), types.ErrOwnerJailed)
	require.NoError(t, w.send(w.registration(bob, "two")), "others may register")

	// The owner corrects the declaration and is measured again.
	half := scaled(declared, 50)
	n := w.node(id)
	capacity := n.Capacity
	capacity.MemoryMib, capacity.StorageMib = half.MemoryMib, half.StorageMib
	require.NoError(t, w.send(&types.MsgUpdateNode{Owner: n.Owner, NodeId: n.Id, Declared: &half, Capacity: &capacity}))
	w.end(1)
	require.False(t, w.benchmarkOpen(id, n.Boot), "only when the owner says so")
	require.NoError(t, w.resume(n))
	w.end(1)
	w.end(1, w.benchmark(id, measured(50), measured(50), measured(50)))
	n = w.node(id)
	require.Equal(t, types.NODE_STATUS_ACTIVE, n.Status)
	require.False(t, n.Condemned)
	require.Empty(t, n.JailReason)
	require.EqualValues(t, 1, n.Offences, "the offence is not forgotten")
	require.EqualValues(t, 1, n.Index)
	w.active(alice, "two")

	// The second time is for good.
	supply := w.Supply()
	w.end(60, w.seen(restarted(1, "bbbbbbbbbbbbbbbb")))
	w.fallShort(id)
	n = w.node(id)
	require.EqualValues(t, 2, n.Offences)
	require.EqualValues(t, 64*fog, n.Deposit, "20 % of what was left")
	require.EqualValues(t, 16*fog, supply-w.Supply())
	require.ErrorIs(t, w.resume(n), types.ErrWrongStatus)
	raised := declared
	require.ErrorIs(t, w.send(&types.MsgUpdateNode{Owner: n.Owner, NodeId: n.Id, Declared: &raised}), types.ErrWrongStatus)
	require.ErrorIs(t, w.try(1, w.benchmark(id, measured(100), measured(100), measured(100)))[0], types.ErrWrongStatus)
	require.ErrorIs(t, w.send(w.registration(alice, "three")), types.ErrOwnerJailed)

	// Retiring gives back what is left of the deposit, not the right to register.
	free := w.account(alice).Free()
	require.NoError(t, w.retire(n))
	require.Equal(t, free+64*fog, w.account(alice).Free())
	require.ErrorIs(t, w.send(w.registration(alice, "three")), types.ErrOwnerJailed)
	w.end(1)
	w.check()
}

// Whoever retires a node instead of showing what it has is no better off.
func TestRetiringIsNoWayOutOfJail(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 50*fog, 900*fog)
	id := w.active(alice, "one")
	w.end(60, w.seen(restarted(1, "aaaaaaaaaaaaaaaa")))
	w.fallShort(id)
	require.NoError(t, w.retire(w.node(id)))
	require.ErrorIs(t, w.send(w.registration(alice, "two")), types.ErrOwnerJailed)
	w.end(1)
	w.check()
}

func TestTriesInARow(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 50*fog, 900*fog), "one")
	half, boots := measured(50), []string{"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"}

	// Restarting the agent after each failure does not put off the verdict.
	for i, boot := range boots[:3] {
		require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
		require.Equal(t, i > 0, w.node(id).BenchmarkPending, "it works on after a restart, not after a failure")
		w.end(60, w.seen(restarted(1, boot)))
		w.end(1, w.benchmark(id, half, half, half))
	}
	require.Equal(t, types.NODE_STATUS_JAILED, w.node(id).Status)
	w.end(60, w.seen(restarted(1, boots[3])))
	require.Equal(t, boots[2], w.node(id).Boot, "a jailed node is measured when its owner asks for it")
	require.False(t, w.benchmarkOpen(id, boots[3]))

	// One good measurement ends the row, and being away is no failure.
	require.NoError(t, w.resume(w.node(id)))
	w.end(1)
	good := measured(100)
	w.end(1, w.benchmark(id, half, half, half))
	w.end(1, w.benchmark(id, half, half, half))
	w.end(1, w.benchmark(id, unreachable, unreachable, unreachable))
	require.EqualValues(t, 2, w.node(id).BenchmarkTries)
	w.end(1, w.benchmark(id, good, good, good))
	require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status)
	require.Zero(t, w.node(id).BenchmarkTries)
	w.check()
}
