package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/nodes/types"
)

// motley has a node of each kind, in mid-flight.
func motley(t tb) *world {
	w := newWorld(t)
	alice, bob := w.rich("alice", 50*fog, 900*fog), w.rich("bob", 50*fog, 900*fog)
	w.register(w.rich("carol", 5*fog, 100*fog), "pending")
	require.NoError(t, w.retire(w.node(w.register(alice, "retired"))))
	w.end(1)
	refused := w.register(alice, "refused")
	for range 3 {
		w.end(1, w.benchmark(refused, measured(1), measured(1), measured(1)))
	}
	busy := w.active(alice, "busy")
	require.NoError(t, w.reserve(busy, types.Resources{CpuMilli: 500}, 1))
	require.NoError(t, w.k.EndWork(w.Ctx, busy, types.Work{Done: types.Statistics{Tasks: 4, Paid: 5}}))
	require.NoError(t, w.drain(w.node(w.active(alice, "draining"))))
	inactive := w.node(w.active(alice, "inactive"))
	w.end(60, w.seen(down(inactive.Index)))

	flaky := w.node(w.active(bob, "jailed"))
	for range 2 {
		w.end(60, w.seen(down(flaky.Index)))
		w.end(60, w.seen(up(flaky.Index)))
	}
	w.end(60, w.seen(down(flaky.Index)))
	// Condemned once, then let out, then jailed for something else: no mark.
	w.edit(types.NodeID(bob, "jailed"), func(n *types.Node) { n.Offences = 1 })
	for _, salt := range []string{"condemned", "gone"} {
		id := w.active(w.rich(salt, 50*fog, 900*fog), salt)
		w.end(60, w.seen(restarted(w.node(id).Index, "aaaaaaaa")))
		w.fallShort(id)
		if salt == "gone" {
			require.NoError(t, w.retire(w.node(id)))
		}
	}
	w.register(alice, "in a joint benchmark")
	w.register(alice, "waits for its end")
	require.NoError(t, w.send(w.registration(bob, "just registered")))
	return w
}

// marks counts the condemned nodes of an owner.
func (w *world) marks(owner string) (n int) {
	rng := collections.NewPrefixedPairRange[sdk.AccAddress, escrowtypes.ID](fixture.Address(owner))
	err := w.k.Condemned.Walk(w.Ctx, rng, func(collections.Pair[sdk.AccAddress, escrowtypes.ID]) (bool, error) {
		n++
		return false, nil
	})
	require.NoError(w.tb, err)
	return n
}

// fleetsDue lists the joint benchmarks that are put off.
func (w *world) fleetsDue() (due []string) {
	err := w.k.FleetsDue.Walk(w.Ctx, nil, func(key collections.Pair[int64, sdk.AccAddress]) (bool, error) {
		due = append(due, fmt.Sprint(key.K1(), key.K2()))
		return false, nil
	})
	require.NoError(w.tb, err)
	return due
}

func TestGenesisRoundTrip(t *testing.T) {
	w := motley(t)
	exported, err := w.k.ExportGenesis(w.Ctx)
	require.NoError(t, err)
	require.NoError(t, exported.Validate(w.Addresses))
	statuses := map[types.NodeStatus]bool{}
	for _, n := range exported.Nodes {
		statuses[n.Status] = true
	}
	require.Len(t, statuses, len(types.NodeStatus_name)-1, "each status but UNSPECIFIED")
	require.Len(t, exported.ToBenchmark, 1)
	require.NotEmpty(t, exported.Fleets)
	require.Len(t, exported.Waiting, 1)

	money, err := w.Escrow.ExportGenesis(w.Ctx)
	require.NoError(t, err)
	other := newWorld(t)
	require.NoError(t, other.Tx(func(ctx sdk.Context) error {
		for _, account := range money.Accounts {
			owner, err := other.Addresses.StringToBytes(account.Owner)
			if err != nil {
				return err
			}
			id, err := escrowtypes.ParseID(escrowtypes.AccountHRP, account.Id)
			if err != nil {
				return err
			}
			other.Fund(owner, account.Balance)
			require.NoError(t, other.Escrow.Open(ctx, id, owner, account.Kind))
			require.NoError(t, other.Escrow.Deposit(ctx, owner, id, account.Balance))
			require.NoError(t, other.Escrow.Lock(ctx, id, account.Locked))
		}
		return nil
	}))
	require.NoError(t, other.k.InitGenesis(other.Ctx, *exported))
	again, err := other.k.ExportGenesis(other.Ctx)
	require.NoError(t, err)
	require.Equal(t, w.fleetsDue(), other.fleetsDue())
	require.NotEmpty(t, w.fleetsDue())
	require.Equal(t, exported, again)

	// What is not exported but follows from the nodes is the same too.
	for _, from := range []*world{w, other} {
		for name, want := range map[string]int{"condemned": 1, "gone": 1, "bob": 0, "alice": 0} {
			require.Equal(t, want, from.marks(name), name)
		}
		for _, n := range exported.Nodes {
			byKey, err := from.k.NodeByAgentKey(from.Ctx, n.AgentKey)
			if n.Status.Live() {
				require.NoError(t, err)
				require.Equal(t, n.Id, byKey.Id)
			} else {
				require.ErrorIs(t, err, types.ErrNodeNotFound)
			}
		}
	}
	other.end(1)
	require.Len(t, other.openRounds(types.RoundKindBenchmark), 1, "what was asked for is not forgotten")
	other.check()
}

func TestGenesisNeedsTheDeposits(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 200*fog)
	w.active(alice, "one")
	w.active(alice, "two")
	exported, err := w.k.ExportGenesis(w.Ctx)
	require.NoError(t, err)

	other := newWorld(t)
	require.ErrorIs(t, other.k.InitGenesis(other.Ctx, *exported), types.ErrInvalidGenesis, "no account")
	other = newWorld(t)
	other.rich("alice", 0, 200*fog)
	lock := func(amount uint64) error {
		return other.Tx(func(ctx sdk.Context) error {
			return other.Escrow.Lock(ctx, escrowtypes.ProviderAccountID(alice), amount)
		})
	}
	require.NoError(t, lock(200*fog-1))
	require.ErrorContains(t, other.k.InitGenesis(other.Ctx, *exported), "only 199999999 is locked")
	require.NoError(t, lock(1))
	require.NoError(t, other.k.InitGenesis(other.Ctx, *exported))
}
