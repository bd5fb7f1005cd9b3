package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestMatchRoundsAreOpenedForPendingWork(t *testing.T) {
	w := newWorld(t)
	open := func() bool {
		_, is := w.rounds.match(w.Ctx)
		return is
	}
	w.NextBlock()
	require.False(t, open(), "no work")

	job := w.submit(w.jobMsg("dev", "a", 2))
	w.NextBlock()
	height, is := w.rounds.match(w.Ctx)
	require.True(t, is)
	require.EqualValues(t, w.Ctx.BlockHeight()-1, height, "the state that the job is in")
	w.NextBlock()
	again, _ := w.rounds.match(w.Ctx)
	require.Equal(t, height, again, "one at a time")

	// An empty batch: the same queue is tried again after the pause.
	w.recordMatches(height)
	for range types.DefaultParams().MatchIdle {
		require.False(t, open())
		w.NextBlock()
	}
	w.NextBlock()
	require.True(t, open())

	// New work does not wait for the pause.
	height, _ = w.rounds.match(w.Ctx)
	w.recordMatches(height)
	w.submit(w.jobMsg("dev", "b", 1))
	w.NextBlock()
	require.True(t, open())

	// After a batch that matched something, the rest is tried at once.
	node := w.addNode("prov", 1, 7200)
	height, _ = w.rounds.match(w.Ctx)
	require.EqualValues(t, 1, w.recordMatches(height, item(job.Id, 0, 1, node)).Matched)
	w.NextBlock()
	require.True(t, open())

	// Nor does the queue when a node is there again.
	height, _ = w.rounds.match(w.Ctx)
	w.recordMatches(height)
	id, err := nodestypes.ParseNodeID(node.Id)
	require.NoError(t, err)
	require.NoError(t, w.k.AfterNodeUp(w.Ctx, id))
	w.NextBlock()
	require.True(t, open())

	// A round that ends without a batch is opened anew with a new height, not at once.
	height, _ = w.rounds.match(w.Ctx)
	w.rounds.end(w.Ctx, types.RoundKindMatches, types.EncodeMatchSubject(height))
	require.Greater(t, w.snapshot(), height)
}
