package app_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
	"github.com/foggrid/fogd/app/testapp/grid"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// A chain that starts from an export in the middle of everything goes on as the chain that it was exported from: the same
// transactions have the same results, and in the end the state is the same.
func TestImportedChainGoesOn(t *testing.T) {
	g := grid.New(t, grid.Config{
		Providers: 3, Developers: 3, SliceTasks: 3,
		Nodes: func(p *nodestypes.Params) { p.ProbationTasks = 0 },
	})
	g.AddNodes(1, 16)
	g.Work = func(s jobstypes.Slice) (jobstypes.Outcome, uint64, bool) {
		return grid.Success(s), 1_000, s.FirstTask%2 == 0
	}

	// Some slices are reported, some run, some wait; a benchmark is asked for and some oracles have voted.
	var jobs []escrowtypes.ID
	for _, developer := range g.Developers {
		jobs = append(jobs, g.Submit(developer, g.JobMsg(developer, 9)))
	}
	g.Turn()
	g.Turn()
	late := g.JobMsg(g.Developers[0], 7)
	jobs = append(jobs, grid.JobID(g.Developers[0], late))
	g.Succeed(
		g.Tx(g.Developers[0], late),
		g.Tx(g.Providers[0], g.RegisterMsgs(g.Providers[0], 8)...),
	)
	g.Turn(g.Oracles[:2]...)
	require.NotEmpty(t, g.Rounds(""))
	seen := make(map[jobstypes.SliceStatus]int)
	for _, job := range jobs {
		for _, slice := range g.Slices(job) {
			seen[slice.Status]++
		}
	}
	for _, status := range []jobstypes.SliceStatus{
		jobstypes.SLICE_STATUS_PENDING, jobstypes.SLICE_STATUS_MATCHED, jobstypes.SLICE_STATUS_REPORTED,
	} {
		require.NotZero(t, seen[status], "slices that are %s, of %v", status, seen)
	}

	imported := g.Imported()
	g.OnBlock = func(*testapp.Block) {}
	both := func(txs ...[]byte) {
		t.Helper()
		want, got := g.Succeed(txs...), imported.NextBlock(txs...)
		for i := range want.Results {
			require.Equal(t, want.Results[i].Code, got.Results[i].Code, got.Results[i].Log)
			require.Equal(t, want.Results[i].Data, got.Results[i].Data)
		}
		requireSameState(t, g.App, imported.App)
	}
	both()
	both(g.Votes(g.Oracles[2:]...)...)
	g.Work = nil
	for range 4 {
		both(g.Votes()...)
	}
	for range 3 {
		want, got := g.NextBlockAfter(time.Hour), imported.NextBlockAfter(time.Hour)
		require.Equal(t, want.Height, got.Height)
		requireSameState(t, g.App, imported.App)
	}
	requireInvariants(t, imported.App)
}

func requireSameState(t *testing.T, a, b *app.App) {
	t.Helper()

	read := func(from *app.App) (state map[string]json.RawMessage) {
		exported, err := from.ExportAppStateAndValidators(false, nil, nil)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(exported.AppState, &state))

		return state
	}
	want, got := read(a), read(b)
	require.Len(t, got, len(want))
	for name := range want {
		require.JSONEq(t, string(want[name]), string(got[name]), name)
	}
}

func TestExportOfSomeModules(t *testing.T) {
	chain := testapp.New(t)

	exported, err := chain.App.ExportAppStateAndValidators(false, nil, []string{"escrow"})
	require.NoError(t, err)
	var state map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(exported.AppState, &state))
	require.Len(t, state, 1)
	require.Contains(t, state, "escrow")
}

func TestExportForZeroHeightIsRefused(t *testing.T) {
	chain := testapp.New(t)

	_, err := chain.App.ExportAppStateAndValidators(true, nil, nil)
	require.ErrorContains(t, err, "without --for-zero-height")
}
