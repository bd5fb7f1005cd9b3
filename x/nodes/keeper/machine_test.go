package keeper_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// The machine sends random messages, reservations and reports to the module and to the model, and compares all nodes and all money after
// each block.
type machine struct {
	*world
	owners  [2]sdk.AccAddress
	model   *model
	supply  uint64
	reports []report
	expects []func() error
	timers  map[escrowtypes.ID]bool
	single  map[string]uint64 // what the machines can do
}

var (
	salts = []string{"a", "b", "c", "d", "e"}
	boots = []string{boot, "aaaaaaaa", "bbbbbbbb"}
)

func newMachine(t *rapid.T) *machine {
	m := &machine{world: newWorld(t), model: &model{nodes: map[string]*modelNode{}}, timers: map[escrowtypes.ID]bool{}}
	m.single = map[string]uint64{}
	for _, salt := range salts {
		m.wear(t)
		m.single[salt] = max(m.single[salt], declared.CpuSingle/2)
	}
	m.openJob()
	for i, name := range []string{"alice", "bob"} {
		m.owners[i] = m.rich(name, 1000*fog, 450*fog)
		m.model.free[i] = 450 * fog
	}
	m.supply = m.Supply()
	m.k.AddHooks(timers{m})
	m.listener.award = func(ctx context.Context, id escrowtypes.ID, most uint64) (uint64, error) {
		n, err := m.k.Node(ctx, id)
		if err != nil {
			return 0, err
		}
		owner, err := m.Addresses.StringToBytes(n.Owner)
		if err != nil {
			return 0, err
		}
		taken := min(most, 7)
		return taken, errors.Join(m.k.EndWork(ctx, id, types.Work{Released: n.Reserved, Tasks: n.RunningTasks}),
			m.Escrow.MoveLocked(ctx, escrowtypes.ProviderAccountID(owner), harmedJob, taken))
	}
	// Most of the life is after the first ACTIVE, so some are that far at the start.
	for _, salt := range salts[:3] {
		same(t, nil, m.model.register(ownerOf(salt), salt, 100*fog))
		same(t, nil, m.send(m.registration(m.owners[ownerOf(salt)], salt)))
	}
	m.endBlock(t, 1)
	for _, salt := range salts[:3] {
		n, o := m.model.nodes[salt], measured(100)
		m.reports = append(m.reports, m.benchmark(m.id(salt), o, o, o))
		m.expects = append(m.expects, func() error { return m.model.measured(n, boot, declared.CpuSingle, true, m.now()) })
	}
	m.endBlock(t, 1)
	return m
}

// timers notes which nodes are going to lose their work, as x/jobs does.
type timers struct{ m *machine }

func (t timers) AfterNodeInactive(_ context.Context, id escrowtypes.ID, _ int64) error {
	t.m.timers[id] = true
	return nil
}

func (t timers) AfterNodeUp(_ context.Context, id escrowtypes.ID) error {
	delete(t.m.timers, id)
	return nil
}

func (timers) AfterNodeCondemned(context.Context, escrowtypes.ID, uint64) (uint64, error) {
	return 0, nil
}

// ownerOf a salt; each node has one owner, so that the model can name nodes by salt.
func ownerOf(salt string) int { return slices.Index(salts, salt) % 2 }

func (m *machine) id(salt string) escrowtypes.ID {
	return types.NodeID(m.owners[ownerOf(salt)], salt)
}

func (m *machine) now() int64 { return m.Ctx.BlockTime().Unix() }

// pick draws a node that there is.
func (m *machine) pick(t *rapid.T) (string, *modelNode) {
	var known []string
	for _, salt := range salts {
		if m.model.nodes[salt] != nil {
			known = append(known, salt)
		}
	}
	if len(known) == 0 {
		t.Skip("no node yet")
	}
	salt := rapid.SampledFrom(known).Draw(t, "node")
	return salt, m.model.nodes[salt]
}

func same(t *rapid.T, want, got error) {
	if want == nil {
		require.NoError(t, got)
	} else {
		require.ErrorIs(t, got, want)
	}
}

func (m *machine) register(t *rapid.T) {
	salt := rapid.SampledFrom(salts).Draw(t, "salt")
	owner := ownerOf(salt)
	msg := m.registration(m.owners[owner], salt)
	msg.Deposit = rapid.SampledFrom([]uint64{100 * fog, 100*fog + 13, 150 * fog, 100*fog - 1}).Draw(t, "deposit")
	same(t, m.model.register(owner, salt, msg.Deposit), m.send(msg))
}

func (m *machine) update(t *rapid.T) {
	salt, n := m.pick(t)
	figures := declared
	figures.CpuSingle = max(1, rapid.SampledFrom([]uint64{n.single + 10, n.single, n.single * 3 / 4}).Draw(t, "cpu_single"))
	same(t, n.declare(figures.CpuSingle, m.now()), m.send(&types.MsgUpdateNode{
		Owner: m.Text(m.owners[n.owner]), NodeId: m.id(salt).Bech32("node"), Declared: &figures,
	}))
}

// announce draws hours that are often about to begin, or in which it is now, and sometimes takes some of the last ones along.
func (m *machine) announce(t *rapid.T) {
	salt, n := m.pick(t)
	var h types.OfflineHours
	minute := uint32((m.now() - monday) % week / 60)
	if rapid.Bool().Draw(t, "weekly") {
		start := (minute + rapid.SampledFrom([]uint32{0, 61, 1_000, 9_000}).Draw(t, "in")) % 10_080
		h.Weekly = append(h.Weekly, types.WeeklyHours{Start: start, Minutes: rapid.SampledFrom([]uint32{1, 600, 5_000}).Draw(t, "minutes")})
	}
	if rapid.Bool().Draw(t, "span") {
		from := m.now() + rapid.SampledFrom([]int64{lead - 1, lead, 2 * day}).Draw(t, "from")
		h.Spans = append(h.Spans, types.Span{From: from, To: from + rapid.SampledFrom([]int64{1, day, 8 * day}).Draw(t, "lasts")})
	}
	if last := n.hours(); rapid.Bool().Draw(t, "keep") {
		if len(h.Weekly) == 0 {
			h.Weekly = last.Weekly
		}
		if len(h.Spans) == 0 && len(last.Spans) > 0 && last.Spans[0].To > m.now() {
			h.Spans = last.Spans
		}
	}
	same(t, n.announce(h, m.now()), m.send(&types.MsgUpdateNode{Owner: m.Text(m.owners[n.owner]), NodeId: m.id(salt).Bech32("node"), Hours: &h}))
}

func (m *machine) drain(t *rapid.T) {
	salt, n := m.pick(t)
	same(t, n.drain(), m.world.drain(m.node(m.id(salt))))
}

func (m *machine) resume(t *rapid.T) {
	salt, n := m.pick(t)
	same(t, n.resume(m.now()), m.world.resume(m.node(m.id(salt))))
}

func (m *machine) retire(t *rapid.T) {
	salt, n := m.pick(t)
	same(t, m.model.retire(n), m.world.retire(m.node(m.id(salt))))
}

func (m *machine) reserve(t *rapid.T) {
	salt, n := m.pick(t)
	tasks := rapid.Uint32Range(1, 4).Draw(t, "tasks")
	same(t, n.reserve(tasks), m.world.reserve(m.id(salt), types.Resources{CpuMilli: 1_000 * uint64(tasks)}, tasks))
}

func (m *machine) endWork(t *rapid.T) {
	salt, n := m.pick(t)
	tasks := rapid.Uint32Range(1, 4).Draw(t, "tasks")
	err := m.k.EndWork(m.Ctx, m.id(salt), types.Work{
		Released: types.Resources{CpuMilli: 1_000 * uint64(tasks)}, Tasks: tasks, Done: types.Statistics{Tasks: 3 * uint64(tasks)},
	})
	if tasks > n.running {
		require.ErrorIs(t, err, escrowtypes.ErrUnderflow)
		return
	}
	require.NoError(t, err)
	n.running -= tasks
	n.ended += 3 * uint64(tasks)
}

// nextBlock draws reports that fit the state of the nodes, sometimes one that does not, and ends the block with them.
func (m *machine) nextBlock(t *rapid.T) {
	for _, salt := range salts {
		if n := m.model.nodes[salt]; n != nil && rapid.IntRange(0, 3).Draw(t, "report on "+salt) > 0 {
			m.likely(t, salt, n)
		}
	}
	if len(m.model.nodes) > 0 && rapid.IntRange(0, 3).Draw(t, "stale report") == 0 {
		salt, n := m.pick(t)
		m.reportBenchmark(t, salt, n, rapid.SampledFrom(boots).Draw(t, "boot"))
	}
	m.endBlock(t, rapid.SampledFrom([]int{1, 60, 60, 200, 600, day / 2, 4 * day}).Draw(t, "seconds"))
}

// likely reports on a node what oracles could see.
func (m *machine) likely(t *rapid.T, salt string, n *modelNode) {
	switch seen := rapid.IntRange(0, 6).Draw(t, "seen"); {
	case n.until != 0 && seen < 4:
		m.reportBenchmark(t, salt, n, n.boot)
	case n.index == 0:
	case seen == 6:
		rtt := rapid.SampledFrom([]uint32{1_000, 100_000, 900_000}).Draw(t, "rtt")
		m.reportLiveness(t, types.LivenessObservation{Network: []types.NetworkObservation{{Index: n.index, RttUs: rtt}}}, func() { n.graded(rtt) })
	case seen == 5:
		b := rapid.SampledFrom(boots).Draw(t, "boot")
		m.reportLiveness(t, restarted(n.index, b), func() { m.model.restarted(n, b, m.now()) })
	case n.status == types.NODE_STATUS_INACTIVE || seen == 4:
		m.reportLiveness(t, up(n.index), func() { m.model.up(n, m.now()) })
	default:
		m.reportLiveness(t, down(n.index), func() { m.model.down(n, m.now()) })
	}
}

// wear changes what a machine can do.
func (m *machine) wear(t *rapid.T) {
	salt := rapid.SampledFrom(salts).Draw(t, "salt")
	m.single[salt] = declared.CpuSingle * rapid.SampledFrom([]uint64{110, 95, 80, 50, 30}).Draw(t, "percent") / 100
}

func (m *machine) reportBenchmark(t *rapid.T, salt string, n *modelNode, boot string) {
	figures := declared
	figures.CpuSingle = m.single[salt]
	o := types.BenchmarkObservation{Measured: figures}
	observations := []types.BenchmarkObservation{o, unreachable, o, o}
	reached := rapid.IntRange(0, 5).Draw(t, "reached") > 0
	if !reached {
		observations[2] = unreachable
	}
	m.reports = append(m.reports, m.benchmarkOf(m.id(salt), boot, observations...))
	m.expects = append(m.expects, func() error { return m.model.measured(n, boot, figures.CpuSingle, reached, m.now()) })
}

func (m *machine) reportLiveness(t *rapid.T, o types.LivenessObservation, effect func()) {
	votes := []types.LivenessObservation{o, o, {}, {}}
	quorum := rapid.IntRange(0, 4).Draw(t, "quorum") > 0
	if quorum {
		votes[2] = o
	}
	m.reports = append(m.reports, m.liveness(votes...))
	m.expects = append(m.expects, func() error {
		if quorum {
			effect()
		}
		return nil
	})
}

func (m *machine) endBlock(t *rapid.T, seconds int) {
	var want []error
	for _, expect := range m.expects {
		want = append(want, expect())
	}
	m.model.endBlock(m.now())
	got := m.try(seconds, m.reports...)
	m.reports, m.expects = nil, nil
	for i := range want {
		same(t, want[i], got[i])
	}
	m.compare(t)
}

func (m *machine) compare(t *rapid.T) {
	m.world.check()
	for salt, want := range m.model.nodes {
		id := m.id(salt)
		n := m.node(id)
		require.Equal(t, want.status, n.Status, salt)
		require.Equal(t, want.deposit, n.Deposit)
		require.Equal(t, want.index, n.Index)
		require.Equal(t, want.single, n.Declared.CpuSingle)
		require.Equal(t, want.boot, n.Boot)
		require.Equal(t, want.pending, n.BenchmarkPending)
		require.Equal(t, want.below, n.BenchmarkTries)
		require.Equal(t, want.away, n.UnreachableTries)
		require.Equal(t, want.offences, n.Offences)
		require.Equal(t, want.condemned, n.Condemned)
		require.Equal(t, want.draining, n.Draining)
		require.Equal(t, want.until, n.BenchmarkUntil)
		require.Equal(t, want.start, n.BenchmarkStart)
		require.Equal(t, want.belowAt, n.BelowTime)
		waits, err := m.k.Waiting.Has(m.Ctx, collections.Join(m.owners[want.owner], id))
		require.NoError(t, err)
		require.Equal(t, want.waits, waits)
		require.Equal(t, want.known, n.Measured.CpuSingle)
		require.Equal(t, want.rtt, n.Network.RttUs)
		require.Equal(t, want.grade(), n.Grade)
		require.Equal(t, want.running, n.RunningTasks)
		require.EqualValues(t, want.running*1_000, n.Reserved.CpuMilli)
		require.Equal(t, want.ended, n.Statistics.Tasks)
		require.Equal(t, want.hours(), n.OfflineHours())
		for _, ahead := range []int64{0, 1, lead, lead + 600, day, 6 * day} {
			require.Equal(t, want.absent(m.now()+ahead), n.AbsentAt(m.now()+ahead), "%s in %d s", salt, ahead)
		}
		require.Equal(t, want.timerRuns, m.timers[id], "the work of a node that is up is not going to be lost")
		if want.live() {
			byKey, err := m.k.NodeByAgentKey(m.Ctx, n.AgentKey)
			require.NoError(t, err)
			require.Equal(t, n.Id, byKey.Id)
		}
	}
	for i, owner := range m.owners {
		f, err := m.k.Fleets.Get(m.Ctx, owner)
		if !errors.Is(err, collections.ErrNotFound) {
			require.NoError(t, err)
		}
		require.Equal(t, m.model.fleets[i].due, f.Due)
		if f.Joint > 0 || f.Due > 0 {
			want := modelFleet{day: f.Day, due: f.Due, joint: int(f.Joint), until: f.Until, open: int(f.Open)}
			require.Equal(t, m.model.fleets[i], want)
		}
		require.Equal(t, m.model.free[i], m.account(owner).Free())
	}
	require.Equal(t, m.supply-m.model.burned, m.Supply(), "only slashed deposits are burned")
	exported, err := m.k.ExportGenesis(m.Ctx)
	require.NoError(t, err)
	require.NoError(t, exported.Validate(m.Addresses))
}

func TestNodesMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"register": m.register, "update": m.update, "drain": m.drain, "resume": m.resume, "retire": m.retire,
			"reserve": m.reserve, "endWork": m.endWork, "wear": m.wear, "announce": m.announce,
			"nextBlock 1": m.nextBlock, "nextBlock 2": m.nextBlock, "nextBlock 3": m.nextBlock, "nextBlock 4": m.nextBlock,
		})
		m.nextBlock(t)
	})
}
