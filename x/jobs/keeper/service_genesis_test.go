package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// serviceMidFlight has a service in the middle of an update, with a slice that was unhealthy and one that waits; one that is being ended; and one that is
// to change at the end of the block.
func serviceMidFlight(t *testing.T) *world {
	w := newWorld(t)
	job, _ := w.serve("s", 2)
	w.epochs(1)
	w.unhealthy(job.Id, 1)
	require.NoError(t, w.update(job.Id, otherDigest))
	ending := w.submitService(w.serviceMsg("dev", "ending", 3))
	changing := w.submitService(w.serviceMsg("dev", "changing", 1))
	w.NextBlock()
	w.setParams(func(p *types.Params) { p.MaxSlicesPerBlock = 1 })
	w.cancel(ending.Id)
	w.NextBlock()
	w.check()
	require.NoError(t, w.scale(changing.Id, 2))
	return w
}

func TestServicesRoundTripInMidFlight(t *testing.T) {
	w := serviceMidFlight(t)
	gs, err := w.k.ExportGenesis(w.Ctx)
	require.NoError(t, err)
	require.NoError(t, gs.Validate())
	require.NotZero(t, gs.ServiceClock.Judged)
	require.Len(t, gs.Changing, 1)
	require.NotZero(t, gs.Jobs[0].Service.Pool+gs.Jobs[1].Service.Pool+gs.Jobs[2].Service.Pool)
	w.requireRoundTrip(t, gs)
}

func service(gs *types.GenesisState) *types.Job {
	for i := range gs.Jobs {
		if gs.Jobs[i].Service.Target.Number == 2 {
			return &gs.Jobs[i]
		}
	}
	panic("no service")
}

func servingSlice(gs *types.GenesisState) *types.Slice {
	for i := range gs.Slices {
		if gs.Slices[i].Status == types.SLICE_STATUS_MATCHED {
			return &gs.Slices[i]
		}
	}
	panic("no slice serves")
}

func TestGenesisOfServicesIsValidated(t *testing.T) {
	for name, spoil := range map[string]func(*types.GenesisState){
		"kind":            func(gs *types.GenesisState) { gs.Jobs[0].Type = types.JOB_TYPE_BATCH },
		"no replicas":     func(gs *types.GenesisState) { gs.Jobs[0].Service.Wanted = 0 },
		"too many":        func(gs *types.GenesisState) { gs.Jobs[0].Service.Replicas = make([]types.Replica, 65) },
		"ports":           func(gs *types.GenesisState) { gs.Jobs[0].Service.Ports[0].Name = "" },
		"end":             func(gs *types.GenesisState) { service(gs).Service.End = types.CLOSE_REASON_FAILED },
		"slice":           func(gs *types.GenesisState) { servingSlice(gs).Serving = nil },
		"no such replica": func(gs *types.GenesisState) { servingSlice(gs).FirstTask = 9 },
		"no such slice":   func(gs *types.GenesisState) { service(gs).Service.Replicas[0].Successor = 77 },
		"changing twice":  func(gs *types.GenesisState) { gs.Changing = append(gs.Changing, gs.Changing[0]) },
		"changing what":   func(gs *types.GenesisState) { gs.Changing[0] = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			w := serviceMidFlight(t)
			gs, err := w.k.ExportGenesis(w.Ctx)
			require.NoError(t, err)
			spoil(gs)
			require.ErrorIs(t, gs.Validate(), types.ErrInvalidGenesis)
		})
	}
}

func TestInvariantsOfServicesFindWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*world, *types.GenesisState)
		says  string
	}{
		"pool":   {func(_ *world, gs *types.GenesisState) { service(gs).Service.Pool++ }, "pool"},
		"burned": {func(_ *world, gs *types.GenesisState) { service(gs).Service.Burned++ }, "burned"},
		"rate":   {func(_ *world, gs *types.GenesisState) { service(gs).Service.Rate++ }, "its rate is"},
		"tasks":  {func(_ *world, gs *types.GenesisState) { service(gs).Tasks++ }, "wanted replicas"},
		"held":   {func(_ *world, gs *types.GenesisState) { servingSlice(gs).Budget++ }, "held"},
		"ended":  {func(_ *world, gs *types.GenesisState) { service(gs).Service.End = types.CLOSE_REASON_FAILED }, "ends for"},
		"replica": {func(_ *world, gs *types.GenesisState) {
			service(gs).Service.Replicas[0].Slice = service(gs).Service.Replicas[1].Slice
		}, "is in replica 0"},
		"static port": {func(_ *world, gs *types.GenesisState) { service(gs).Service.Ports[0].HostPort = 2000 }, "in the place of 2000"},
		"a port given twice": {func(w *world, gs *types.GenesisState) {
			w.nodes.change(w.Ctx, servingSlice(gs).NodeId, func(n *nodestypes.Node) { n.PortsInUse = append(n.PortsInUse, 20_009) })
		}, "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			w := serviceMidFlight(t)
			gs, err := w.k.ExportGenesis(w.Ctx)
			require.NoError(t, err)
			c.spoil(w, gs)
			require.NoError(t, w.k.InitGenesis(w.Ctx, *gs))
			res, err := w.k.Invariants(w.Ctx)
			require.NoError(t, err)
			require.False(t, res.Holds)
			require.Contains(t, joined(res.Broken), c.says)
		})
	}
}
