package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// midFlight has slices in every state, a rerun, a lost node, a node that will be, a job that is being cancelled.
func midFlight(t *testing.T) *world {
	w := newWorld(t)
	first, second := w.addNode("prov", 1, 7200), w.addNode("other", 2, 3600)
	a := w.submit(w.jobMsg("dev", "a", 40))
	for range 3 {
		w.matchAll(a.Id, 0, 4, first)
	}
	w.matchAll(a.Id, 0, 4, second)
	w.after(50)
	w.report(a.Id, 1, 40_000)
	w.report(a.Id, 2, 40_000, exit(4, 1), failure(6, types.FAILURE_REASON_NODE))
	short := w.jobMsg("dev", "b", 1)
	short.Deadline = 1
	w.submit(short)
	w.end(2)
	c := w.submit(w.jobMsg("dev", "c", 3))
	w.matchAll(c.Id, 0, 1, first)
	w.matchAll(c.Id, 0, 1, first)
	w.setParams(func(p *types.Params) { p.MaxSlicesPerBlock = 1 })
	w.cancel(c.Id)
	for i, runs := range []uint32{1, 2, 3} {
		id := w.submitPeriodic(w.periodicMsg("dev", fmt.Sprint("periodic ", i), runs), uint64(runs)*runCost).Id
		if i == 1 {
			w.cancel(id)
		}
	}
	w.down(second)
	w.NextBlock()
	w.check()
	return w
}

func TestGenesisRoundTripsInMidFlight(t *testing.T) {
	w := midFlight(t)
	gs, err := w.k.ExportGenesis(w.Ctx)
	require.NoError(t, err)
	require.NoError(t, gs.Validate())
	seen := make(map[types.SliceStatus]bool)
	for _, s := range gs.Slices {
		seen[s.Status] = true
	}
	require.Len(t, seen, 5, "%v", seen)
	require.Len(t, gs.NodeLosses, 1)
	require.Len(t, gs.PeriodicJobs, 3)

	w.requireRoundTrip(t, gs)
}

// requireRoundTrip has a second keeper take the state over, on an empty store; ledger and nodes stay.
func (w *world) requireRoundTrip(t *testing.T, gs *types.GenesisState) {
	t.Helper()
	const otherStore = "otherjobs"
	e := fixture.New(t, fixture.WithStores(otherStore))
	k := keeper.NewKeeper(e.Codec, e.StoreService(otherStore), e.Addresses, w.Escrow, w.nodes, w.rounds, e.Authority, w.reporter)
	require.NoError(t, k.InitGenesis(e.Ctx, *gs))
	again, err := k.ExportGenesis(e.Ctx)
	require.NoError(t, err)
	require.Equal(t, gs, again)

	// Raw stores are equal, so all indexes were rebuilt.
	want, got := w.Ctx.KVStore(w.StoreKey(types.StoreKey)), e.Ctx.KVStore(e.StoreKey(otherStore))
	a, b := want.Iterator(nil, nil), got.Iterator(nil, nil)
	defer func() { require.NoError(t, a.Close()); require.NoError(t, b.Close()) }()
	for ; a.Valid(); a.Next() {
		require.True(t, b.Valid(), "entry %x is missing", a.Key())
		require.Equal(t, a.Key(), b.Key())
		require.Equal(t, a.Value(), b.Value())
		b.Next()
	}
	require.False(t, b.Valid())
}

func TestGenesisIsValidated(t *testing.T) {
	for name, spoil := range map[string]func(*types.GenesisState){
		"params":           func(gs *types.GenesisState) { gs.Params.MaxAttempts = 0 },
		"job twice":        func(gs *types.GenesisState) { gs.Jobs = append(gs.Jobs, gs.Jobs[0]) },
		"job id":           func(gs *types.GenesisState) { gs.Jobs[0].Id = "job1" },
		"periodic twice":   func(gs *types.GenesisState) { gs.PeriodicJobs = append(gs.PeriodicJobs, gs.PeriodicJobs[0]) },
		"periodic and job": func(gs *types.GenesisState) { gs.PeriodicJobs[0].Id = gs.Jobs[0].Id },
		"periodic id":      func(gs *types.GenesisState) { gs.PeriodicJobs[0].Id = "job1" },
		"periodic status":  func(gs *types.GenesisState) { gs.PeriodicJobs[0].Status = 9 },
		"periodic time":    func(gs *types.GenesisState) { gs.PeriodicJobs[0].NextTime = -1 },
		"periodic type":    func(gs *types.GenesisState) { gs.PeriodicJobs[0].Submission.Type = types.JOB_TYPE_BATCH },
		"schedule":         func(gs *types.GenesisState) { gs.PeriodicJobs[0].Submission.Schedule = "x" },
		"parent":           func(gs *types.GenesisState) { gs.Jobs[0].Parent = "job1" },
		"status":           func(gs *types.GenesisState) { gs.Jobs[0].Status = 7 },
		"counts":           func(gs *types.GenesisState) { gs.Jobs[0].Counts.Pending++ },
		"open slices":      func(gs *types.GenesisState) { gs.Jobs[0].OpenSlices++ },
		"slice twice":      func(gs *types.GenesisState) { gs.Slices = append(gs.Slices, gs.Slices[0]) },
		"slice of no job":  func(gs *types.GenesisState) { gs.Slices[0].JobId = "x" },
		"slice number":     func(gs *types.GenesisState) { gs.Slices[0].Number = 99 },
		"slice status":     func(gs *types.GenesisState) { gs.Slices[0].Status = 99 },
		"engine":           func(gs *types.GenesisState) { gs.Jobs[0].Engine = 0 },
		"node of a slice": func(gs *types.GenesisState) {
			for i, s := range gs.Slices {
				if s.Status == types.SLICE_STATUS_MATCHED {
					gs.Slices[i].NodeId = ""
				}
			}
		},
		"node loss":       func(gs *types.GenesisState) { gs.NodeLosses[0].NodeId = "x" },
		"node loss twice": func(gs *types.GenesisState) { gs.NodeLosses = append(gs.NodeLosses, gs.NodeLosses[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			w := midFlight(t)
			gs, err := w.k.ExportGenesis(w.Ctx)
			require.NoError(t, err)
			spoil(gs)
			require.Error(t, gs.Validate())
		})
	}
}

func TestInvariantsFindWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*world, *types.GenesisState)
		says  string
	}{
		"funded":      {func(_ *world, gs *types.GenesisState) { openJob(gs).Funded++ }, "funded"},
		"paid":        {func(_ *world, gs *types.GenesisState) { openJob(gs).Paid++ }, "paid"},
		"counts":      {func(_ *world, gs *types.GenesisState) { openJob(gs).Counts.Lost++ }, "counts add up"},
		"kinds":       {func(_ *world, gs *types.GenesisState) { openJob(gs).Counts.Pending++; openJob(gs).Counts.Matched-- }, "the slices say"},
		"open slices": {func(_ *world, gs *types.GenesisState) { openJob(gs).OpenSlices++ }, "open slices"},
		"status":      {func(_ *world, gs *types.GenesisState) { openJob(gs).Status = types.JOB_STATUS_CLOSED }, "is JOB_STATUS_CLOSED"},
		"final money": {func(_ *world, gs *types.GenesisState) { finalSlice(gs).Refunded++ }, "is not paid"},
		"collateral":  {func(_ *world, gs *types.GenesisState) { finalSlice(gs).CollateralReturned++ }, "is not returned"},
		"parts": {func(_ *world, gs *types.GenesisState) {
			for i := range gs.Slices {
				if s := &gs.Slices[i]; s.Status == types.SLICE_STATUS_PENDING && s.TaskCount > 1 {
					s.Budget++
				}
			}
		}, "are not equal parts"},
		"ledger": {func(w *world, gs *types.GenesisState) {
			w.must(w.Escrow.Unlock(w.Ctx, jobAccountID(w, openJob(gs).Id), 1), "unlock")
		}, "locked, its slices hold"},
		"provider": {func(w *world, _ *types.GenesisState) {
			w.must(w.Escrow.Unlock(w.Ctx, providerID("prov"), w.provider("prov").locked), "unlock")
		}, "its slices' collateral"},
		"node": {func(w *world, gs *types.GenesisState) {
			for _, s := range gs.Slices {
				if s.Status == types.SLICE_STATUS_MATCHED {
					w.nodes.change(w.Ctx, s.NodeId, func(n *nodestypes.Node) { n.RunningTasks++ })
					return
				}
			}
		}, "reserved for"},
	} {
		t.Run(name, func(t *testing.T) {
			w := midFlight(t)
			gs, err := w.k.ExportGenesis(w.Ctx)
			require.NoError(t, err)
			c.spoil(w, gs)
			for _, job := range gs.Jobs { // jobs that moved between states leave a stale entry in the index, which is found too
				require.NoError(t, w.k.InitGenesis(w.Ctx, types.GenesisState{Params: gs.Params, Jobs: []types.Job{job}}))
			}
			require.NoError(t, w.k.InitGenesis(w.Ctx, types.GenesisState{Params: gs.Params, Slices: gs.Slices}))
			res, err := w.k.Invariants(w.Ctx)
			require.NoError(t, err)
			require.False(t, res.Holds)
			require.Contains(t, joined(res.Broken), c.says)
		})
	}
}

func finalSlice(gs *types.GenesisState) *types.Slice {
	for i, s := range gs.Slices {
		if s.Status.Final() && s.Provider != "" {
			return &gs.Slices[i]
		}
	}
	for i, s := range gs.Slices {
		if s.Status.Final() {
			return &gs.Slices[i]
		}
	}
	panic("no final slice")
}

// openJob has a running slice.
func openJob(gs *types.GenesisState) *types.Job {
	for i, job := range gs.Jobs {
		if job.Counts.Matched > 0 {
			return &gs.Jobs[i]
		}
	}
	panic("no open job")
}
