package devnettest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/chain"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// audit works out all that the epochs and the fees must have brought.
func (q *quorum) audit(t *testing.T) {
	height, err := q.chain.Height(t.Context())
	require.NoError(t, err)
	a := q.epochs(t, height)
	a.requireRecords(t, height)
	state := q.net.State()
	for i, o := range state.Oracles {
		s := a.oracles[o.Operator]
		require.EqualValues(t, 10_000_000_000, s.bond)
		switch i {
		case lying:
			require.Equal(t, quorumMissed+1, s.misses)
			require.Len(t, a.jailings[o.Operator], 1)
			at := a.jailings[o.Operator][0]
			before := q.oracleAt(t, at.height-1, o.Operator)
			require.False(t, before.Jailed)
			require.EqualValues(t, quorumMissed, before.MissedEpochs)
			require.EqualValues(t, 10_000_000_000, before.Bond)
			after := q.oracleAt(t, at.height, o.Operator)
			require.True(t, after.Jailed)
			require.Equal(t, at.time+quorumJail, after.JailedUntil)
			require.EqualValues(t, 9_990_000_000, after.Bond)
		case away:
			require.Empty(t, a.jailings[o.Operator])
			require.GreaterOrEqual(t, s.misses, 1)
			require.LessOrEqual(t, s.misses, quorumMissed)
		default:
			require.Zero(t, s.misses)
		}
	}
	require.Equal(t, []oracletypes.EventOracleSlashed{
		{Operator: q.liar.operator, Amount: 10_000_000, Reason: "missed epochs"},
	}, q.slashes(t, height))
	require.Equal(t, q.supply-10_000_000, q.supplyNow(t), "nothing else was burned, nothing was made")

	// The fee of a slice goes in equal parts to those who attested it, what does not divide to the first.
	earned, fees := map[string]uint64{}, uint64(0)
	for _, id := range q.jobs {
		for _, s := range q.slices(t, id) {
			fees += s.Fee
			for i, operator := range s.AttestedBy {
				earned[operator] += s.Fee / 3
				if i == 0 {
					earned[operator] += s.Fee % 3
				}
			}
		}
	}
	require.NotZero(t, fees)
	for _, o := range state.Oracles {
		account := q.account(t, q.oracleNow(t, o.Operator).Oracle.Account)
		require.EqualValues(t, 10_000_000_000, account.Locked)
		require.Equal(t, earned[o.Operator], account.Free())
	}
	holds, err := escrowtypes.NewQueryClient(q.chain.Latest()).Invariants(t.Context(), &escrowtypes.QueryInvariantsRequest{})
	require.NoError(t, err)
	require.True(t, holds.Holds, "%v", holds)
}

// slashes that any oracle has had.
func (q *quorum) slashes(t *testing.T, to int64) (all []oracletypes.EventOracleSlashed) {
	t.Helper()
	errEnd := errors.New("end")
	err := q.chain.Follow(t.Context(), 1, func(_ context.Context, b chain.Block) error {
		events, err := chain.EventsOf[*oracletypes.EventOracleSlashed](b.AllEvents())
		if err != nil {
			return err
		}
		for _, e := range events {
			all = append(all, *e)
		}
		if b.Height == to {
			return errEnd
		}
		return nil
	})
	require.ErrorIs(t, err, errEnd)
	return all
}

// compare looks at the validators and at the node that joined, which has executed the end of the open round, the slashing and the return.
func (q *quorum) compare(t *testing.T) {
	var addresses []string
	for _, v := range q.net.State().Validators {
		addresses = append(addresses, v.Address)
	}
	requireSameState(t, append(addresses, q.fresh.rpc)...)
	height, err := q.fresh.chain.Height(t.Context())
	require.NoError(t, err)
	_, err = q.chain.WaitForHeight(t.Context(), height)
	require.NoError(t, err)
	q.requireSameRounds(t, height)
	want, err := nodestypes.NewQueryClient(q.chain.AtHeight(height)).Node(t.Context(), &nodestypes.QueryNodeRequest{Id: q.node})
	require.NoError(t, err)
	got, err := nodestypes.NewQueryClient(q.fresh.chain.AtHeight(height)).Node(t.Context(), &nodestypes.QueryNodeRequest{Id: q.node})
	require.NoError(t, err)
	require.Equal(t, want, got)
}
