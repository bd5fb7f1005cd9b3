package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"

	"github.com/foggrid/fogd/x/nodes/types"
)

func (w *world) openRounds(kind string) (subjects [][]byte) {
	err := w.rounds.open.Walk(w.Ctx, collections.NewPrefixedPairRange[string, []byte](kind),
		func(key collections.Pair[string, []byte], _ collections.Pair[int64, int64]) (bool, error) {
			subjects = append(subjects, key.K2())
			return false, nil
		})
	require.NoError(w.tb, err)
	return subjects
}

func TestLivenessByTheClock(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 100*fog)
	w.end(600)
	id := w.register(alice, "one")
	require.Empty(t, w.openRounds(types.RoundKindLiveness), "there is nobody to look at")

	now := w.Ctx.BlockTime().Unix()
	w.end(59, w.benchmark(id, measured(100), measured(100), measured(100)))
	require.Equal(t, [][]byte{types.EncodeLivenessSubject(1)}, w.openRounds(types.RoundKindLiveness))
	times, err := w.rounds.open.Get(w.Ctx, collections.Join(types.RoundKindLiveness, types.EncodeLivenessSubject(1)))
	require.NoError(t, err)
	require.Equal(t, collections.Join(now+60, now+60), times, "an epoch that found no quorum is not asked about again")

	w.end(1)
	require.Len(t, w.openRounds(types.RoundKindLiveness), 1)
	w.end(3600)
	require.Len(t, w.openRounds(types.RoundKindLiveness), 2, "a minute later the next one")
	w.end(1)
	require.Len(t, w.openRounds(types.RoundKindLiveness), 3, "an hour without blocks is one epoch, not sixty")
	w.end(1)
	require.Len(t, w.openRounds(types.RoundKindLiveness), 3)
}

func TestBenchmarkRoundTimes(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 100*fog)
	now := w.Ctx.BlockTime().Unix()
	id := w.register(alice, "one")
	subject, err := types.EncodeBenchmarkSubject(id, boot)
	require.NoError(t, err)
	times, err := w.rounds.open.Get(w.Ctx, collections.Join(types.RoundKindBenchmark, subject))
	require.NoError(t, err)
	require.Equal(t, collections.Join(now+180, now+540), times)
	require.Equal(t, now+540, w.node(id).BenchmarkUntil)
}

// However many ask in one block, EndBlock opens a bounded number of rounds; nobody is forgotten.
func TestOpeningIsBounded(t *testing.T) {
	w := newWorld(t)
	const many = 501
	alice := w.rich("alice", many*fog, many*100*fog)
	for i := range many {
		require.NoError(t, w.send(w.registration(alice, fmt.Sprint(i))))
	}
	w.end(1)
	require.Len(t, w.openRounds(types.RoundKindBenchmark), 500)
	w.end(1)
	require.Len(t, w.openRounds(types.RoundKindBenchmark), 500, "the last one waits for the others")
	w.endJoint(alice)
	require.Len(t, w.openRounds(types.RoundKindBenchmark), 500, "as many as take part at once")
	for i := range many {
		n := w.node(types.NodeID(alice, fmt.Sprint(i)))
		require.True(t, n.Status == types.NODE_STATUS_ACTIVE || n.BenchmarkStart != 0)
	}
	w.check()
}

func TestUpdateParams(t *testing.T) {
	w := newWorld(t)
	p := types.DefaultParams()
	p.MinDeposit = 7
	msg := &types.MsgUpdateParams{Authority: w.Text(sdk.AccAddress("somebody............")), Params: p}
	_, err := w.msgs.UpdateParams(w.Ctx, msg)
	require.ErrorIs(t, err, sdkerrors.ErrUnauthorized, "governance only, not %s", govtypes.ModuleName)
	msg.Authority = w.Authority
	require.NoError(t, w.Tx(func(ctx sdk.Context) error {
		_, err := w.msgs.UpdateParams(ctx, msg)
		return err
	}))
	got, err := w.k.Params.Get(w.Ctx)
	require.NoError(t, err)
	require.Equal(t, p, got)
	require.Equal(t, []*types.EventParamsUpdated{{Params: p}}, eventsOf[*types.EventParamsUpdated](w))
	msg.Params.PassPercent = 101
	_, err = w.msgs.UpdateParams(w.Ctx, msg)
	require.ErrorContains(t, err, "pass_percent is 101; it must be from 1 to 100")
}
