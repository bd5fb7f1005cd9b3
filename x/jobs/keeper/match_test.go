package keeper_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestMatchSplitsAPendingSlice(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 10))
	// Three items of one batch take one after the other; the last takes what is left and keeps the number.
	res := w.match(item(job.Id, 0, 3, node), item(job.Id, 0, 4, node), item(job.Id, 0, 3, node))
	require.EqualValues(t, 3, res.Matched)
	for number, want := range map[uint32]struct{ first, count uint32 }{1: {0, 3}, 2: {3, 4}, 0: {7, 3}} {
		s := w.slice(job.Id, number)
		require.Equal(t, types.SLICE_STATUS_MATCHED, s.Status)
		require.Equal(t, want.first, s.FirstTask)
		require.Equal(t, want.count, s.TaskCount)
		require.EqualValues(t, 200*want.count, s.Budget)
		require.EqualValues(t, 1, s.Attempt)
		require.Equal(t, w.oracles, s.MatchedBy)
	}
	require.Equal(t, types.TaskCounts{Matched: 10}, w.job(job.Id).Counts)
	require.Equal(t, account{3050, 2020}, w.jobAccount(job.Id))
	w.NextBlock()
	w.check()
}

func TestStaleItemLeavesTheOthersAlone(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	a := w.submit(w.jobMsg("dev", "a", 1))
	b := w.submit(w.jobMsg("dev", "b", 1))
	gone := types.MatchItem{JobId: types.JobID([]byte("x"), []byte("y")).Bech32(types.JobHRP), Count: 1, NodeIndex: 1, Price: 7200}
	res := w.match(item(a.Id, 0, 1, node), gone, item(a.Id, 0, 1, node), item(b.Id, 0, 1, node))
	require.EqualValues(t, 2, res.Matched)
	require.EqualValues(t, 2, res.Stale)
	require.Equal(t, types.SLICE_STATUS_MATCHED, w.slice(b.Id, 0).Status)
	w.NextBlock()
	w.check()
}

func TestGangIsMatchedWholeOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	one, two := w.addNode("prov", 1, 7200), w.addNode("prov2", 2, 7200)
	msg := w.jobMsg("dev", "gang", 8)
	msg.Wishes = &types.Wishes{Gang: true}
	gang := w.submit(msg)
	other := w.submit(w.jobMsg("dev", "other", 4))
	before := w.jobAccount(gang.Id)

	res := w.match(item(gang.Id, 0, 5, one), item(other.Id, 0, 1, one))
	require.EqualValues(t, []uint32{1, 1}, []uint32{res.Matched, res.Stale}, "a part of the gang is none")

	w.nodes.change(w.Ctx, two.Id, func(n *nodestypes.Node) { n.Prices.Cpu++ })
	res = w.match(item(gang.Id, 0, 5, one), item(gang.Id, 0, 3, two), item(other.Id, 0, 1, one))
	require.EqualValues(t, []uint32{1, 2}, []uint32{res.Matched, res.Stale}, "one stale item takes the gang's others with it")
	require.Equal(t, types.TaskCounts{Pending: 8}, w.job(gang.Id).Counts)
	require.Equal(t, before, w.jobAccount(gang.Id))
	w.NextBlock()
	w.check()

	two.Prices.Cpu++
	res = w.match(item(gang.Id, 0, 5, one), item(gang.Id, 0, 3, two), item(other.Id, 0, 1, one))
	require.EqualValues(t, []uint32{3, 0}, []uint32{res.Matched, res.Stale})
	require.Equal(t, types.TaskCounts{Matched: 8}, w.job(gang.Id).Counts)
	w.NextBlock()
	w.check()
}

// The widest gang on as many nodes, with the longest records, takes no more gas than is reckoned with, and fits into a report.
func TestGasOfTheWidestGang(t *testing.T) {
	w := newWorld(t)
	msg := w.jobMsg("dev", "gang", types.MaxSliceTasks)
	msg.Wishes = &types.Wishes{Gang: true}
	msg.Constraints.Where = strings.Repeat("x", types.MaxCondition)
	for range types.MaxPreferences {
		msg.Wishes.Prefer = append(msg.Wishes.Prefer, types.Preference{Where: msg.Constraints.Where, Weight: 1})
	}
	gang := w.submit(msg)
	var items []types.MatchItem
	for i := range uint32(types.MaxSliceTasks) {
		node := w.addNode(fmt.Sprint("prov", i), i+1, 7200)
		it := item(gang.Id, 0, 1, node)
		it.RunnersUp = []uint32{1 << 30, 1<<30 + 1, 1<<30 + 2, 1<<30 + 3}
		items = append(items, it)
	}
	for i := range 18 { // a quorum has at most 15 of 21
		w.oracles = append(w.oracles, addressText(fmt.Sprint("oracle", i)))
	}
	height := w.snapshot()
	meter := storetypes.NewGasMeter(200_000_000)
	w.Ctx = w.Ctx.WithGasMeter(meter)
	res := w.recordMatches(height, items...)
	require.EqualValues(t, types.MaxSliceTasks, res.Matched)
	require.Less(t, meter.GasConsumed(), uint64(3_000_000+255*700_000))
	t.Logf("%d gas", meter.GasConsumed())
}

func TestContainersGoToNodesThatRunThem(t *testing.T) {
	w := newWorld(t)
	plain, both := w.addNode("prov", 1, 7200), w.addNode("prov2", 2, 7200)
	w.nodes.change(w.Ctx, both.Id, func(n *nodestypes.Node) {
		n.Engines = []nodestypes.Engine{nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER}
	})
	msg := w.jobMsg("dev", "image", 2)
	msg.Engine = nodestypes.ENGINE_DOCKER
	image, module := w.submit(msg), w.submit(w.jobMsg("dev", "module", 2))
	res := w.match(item(image.Id, 0, 1, plain), item(image.Id, 0, 2, both), item(module.Id, 0, 1, plain), item(module.Id, 0, 1, both))
	require.EqualValues(t, []uint32{3, 1}, []uint32{res.Matched, res.Stale})
	require.Equal(t, nodestypes.ENGINE_DOCKER, w.job(image.Id).Engine)
	require.Equal(t, both.Id, w.slice(image.Id, 0).NodeId)
	w.NextBlock()
	w.check()
}

func TestMatchIsCheckedAgain(t *testing.T) {
	node := func(change func(*nodestypes.Node)) func(*world, *types.MsgSubmitJob, *types.MatchItem, nodestypes.Node) {
		return func(w *world, _ *types.MsgSubmitJob, _ *types.MatchItem, n nodestypes.Node) {
			w.nodes.change(w.Ctx, n.Id, change)
		}
	}
	want := func(change func(*types.Constraints, nodestypes.Node)) func(*world, *types.MsgSubmitJob, *types.MatchItem, nodestypes.Node) {
		return func(_ *world, m *types.MsgSubmitJob, _ *types.MatchItem, n nodestypes.Node) {
			change(&m.Constraints, n)
		}
	}
	change := func(edit func(*types.MatchItem)) func(*world, *types.MsgSubmitJob, *types.MatchItem, nodestypes.Node) {
		return func(_ *world, _ *types.MsgSubmitJob, i *types.MatchItem, _ nodestypes.Node) { edit(i) }
	}
	for name, c := range map[string]struct {
		setup func(*world, *types.MsgSubmitJob, *types.MatchItem, nodestypes.Node)
		says  string
	}{
		"inactive": {node(func(n *nodestypes.Node) { n.Status = nodestypes.NODE_STATUS_INACTIVE }), "NODE_STATUS_INACTIVE"},
		"away soon": {node(func(n *nodestypes.Node) {
			n.Absences = []nodestypes.Absence{{Span: nodestypes.Span{To: 1 << 40}}}
		}), "is announced to be offline in 0 s"},
		"draining":      {node(func(n *nodestypes.Node) { n.Status = nodestypes.NODE_STATUS_DRAINING }), "NODE_STATUS_DRAINING"},
		"benchmark":     {node(func(n *nodestypes.Node) { n.BenchmarkPending = true }), "waits for a benchmark"},
		"own node":      {node(func(n *nodestypes.Node) { n.Owner = addressText("dev") }), "belongs to the job's owner"},
		"price changed": {node(func(n *nodestypes.Node) { n.Prices.Cpu = 7000 }), "price is 7000, not 7200"},
		"over the cap":  {node(func(n *nodestypes.Node) { n.Prices.Cpu = 10_802 }), "price 10802 is over the cap 10801"},
		"capacity":      {node(func(n *nodestypes.Node) { n.Capacity.CpuMilli = 1999 }), "cpu_milli"},
		"region":        {want(func(c *types.Constraints, _ nodestypes.Node) { c.Regions = []string{"us"} }), `region "eu"`},
		"datacenter":    {want(func(c *types.Constraints, _ nodestypes.Node) { c.Datacenters = []string{"eu-2"} }), `datacenter "eu-1"`},
		"arch":          {want(func(c *types.Constraints, _ nodestypes.Node) { c.Arch = []string{"arm64"} }), `arch "amd64"`},
		"os":            {want(func(c *types.Constraints, _ nodestypes.Node) { c.Os = []string{"darwin"} }), `os "linux"`},
		"engine": {func(_ *world, m *types.MsgSubmitJob, _ *types.MatchItem, _ nodestypes.Node) {
			m.Engine = nodestypes.ENGINE_DOCKER
		}, "does not run ENGINE_DOCKER"},
		"no WebAssembly": {node(func(n *nodestypes.Node) { n.Engines = []nodestypes.Engine{nodestypes.ENGINE_DOCKER} }), "does not run ENGINE_WASM"},
		"attribute": {want(func(c *types.Constraints, _ nodestypes.Node) {
			c.Attributes = []nodestypes.Attribute{{Key: "disk", Value: "nvme"}}
		}), `attribute disk is not "nvme"`},
		"cpu": {want(func(c *types.Constraints, _ nodestypes.Node) { c.MinCpuSingle = 1001 }), "measured cpu_single 1000 is below 1001"},
		"other nodes": {want(func(c *types.Constraints, _ nodestypes.Node) {
			c.Nodes = []string{nodestypes.NodeID([]byte("x"), "y").Bech32(nodestypes.NodeHRP)}
		}), "is not among those asked for"},
		"excluded":    {want(func(c *types.Constraints, n nodestypes.Node) { c.ExcludeNodes = []string{n.Id} }), "the job excludes the node"},
		"wrong price": {change(func(i *types.MatchItem) { i.Price = 7199 }), "price is 7200, not 7199"},
		"too many":    {change(func(i *types.MatchItem) { i.Count = 3 }), "count 3; the slice has 2 tasks left"},
		"no slice":    {change(func(i *types.MatchItem) { i.Slice = 9 }), "has no slice 9"},
		"no node":     {change(func(i *types.MatchItem) { i.NodeIndex = 9 }), "no such node"},
		"collateral": {func(w *world, _ *types.MsgSubmitJob, _ *types.MatchItem, _ nodestypes.Node) {
			w.must(w.Escrow.Lock(w.Ctx, escrowtypes.ProviderAccountID(addressOf("prov")), 1_000_000-119), "lock")
		}, "insufficient free balance"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			n := w.addNode("prov", 1, 7200)
			msg := w.jobMsg("dev", "a", 2)
			i := types.MatchItem{Count: 2, NodeIndex: 1, Price: 7200}
			c.setup(w, msg, &i, n)
			job := w.submit(msg)
			i.JobId = job.Id
			before, reserved := w.provider("prov"), w.nodes.get(w.Ctx, n.Id).Reserved
			height := w.snapshot()
			ctx := w.Ctx.WithEventManager(sdk.NewEventManager())
			w.rounds.end(ctx, types.RoundKindMatches, types.EncodeMatchSubject(height))
			res, err := w.server().RecordMatches(ctx, &types.MsgRecordMatches{
				Authority: w.reporter, Round: 1, Voters: w.oracles, Batch: types.MatchBatch{Height: height, Items: []types.MatchItem{i}},
			})
			require.NoError(t, err)
			require.EqualValues(t, 1, res.Stale)
			require.Contains(t, staleReason(t, ctx), c.says)
			require.Equal(t, types.SLICE_STATUS_PENDING, w.slice(job.Id, 0).Status)
			require.Equal(t, account{610, 610}, w.jobAccount(job.Id))
			require.Equal(t, before, w.provider("prov"))
			require.Equal(t, reserved, w.nodes.get(w.Ctx, n.Id).Reserved, "what the item had reserved is free again")
			w.NextBlock()
			w.check()
		})
	}
}

func staleReason(t *testing.T, ctx sdk.Context) string {
	t.Helper()
	for _, e := range ctx.EventManager().Events() {
		if e.Type == "fog.jobs.v1.EventMatchStale" {
			for _, a := range e.Attributes {
				if a.Key == "reason" {
					var text string
					require.NoError(t, jsonUnmarshal(a.Value, &text))
					return text
				}
			}
		}
	}
	t.Fatal("no EventMatchStale")
	return ""
}

// Anybody can ask later how a match came about.
func TestMatchRecordsHowItCameAbout(t *testing.T) {
	w := newWorld(t)
	n := w.addNode("prov", 3, 7200)
	job := w.submit(w.jobMsg("dev", "a", 2))
	height := w.snapshot()
	it := item(job.Id, 0, 2, n)
	it.RunnersUp = []uint32{9, 4}
	require.EqualValues(t, 1, w.recordMatches(height, it).Matched)
	s := w.slice(job.Id, 0)
	require.Equal(t, "greedy/1", s.MatchPolicy)
	require.Equal(t, height, s.SnapshotHeight)
	require.Equal(t, []uint32{9, 4}, s.RunnersUp)
	require.Equal(t, n.Measured.CpuSingle, s.CpuSingle)
	w.NextBlock()
	w.check()
}

func TestBatchOfAnotherSnapshotIsRefused(t *testing.T) {
	w := newWorld(t)
	w.submit(w.jobMsg("dev", "a", 1))
	height := w.snapshot()
	for _, c := range []struct {
		batch types.MatchBatch
		want  error
	}{
		{types.MatchBatch{Height: height + 1}, types.ErrStaleBatch},
		{types.MatchBatch{Height: height, Items: make([]types.MatchItem, types.MaxBatchItems+1)}, types.ErrInvalidReport},
	} {
		_, _, err := w.k.RecordMatches(w.Ctx, &types.MsgRecordMatches{Round: 1, Voters: w.oracles, Batch: c.batch})
		require.ErrorIs(t, err, c.want)
	}
}
