package keeper_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// The same machine with services only, which is where most of their life happens.
func TestServicesStateMachine(t *testing.T) {
	var epochs, took, updated, burned, stayed uint64
	reasons := map[types.CloseReason]int{}
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		m.serveSome(t)
		m.placeSome(t)
		t.Repeat(map[string]func(*rapid.T){
			"serve":    m.serveSome,
			"place":    m.placeSome,
			"judge":    m.judgeSome,
			"place 2":  m.placeSome,
			"judge 2":  m.judgeSome,
			"judge 3":  m.judgeSome,
			"judge 4":  m.judgeSome,
			"update":   m.updateSome,
			"scale":    m.scaleSome,
			"drain":    m.drainSome,
			"announce": m.announceSome,
			"fund":     m.fundSome,
			"flip":     m.flip,
			"condemn":  m.condemn,
			"withdraw": m.withdrawSome,
			"cancel": func(t *rapid.T) {
				if rapid.IntRange(0, 5).Draw(t, "really") > 0 {
					t.Skip("not now")
				}
				m.onService(t, func(id string) { m.refused(m.tryCancel("dev", id), types.ErrJobClosed) })
			},
			"time": func(t *rapid.T) { m.after(rapid.SampledFrom([]int64{1, 60, 130, 301}).Draw(t, "seconds")) },
			"": func(*rapid.T) {
				m.checkJobs(m.Ctx)
				m.checkVolumes()
				if m.Supply() > m.minted {
					t.Fatalf("ufog were made: %d of %d", m.Supply(), m.minted)
				}
			},
		})
		m.NextBlock()
		m.CheckInvariants()
		m.windDown()
		for _, id := range m.services {
			job := m.job(id)
			reasons[job.CloseReason]++
			burned += job.Service.Burned
			updated += uint64(job.Service.Stable.Number - 1)
			for number := range job.NextSlice {
				s := m.slice(id, number)
				epochs += s.Serving.PaidEpochs
				if job.Service.KeepsVolumes && s.MatchRound == 0 && s.NodeId != "" {
					stayed++ // no oracle placed it
				}
				if s.Serving.PaidEpochs > 0 && s.Serving.Revision.Number > 1 {
					took++
				}
			}
		}
	})
	t.Logf("%d epochs paid, %d slices of later revisions served, %d updates went through, %d slices stayed on their node, %d ufog burned; ended: %v",
		epochs, took, updated, stayed, burned, reasons)
	require.NotZero(t, epochs)
	require.NotZero(t, burned)
}

// checkVolumes: a replica that keeps volumes has a successor only when it is handed over, never for an update, and what no oracle placed is
// where the slice before it was.
func (m *machine) checkVolumes() {
	for _, id := range m.services {
		job := m.job(id)
		if !job.Service.KeepsVolumes {
			continue
		}
		last := map[uint32]string{}
		for number := range job.NextSlice {
			s := m.slice(id, number)
			if s.NodeId == "" {
				continue
			}
			if s.MatchRound == 0 && last[s.FirstTask] != s.NodeId {
				m.tb.Fatalf("slice %d of %s is on %s, the one before it was on %q", number, id, s.NodeId, last[s.FirstTask])
			}
			last[s.FirstTask] = s.NodeId
		}
		for _, r := range job.Service.Replicas {
			if r.Successor != 0 && !m.slice(id, r.Successor).Serving.Revision.Runs(m.slice(id, r.Slice).Serving.Revision) {
				m.tb.Fatalf("replica of %s is updated away from its node: %v", id, r)
			}
		}
	}
}

// placeSome gives all replicas that wait to nodes, as far as these take them.
func (m *machine) placeSome(t *rapid.T) {
	queue, err := keeper.NewQueryServer(m.k).Pending(m.Ctx, &types.QueryPendingRequest{})
	m.must(err, "queue")
	if len(queue.Pending) == 0 {
		t.Skip("nothing waits")
	}
	height, open := m.rounds.match(m.Ctx)
	if !open {
		m.NextBlock()
		if height, open = m.rounds.match(m.Ctx); !open {
			t.Skip("no match round")
		}
	}
	var items []types.MatchItem
	for _, p := range queue.Pending {
		items = append(items, item(p.Job.Id, p.Slice.Number, 1, rapid.SampledFrom(m.nodes).Draw(t, "node")))
	}
	m.matched += int(m.recordMatches(height, items...).Matched)
}

func (m *machine) serveSome(t *rapid.T) {
	if len(m.services) >= 2 {
		t.Skip("enough services")
	}
	m.salt++
	msg := m.serviceMsg("dev", fmt.Sprint(m.salt), rapid.Uint32Range(1, 3).Draw(t, "replicas"))
	msg.PriceCap = rapid.Uint64Range(6000, 15_000).Draw(t, "cap")
	msg.FundedTime = rapid.Uint64Range(360, 20_000).Draw(t, "funded_time")
	msg.Deadline = rapid.SampledFrom([]uint64{10_000, 500}).Draw(t, "deadline")
	if rapid.Bool().Draw(t, "static") {
		msg.Ports = append(msg.Ports, types.Port{Name: "s", ContainerPort: 1, Protocol: types.PROTOCOL_UDP, HostPort: 20_003})
	}
	msg.KeepsVolumes = rapid.Bool().Draw(t, "keeps volumes")
	job := m.submitService(msg)
	m.minted += job.Funded
	m.jobs, m.services = append(m.jobs, job.Id), append(m.services, job.Id)
}

func (m *machine) onService(t *rapid.T, do func(id string)) {
	if len(m.services) == 0 {
		t.Skip("no services")
	}
	do(rapid.SampledFrom(m.services).Draw(t, "service"))
}

// judgeSome lets a quorum see some slices start and some fail, if an epoch waits to be judged.
func (m *machine) judgeSome(t *rapid.T) {
	if len(m.rounds.subjects(m.Ctx, types.RoundKindServices)) == 0 {
		m.end(max(m.clock().Ends-m.now(), 1))
	}
	subjects := m.rounds.subjects(m.Ctx, types.RoundKindServices)
	if len(subjects) == 0 {
		t.Skip("nothing serves")
	}
	if epoch, err := types.DecodeServicesSubject(subjects[len(subjects)-1]); err != nil || epoch != m.clock().Judged {
		t.Skip("an old epoch")
	}
	res, err := keeper.NewQueryServer(m.k).Services(m.Ctx, &types.QueryServicesRequest{})
	m.must(err, "services")
	var o types.ServiceObservation
	for _, s := range res.Services {
		item := m.serviceItem(s.Job.Id, s.Slice.Number)
		switch rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 1, 2, 3}).Draw(t, "seen") {
		case 0:
			o.Started = append(o.Started, item)
		case 1:
			o.Unhealthy = append(o.Unhealthy, item)
		case 2:
			o.NotRunning = append(o.NotRunning, item)
		}
	}
	for _, list := range [][]types.ServiceItem{o.Started, o.Unhealthy, o.NotRunning} {
		slices.SortFunc(list, types.CompareServiceItems)
	}
	m.judge(o)
	if rapid.IntRange(0, 3).Draw(t, "come up") > 0 {
		m.end(max(m.clock().JudgedEnded+60-m.now(), 1))
	}
}

func (m *machine) updateSome(t *rapid.T) {
	m.onService(t, func(id string) {
		spec := rapid.SampledFrom([]string{digest, otherDigest, thirdDigest}).Draw(t, "spec")
		m.refused(m.update(id, spec), types.ErrJobClosed, types.ErrNoChange, types.ErrUnfunded)
	})
}

func (m *machine) scaleSome(t *rapid.T) {
	m.onService(t, func(id string) {
		m.refused(m.scale(id, rapid.Uint32Range(1, 5).Draw(t, "replicas")), types.ErrJobClosed, types.ErrNoChange, types.ErrUnfunded)
	})
}

func (m *machine) fundSome(t *rapid.T) {
	m.onService(t, func(id string) {
		amount := rapid.Uint64Range(1, 50_000).Draw(t, "amount")
		m.minted += amount
		m.refused(m.topUp("dev", id, amount), types.ErrJobClosed)
	})
}

// announceSome has a node announced to be offline soon, or takes that back.
func (m *machine) announceSome(t *rapid.T) {
	n := m.world.nodes.get(m.Ctx, rapid.SampledFrom(m.nodes).Draw(t, "node").Id)
	if len(n.Absences) > 0 {
		m.world.nodes.change(m.Ctx, n.Id, func(n *nodestypes.Node) { n.Absences = nil })
		return
	}
	m.world.announce(n, rapid.SampledFrom([]int64{0, 300, 1_000, 5_000}).Draw(t, "in"))
}

// drainSome drains a node, or resumes it.
func (m *machine) drainSome(t *rapid.T) {
	n := m.world.nodes.get(m.Ctx, rapid.SampledFrom(m.nodes).Draw(t, "node").Id)
	switch n.Status {
	case nodestypes.NODE_STATUS_ACTIVE:
		m.drainNode(n)
	case nodestypes.NODE_STATUS_DRAINING:
		m.world.nodes.change(m.Ctx, n.Id, func(n *nodestypes.Node) { n.Status, n.Draining = nodestypes.NODE_STATUS_ACTIVE, false })
	default:
		t.Skip("away")
	}
}
