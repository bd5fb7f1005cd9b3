package keeper_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestOutcomesRateANode(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	end := func(outcomes ...types.Outcome) {
		require.NoError(t, w.k.EndWork(w.Ctx, id, types.Work{Outcomes: outcomes}))
	}
	end()
	require.Zero(t, w.node(id).RatedTime, "no outcome, no rating")

	end(types.Outcome{Developer: escrowtypes.ID{1}, Success: types.RatingOne, Speed: types.RatingOne / 2})
	first := w.node(id)
	require.Equal(t, types.Rating{
		Successes: types.RatingOne, Trials: types.RatingOne, Speed: types.RatingOne / 2, SpeedTrials: types.RatingOne,
		Doubt: first.Rating.Doubt,
	}, first.Rating)
	require.Less(t, first.Rating.Doubt, uint64(1<<20))
	require.Equal(t, w.Ctx.BlockTime().Unix(), first.RatedTime)

	w.NextBlockAfter(7 * 24 * time.Hour)
	end(types.Outcome{Developer: escrowtypes.ID{2}})
	second := w.node(id)
	require.InDelta(t, types.RatingOne/2, second.Rating.Successes, 2_000, "half after seven idle days, and a little for the newer outcome")
	require.InDelta(t, second.Rating.Trials, second.Rating.Successes+types.RatingOne, 100, "of the failure hardly anything is put down to a doubt")

	ratings, err := w.k.Ratings.Get(w.Ctx, id)
	require.NoError(t, err)
	require.Equal(t, second.Rating, ratings.Sum())
	gs, err := w.k.ExportGenesis(w.Ctx)
	require.NoError(t, err)
	require.Len(t, gs.Ratings, 1)

	require.NoError(t, w.retire(second))
	has, err := w.k.Ratings.Has(w.Ctx, id)
	require.NoError(t, err)
	require.False(t, has, "the parts go with the node")
	end(types.Outcome{Developer: escrowtypes.ID{3}, Success: types.RatingOne})
	require.Equal(t, second.Rating, w.node(id).Rating)
	w.NextBlock()
	w.check()
}
